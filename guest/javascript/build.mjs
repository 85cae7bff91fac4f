// Makes the components of this folder: `npm ci && npm run build`, or
// `node build.mjs OUT REPOSITORY` from a copy that is elsewhere.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { componentize } from '@bytecodealliance/componentize-js';

// What the worlds of `wit/` say of each.
const GUESTS = { memory: 'storing-plugin', tasks: 'storing-web' };
const STATEMENTS = ['task-list', 'task-search', 'task-find', 'task-create', 'task-complete', 'task-delete'];
const MIGRATIONS = ['create tasks', 'let owners have their own ids', 'keep conversations'];

/** The todo guest's own SQL as a module, for a guest cannot read files. */
async function todoSql() {
  const text = (name) => readFile(join(repository, 'guest/todo/sql', `${name}.sql`), 'utf8');
  const statements = {};
  for (const name of STATEMENTS) statements[name] = await text(name);
  const migrations = await Promise.all(
    MIGRATIONS.map(async (name, at) => {
      const file = `migrations/${String(at + 1).padStart(4, '0')}`;
      return [name, await text(`${file}.postgres`), await text(`${file}.sqlite`)];
    }),
  );
  await mkdir('build', { recursive: true });
  const lines = Object.entries({ statements, migrations }).map(([name, value]) => `export const ${name} = ${JSON.stringify(value)};\n`);
  await writeFile('build/todo-sql.js', lines.join(''));
}

const [out = 'build', root = join(import.meta.dirname, '../..')] = process.argv.slice(2);
const [folder, repository] = [resolve(out), resolve(root)];
process.chdir(import.meta.dirname);
await todoSql();
for (const [name, worldName] of Object.entries(GUESTS)) {
  const options = { witPath: join(repository, 'wit'), worldName, disableFeatures: ['http', 'fetch-event'] };
  const { component } = await componentize({ sourcePath: resolve(name, 'app.js'), ...options });
  await writeFile(join(folder, `${name}.wasm`), component);
}
