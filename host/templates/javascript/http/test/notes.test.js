import assert from 'node:assert/strict';
import test from 'node:test';

import { tidy } from '../src/notes.js';

test('a note has some text and not too much', () => {
  const kept = (value) => tidy(new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value)));
  assert.equal(kept({ text: ' Buy milk\n' }), 'Buy milk');
  for (const body of ['', '[]', { text: 5 }, { text: ' ' }, { text: 'x'.repeat(501) }]) {
    assert.equal(kept(body), null);
  }
});
