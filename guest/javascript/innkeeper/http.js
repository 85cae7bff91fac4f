// Requests over HTTP, each whole, and their answers.
//
// The engine's own `fetch` event is of an older WASI than this host's world, so what
// arrives is read here, by the interfaces of that world.

import { Fields, OutgoingBody, OutgoingResponse, ResponseOutparam } from 'wasi:http/types@0.2.12';

import { Busy } from './errors.js';

// What is read at once: the host gives no more.
const CHUNK = 65536n;

/** An answer in JSON; without a value it has no body. */
export function json(status, value, headers = {}) {
  const body = value === undefined ? '' : JSON.stringify(value);
  return { status, headers: { 'content-type': 'application/json', ...headers }, body };
}

/**
 * The export: `export const incomingHandler = exported(answer)`. `answer` gets
 * `{ method, path, query, headers, body }`: `query` is a `URLSearchParams`, and `body` is bytes.
 */
export function exported(answer) {
  return { handle: (request, responseOut) => send(safely(answer, receive(request)), responseOut) };
}

function safely(answer, request) {
  try {
    return answer(request);
  } catch (error) {
    // For the operator's log; the client learns that it failed.
    console.error(`${error}\n${error.stack ?? ''}`);
    if (error instanceof Busy) return json(503, { detail: 'Service temporarily unavailable' }, { 'retry-after': '1' });
    return json(500, { detail: 'Internal Server Error' });
  }
}

function receive(request) {
  const { tag, val } = request.method();
  const method = tag === 'other' ? val : tag.toUpperCase();
  const [path, ...query] = (request.pathWithQuery() ?? '/').split('?');
  const decoder = new TextDecoder();
  const headers = request.headers().entries().map(([name, bytes]) => [name.toLowerCase(), decoder.decode(bytes)]);
  return {
    method,
    path: decoded(path),
    query: new URLSearchParams(query.join('?')),
    headers: Object.fromEntries(headers),
    body: read(request.consume()),
  };
}

function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    // What is no escape stands for itself.
    return path;
  }
}

function read(incoming) {
  const stream = incoming.stream();
  const parts = [];
  for (;;) {
    try {
      parts.push(stream.blockingRead(CHUNK));
    } catch (error) {
      const { tag } = error.payload ?? error;
      if (tag === 'closed') break;
      throw error;
    }
  }
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function send({ status, headers, body }, responseOut) {
  const encoder = new TextEncoder();
  const outgoing = new OutgoingResponse(Fields.fromList(Object.entries(headers).map(([name, value]) => [name, encoder.encode(value)])));
  outgoing.setStatusCode(status);
  const out = outgoing.body();
  ResponseOutparam.set(responseOut, { tag: 'ok', val: outgoing });
  let rest = typeof body === 'string' ? encoder.encode(body) : body;
  const stream = out.write();
  while (rest.length > 0) {
    // Where there is no room at the moment, this waits for some.
    const room = Number(stream.checkWrite());
    if (room === 0) {
      stream.subscribe().block();
      continue;
    }
    stream.write(rest.subarray(0, room));
    rest = rest.subarray(room);
  }
  stream.flush();
  // A stream is a part of its body, which ends with it.
  stream[Symbol.dispose]?.();
  OutgoingBody.finish(out, undefined);
}
