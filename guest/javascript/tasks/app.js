// The todo guest's tasks in JavaScript: another module behind the same frontend.
//
// A part of what `guest/todo` serves: list, create, find, complete, delete. It declares
// the same statements and migrations, out of the same files, so that either can take the
// other's place on one database. What it answers is checked against the todo guest's
// answers by `cargo xtask interop`.

import { current } from '../innkeeper/caller.js';
import { exported, json } from '../innkeeper/http.js';
import { declared, Json, run } from '../innkeeper/sql.js';
import * as check from './check.js';
import { Invalid } from './check.js';
// Written by `build.mjs`, out of `guest/todo/sql`.
import { migrations, statements } from '../build/todo-sql.js';
import { written } from './written.js';

const ROUTE = /^\/api\/([^/]+)\/tasks(?:\/([^/]+)(\/complete)?)?$/;
// Encloses each tag in the index that the todo guest searches by.
const SEPARATOR = '\x1f';

export const schema = declared({
  statements,
  migrations,
  owned: { tasks: 'user_id', conversations: 'user_id', messages: 'user_id', tool_calls: 'user_id' },
});

export const incomingHandler = exported(answer);

function answer(request) {
  const [, user, task, completion] = ROUTE.exec(request.path) ?? [];
  if (user === undefined) return detail(404, 'Not Found');
  const methods = METHODS[task === undefined ? 'all' : completion ? 'complete' : 'one'];
  const call = methods[request.method];
  if (!call) return json(405, { detail: 'Method Not Allowed' }, { allow: Object.keys(methods).join(', ') });
  try {
    const body = parsed(request);
    const caller = current();
    if (!caller) return json(401, { detail: 'Not authenticated' }, { 'www-authenticate': 'Bearer' });
    // Whoever may not do it is told so only after what is wrong with it, as by FastAPI.
    const asked = call(request, body, task);
    if (user !== caller.subject) return detail(403, 'Access denied: user ID mismatch');
    return asked(caller.subject);
  } catch (error) {
    if (error instanceof Invalid) return detail(422, error.issues);
    throw error;
  }
}

const METHODS = {
  all: { GET: list, POST: create },
  one: { GET: find, DELETE: remove },
  complete: { POST: complete, PATCH: complete },
};

function list({ query }) {
  const { completed, limit, offset } = check.listing(query);
  const rows = (owner) =>
    completed === null
      ? run('task-list', owner, limit, offset)
      : run('task-search', owner, completed, null, null, null, 'created_desc', limit, offset);
  return (owner) => json(200, rows(owner).map(shown));
}

function create(_request, body) {
  const { title, description, completed, priority, dueDate, tags } = check.newTask(body);
  const folded = [...new Set(tags.map((tag) => tag.toLowerCase()))].sort();
  const index = folded.map((tag) => `${SEPARATOR}${tag}${SEPARATOR}`).join('');
  const fields = [title, description, completed, priority, dueDate, new Json(tags), index];
  return (owner) => one(201, run('task-create', owner, ...fields, new Date()));
}

function find(_request, _body, task) {
  const id = check.taskId(task);
  return (owner) => one(200, run('task-find', owner, id));
}

function complete(_request, body, task) {
  const [id, completed] = check.every(
    () => check.taskId(task),
    () => check.completion(body),
  );
  return (owner) => one(200, run('task-complete', owner, id, completed, new Date()));
}

function remove(_request, _body, task) {
  const id = check.taskId(task);
  return (owner) =>
    run('task-delete', owner, id).length > 0
      ? json(200, { message: 'Task deleted successfully' })
      : detail(404, 'Task not found');
}

/** The body: nothing, JSON, or a text that is no JSON, which no field accepts. */
function parsed({ method, headers, body }) {
  if (!['POST', 'PATCH'].includes(method) || body.length === 0) return undefined;
  const kind = (headers['content-type'] ?? 'application/json').split(';')[0].trim().toLowerCase();
  const text = new TextDecoder().decode(body);
  if (!/^application\/(.+\+)?json$/.test(kind)) return text;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw check.invalidJson(error.message, text);
  }
}

const one = (status, rows) => (rows.length > 0 ? json(status, shown(rows[0])) : detail(404, 'Task not found'));

function shown({ tags, due_date, created_at, updated_at, ...row }) {
  const times = { created_at: written(created_at), updated_at: written(updated_at) };
  return { ...row, due_date: due_date && written(due_date), tags: typeof tags === 'string' ? JSON.parse(tags) : tags, ...times };
}

const detail = (status, what) => json(status, { detail: what });
