// A guest that answers HTTP: notes, each their own. What needs the host is here; what
// does not is in `notes.js`, where a test finds it.

import { current } from './innkeeper/caller.js';
import { exported, json } from './innkeeper/http.js';
import { declared, run } from './innkeeper/sql.js';
import { SCHEMA, tidy } from './notes.js';

export const schema = declared(SCHEMA);

export const incomingHandler = exported(({ method, path, body }) => {
  if (path !== '/notes') return json(404, { detail: 'Not Found' });
  // Whom the host has verified.
  const caller = current();
  if (!caller) return json(401, { detail: 'Not authenticated' }, { 'www-authenticate': 'Bearer' });
  switch (method) {
    case 'GET':
      return json(200, run('note-list', caller.subject));
    case 'POST': {
      const text = tidy(body);
      if (text === null) return json(422, { detail: 'a note has from 1 to 500 characters' });
      return json(201, run('note-add', caller.subject, text)[0]);
    }
    default:
      return json(405, { detail: 'Method Not Allowed' }, { allow: 'GET, POST' });
  }
});
