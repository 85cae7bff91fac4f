// Tools: for models, for clients of the Model Context Protocol, and for plain HTTP.

import { current } from 'innkeeper:backend/identity@0.1.0';

import { Busy, Refused } from './errors.js';

const BUSY = 'The database is busy. Try again in a moment.';

/** Whose data it is about. */
export function owner() {
  const caller = current();
  if (!caller) throw new Refused('This needs somebody who is signed in.');
  return caller.subject;
}

/**
 * The export: `export const tools = exported([{ name, description, input, output, readOnly, call }, …])`.
 * `input` and `output` are the properties of two JSON Schemas; a property with a `default`
 * may be left out. `call` gets the arguments in one object, and gives the result. The
 * host checks arguments before it runs, and results after.
 */
export function exported(all) {
  const known = new Map(all.map((tool) => [tool.name, tool]));
  return {
    list: () => all.map(describe),
    call(_context, name, given, _resume) {
      const tool = known.get(name);
      if (!tool) throw { tag: 'not-found', val: name };
      return { tag: 'complete', val: complete(tool, JSON.parse(given)) };
    },
  };
}

function describe({ name, description, input, output, readOnly = false }) {
  return {
    descriptor: { name, description, icons: [] },
    inputSchema: JSON.stringify(schema(input)),
    outputSchema: JSON.stringify(schema(output)),
    hints: { readOnly, openWorld: false },
    requiredScopes: [],
  };
}

/** The schema of an object that has these properties and no others. */
export function schema(properties) {
  const required = Object.keys(properties).filter((name) => !('default' in properties[name]));
  return { type: 'object', properties, required, additionalProperties: false };
}

function complete(tool, given) {
  try {
    const result = JSON.stringify(tool.call(given));
    return { content: [text(result)], structured: result, isError: false };
  } catch (error) {
    if (error instanceof Refused) return { content: [text(error.message)], isError: true };
    if (error instanceof Busy) return { content: [text(BUSY)], isError: true };
    // For the operator's log; the caller learns that it failed.
    console.error(`${error}\n${error.stack ?? ''}`);
    throw { tag: 'internal', val: 'the guest failed' };
  }
}

const text = (words) => ({ kind: { tag: 'text', val: words } });
