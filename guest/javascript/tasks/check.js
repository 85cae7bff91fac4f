// What may be sent, and FastAPI's words for what may not.

const TITLE_MAX = 200;
const DESCRIPTION_MAX = 1000;
const TAGS_MAX = 20;
const TAG_MAX = 50;
const UNLIMITED = 1000;
const PAGE_MAX = 100;
const PRIORITIES = ['low', 'medium', 'high'];
const TRUE = ['1', 'on', 't', 'true', 'y', 'yes'];
const FALSE = ['0', 'off', 'f', 'false', 'n', 'no'];
const STATUSES = { all: null, pending: false, completed: true };
const MOMENT = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?$/;

/** Everything that is wrong, in the order of the fields. */
export class Invalid extends Error {
  constructor(...issues) {
    super('what was sent is not valid');
    this.issues = issues;
  }
}

function issue(type, loc, msg, input, ctx) {
  return new Invalid(ctx ? { type, loc, msg, input, ctx } : { type, loc, msg, input });
}

/** The place is Python's, and the words are this engine's own. */
export function invalidJson(words, text) {
  const [, line, column] = /line (\d+) column (\d+)/.exec(words) ?? [0, 1, 1];
  const before = text.split('\n').slice(0, line - 1).join('\n');
  const at = [...before].length + (line > 1 ? 1 : 0) + Number(column) - 1;
  return issue('json_invalid', ['body', at], 'JSON decode error', {}, { error: words });
}

/** What all checks give, or all that they find. */
export function every(...checks) {
  const issues = [];
  const values = checks.map((check) => {
    try {
      return check();
    } catch (error) {
      if (!(error instanceof Invalid)) throw error;
      issues.push(...error.issues);
    }
  });
  if (issues.length > 0) throw new Invalid(...issues);
  return values;
}

function fields(body) {
  if (body === undefined) throw issue('missing', ['body'], 'Field required', null);
  if (body === null || typeof body !== 'object' || Array.isArray(body)) {
    const words = 'Input should be a valid dictionary or object to extract fields from';
    throw issue('model_attributes_type', ['body'], words, body);
  }
  return body;
}

export function newTask(body) {
  const given = fields(body);
  const field = (name, check, otherwise) => () =>
    Object.hasOwn(given, name) ? check(['body', name], given[name]) : otherwise;
  const titleGiven = () => {
    if (!Object.hasOwn(given, 'title')) throw issue('missing', ['body', 'title'], 'Field required', given);
    return title(['body', 'title'], given.title);
  };
  const [titled, description, completed, prior, dueDate, tagged] = every(
    titleGiven,
    field('description', orNull((at, value) => text(at, value, 0, DESCRIPTION_MAX)), null),
    field('completed', boolean, false),
    field('priority', priority, 'medium'),
    field('due_date', orNull(moment), null),
    field('tags', tags, []),
  );
  return { title: titled, description, completed, priority: prior, dueDate, tags: tagged };
}

/** What to set the flag to, or null to toggle it. */
export function completion(body) {
  const given = fields(body ?? {});
  return orNull(boolean)(['body', 'completed'], given.completed ?? null);
}

export function taskId(given) {
  return integer(['path', 'task_id'], given);
}

export function listing(query) {
  const status = () => {
    const given = query.get('status') ?? 'all';
    if (!Object.hasOwn(STATUSES, given)) {
      const expected = "'all', 'pending' or 'completed'";
      throw issue('literal_error', ['query', 'status'], `Input should be ${expected}`, given, { expected });
    }
    return STATUSES[given];
  };
  const [completed, limit, offset] = every(
    status,
    () => number(query, 'limit', 1, PAGE_MAX) ?? UNLIMITED,
    () => number(query, 'offset', 0, Infinity) ?? 0,
  );
  return { completed, limit, offset };
}

function number(query, name, ge, le) {
  const given = query.get(name);
  if (given === null) return null;
  const at = ['query', name];
  const value = integer(at, given);
  if (value < ge) throw issue('greater_than_equal', at, `Input should be greater than or equal to ${ge}`, given, { ge });
  if (value > le) throw issue('less_than_equal', at, `Input should be less than or equal to ${le}`, given, { le });
  return value;
}

function integer(at, given) {
  if (!/^[+-]?\d{1,15}$/.test(given)) {
    throw issue('int_parsing', at, 'Input should be a valid integer, unable to parse string as an integer', given);
  }
  return Number(given);
}

const orNull = (check) => (at, value) => (value === null ? null : check(at, value));

function text(at, value, min, max) {
  if (typeof value !== 'string') throw issue('string_type', at, 'Input should be a valid string', value);
  // In characters, and not in the units of UTF-16.
  const { length } = [...value];
  if (length < min) {
    throw issue('string_too_short', at, `String should have at least ${min} character`, value, { min_length: min });
  }
  if (length > max) {
    throw issue('string_too_long', at, `String should have at most ${max} characters`, value, { max_length: max });
  }
  if (value.includes('\0')) throw own(at, 'Text cannot contain NUL characters', value);
  return value;
}

function title(at, value) {
  if (text(at, value, 1, TITLE_MAX).trim() === '') throw own(at, 'Title cannot be empty', value);
  return value;
}

function own(at, sentence, value) {
  return issue('value_error', at, `Value error, ${sentence}`, value, { error: {} });
}

function boolean(at, value) {
  const word = typeof value === 'string' ? value.toLowerCase() : value;
  if (word === true || word === 1 || TRUE.includes(word)) return true;
  if (word === false || word === 0 || FALSE.includes(word)) return false;
  if (typeof value === 'string' || Number.isInteger(value)) {
    throw issue('bool_parsing', at, 'Input should be a valid boolean, unable to interpret input', value);
  }
  throw issue('bool_type', at, 'Input should be a valid boolean', value);
}

function priority(at, value) {
  if (PRIORITIES.includes(value)) return value;
  const expected = "'low', 'medium' or 'high'";
  throw issue('enum', at, `Input should be ${expected}`, value, { expected });
}

function tags(at, value) {
  if (!Array.isArray(value)) throw issue('list_type', at, 'Input should be a valid list', value);
  if (value.length > TAGS_MAX) {
    const words = `List should have at most ${TAGS_MAX} items after validation, not ${value.length}`;
    const context = { field_type: 'List', max_length: TAGS_MAX, actual_length: value.length };
    throw issue('too_long', at, words, value, context);
  }
  return [...new Set(every(...value.map((item, index) => () => tag([...at, index], item))))];
}

function tag(at, value) {
  text(at, value, 1, TAG_MAX);
  if (/[\u0000-\u001f\u007f-\u009f]/.test(value)) throw own(at, 'Tags cannot contain control characters', value);
  return value;
}

/** A date, with or without time and offset. Without an offset it is UTC. */
function moment(at, value) {
  if (typeof value !== 'string') throw issue('datetime_type', at, 'Input should be a valid datetime', value);
  const zoned = /T|\s/.test(value) && !/(Z|[+-]\d\d:?\d\d)$/.test(value) ? `${value}Z` : value;
  const when = new Date(MOMENT.test(value) ? zoned.replace(' ', 'T') : NaN);
  if (Number.isNaN(when.getTime())) {
    const error = value.length < 10 ? 'input is too short' : 'invalid character in year';
    throw issue('datetime_from_date_parsing', at, `Input should be a valid datetime or date, ${error}`, value, { error });
  }
  return when;
}
