// A plugin that remembers what people want remembered, each their own: for every model
// that they talk to through this host, in this conversation and the next.

import { Refused } from '../innkeeper/errors.js';
import { declared, run } from '../innkeeper/sql.js';
import { exported, owner } from '../innkeeper/tools.js';
import { pattern, tidy } from './words.js';
import { SQL } from './sql.js';

const FACT = { type: 'string', minLength: 1, maxLength: 500 };
const ID = { type: 'integer', minimum: 1 };
const MEMORY = { type: 'object', properties: { id: ID, fact: FACT }, required: ['id', 'fact'] };
// So many fit into what a model reads, and a user cannot fill the database.
const MOST = 200;

export const schema = declared({
  statements: SQL.statements,
  migrations: [['keep memories', SQL.postgres, SQL.sqlite]],
  owned: { memories: 'user_id' },
});

export const tools = exported([
  {
    name: 'remember',
    description: 'Remember a fact about the user, or a wish of theirs, for later conversations. One fact, one sentence.',
    input: { fact: FACT },
    output: { id: ID },
    call({ fact }) {
      const [made] = run('memory-add', owner(), tidy(fact), new Date(), MOST);
      if (!made) throw new Refused(`There are ${MOST} memories, which is the most. Forget some first.`);
      return { id: made.id };
    },
  },
  {
    name: 'recall',
    description: 'Find what the user wanted remembered: all of it, or what has these words in it.',
    input: { words: { type: 'string', maxLength: 100, default: '' } },
    output: { memories: { type: 'array', items: MEMORY } },
    readOnly: true,
    call: ({ words = '' }) => ({ memories: run('memory-find', owner(), pattern(words)) }),
  },
  {
    name: 'forget',
    description: 'Forget one memory, by the id that recall gives.',
    input: { id: ID },
    output: { forgotten: FACT },
    call({ id }) {
      const [gone] = run('memory-drop', owner(), id);
      if (!gone) throw new Refused(`There is no memory ${id}.`);
      return { forgotten: gone.fact };
    },
  },
]);
