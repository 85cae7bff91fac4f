// Statements that were declared, run by their names; and what is declared.
//
// The host reads the declaration once, while it loads the module, and vets, prepares
// and caches every statement. A guest cannot run any other text.

import * as host from 'innkeeper:backend/sql@0.1.0';

import { Broken, Busy } from './errors.js';

const TRANSIENT = ['conflict', 'busy', 'timeout', 'unavailable'];
const decoder = new TextDecoder();

/** A parameter that is JSON. */
export class Json {
  constructor(value) {
    this.value = value;
  }
}

/** The rows that a declared statement finds or returns, each by its columns' names. */
export function run(statement, ...params) {
  let rows;
  try {
    rows = host.run(statement, params.map(value));
  } catch (error) {
    const { tag, val } = error.payload ?? error;
    if (!tag) throw error;
    throw new (TRANSIENT.includes(tag) ? Busy : Broken)(`${statement}: ${tag} ${JSON.stringify(val) ?? ''}`);
  }
  const cut = ({ start, length }) => decoder.decode(rows.heap.subarray(start, start + length));
  const names = rows.columns.map(cut);
  const found = [];
  for (let at = 0; names.length > 0 && at < rows.cells.length; at += names.length) {
    found.push(Object.fromEntries(names.map((name, column) => [name, cell(rows, cut, rows.cells[at + column])])));
  }
  return found;
}

/** A parameter, as the host takes it. Numbers are integers where they can be. */
function value(param) {
  switch (typeof param) {
    case 'boolean':
      return { tag: 'boolean', val: param };
    case 'bigint':
      return { tag: 'integer', val: param };
    case 'number':
      return Number.isSafeInteger(param) ? { tag: 'integer', val: BigInt(param) } : { tag: 'float', val: param };
    case 'string':
      return { tag: 'text', val: param };
  }
  if (param === null || param === undefined) return { tag: 'null' };
  if (param instanceof Date) return { tag: 'timestamp', val: BigInt(param.getTime()) * 1000n };
  if (param instanceof Uint8Array) return { tag: 'blob', val: param };
  if (param instanceof Json) return { tag: 'json', val: JSON.stringify(param.value) };
  throw new Broken(`${typeof param} is no parameter of a statement`);
}

/** A cell of a result. A time is microseconds since 1970, which a `Date` cannot hold. */
function cell(rows, cut, { tag, val }) {
  switch (tag) {
    case 'null':
      return null;
    case 'integer':
      return val >= BigInt(Number.MIN_SAFE_INTEGER) && val <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(val) : val;
    case 'text':
    case 'uuid':
    case 'decimal':
      return cut(val);
    case 'json':
      return JSON.parse(cut(val));
    case 'blob':
      return rows.heap.slice(val.start, val.start + val.length);
  }
  return val;
}

/**
 * The export: `export const schema = declared({ … })`. Statements by name; migrations in
 * order, each `[name, text for Postgres, text for SQLite]`; tables whose rows belong to
 * callers, with the column that says to whom.
 */
export function declared({ statements, migrations, owned }) {
  return {
    declare: () => ({
      statements: Object.entries(statements).map(([name, text]) => ({ name, text })),
      migrations: migrations.map(([name, postgres, sqlite], at) => ({ version: at + 1, name, postgres, sqlite })),
      owned: Object.entries(owned).map(([table, ownerColumn]) => ({ table, ownerColumn })),
    }),
  };
}
