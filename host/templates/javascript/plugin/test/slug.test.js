import assert from 'node:assert/strict';
import test from 'node:test';

import { Refused } from '../src/innkeeper/errors.js';
import { slug } from '../src/slug.js';

test('words are joined', () => {
  assert.equal(slug('Hello, World!'), 'hello-world');
});

test('without letters there is none', () => {
  assert.throws(() => slug('?!'), Refused);
});
