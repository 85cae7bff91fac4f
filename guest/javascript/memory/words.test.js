import assert from 'node:assert/strict';
import test from 'node:test';

import { pattern, tidy } from './words.js';

test('a fact has no spaces that nobody meant', () => {
  assert.equal(tidy('  likes \n tea '), 'likes tea');
});

test('words are found in their order, and wildcards are letters', () => {
  assert.equal(pattern('Green  tea'), '%green%tea%');
  assert.equal(pattern('100% a_b!'), '%100!%%a!_b!!%');
  assert.equal(pattern(''), '%');
});
