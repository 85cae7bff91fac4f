import assert from 'node:assert/strict';
import test from 'node:test';

import { Invalid, invalidJson, newTask } from './check.js';
import { written } from './written.js';

test('all that is wrong is told in the order of the fields', () => {
  const issues = (() => {
    try {
      newTask({ title: '', description: 5, tags: ['a', 1], priority: 'urgent' });
    } catch (error) {
      assert.ok(error instanceof Invalid);
      return error.issues;
    }
  })();
  const told = issues.map(({ type, loc }) => [type, ...loc.slice(1)]);
  const expected = [['string_too_short', 'title'], ['string_type', 'description'], ['enum', 'priority'], ['string_type', 'tags', 1]];
  assert.deepEqual(told, expected);
});

test('a place in a text of several lines is counted from its start', () => {
  const { issues } = invalidJson('at line 2 column 3 of the JSON data', '{\n  x');
  assert.deepEqual(issues[0].loc, ['body', 4]);
});

test('a time has six digits of fraction or none', () => {
  assert.equal(written(0n), '1970-01-01T00:00:00Z');
  assert.equal(written(1_735_787_045_000_120n), '2025-01-02T03:04:05.000120Z');
  assert.equal(written(-1n), '1969-12-31T23:59:59.999999Z');
});
