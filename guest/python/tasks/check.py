"""What may be sent, and FastAPI's words for what may not."""

import re
from dataclasses import dataclass
from datetime import datetime, timezone

TITLE_MAX, DESCRIPTION_MAX, TAGS_MAX, TAG_MAX = 200, 1000, 20, 50
UNLIMITED, PAGE_MAX = 1000, 100
PRIORITIES = ("low", "medium", "high")
WORDS = {True: ("1", "on", "t", "true", "y", "yes"), False: ("0", "off", "f", "false", "n", "no")}
STATUSES = {"all": None, "pending": False, "completed": True}


class Invalid(Exception):
    """Everything that is wrong, in the order of the fields."""

    def __init__(self, *issues: dict):
        self.issues = list(issues)


@dataclass
class NewTask:
    title: str
    description: str | None
    completed: bool
    priority: str
    due_date: datetime | None
    tags: list[str]


def issue(kind: str, at: list, words: str, given, **context) -> Invalid:
    told = {"type": kind, "loc": at, "msg": words, "input": given}
    return Invalid({**told, "ctx": context} if context else told)


def invalid_json(words: str, position: int) -> Invalid:
    return issue("json_invalid", ["body", position], "JSON decode error", {}, error=words)


def every(*checks) -> list:
    """What all checks give, or all that they find."""
    values, issues = [], []
    for check in checks:
        try:
            values.append(check())
        except Invalid as invalid:
            issues += invalid.issues
    if issues:
        raise Invalid(*issues)
    return values


def fields(body) -> dict:
    if body is None:
        raise issue("missing", ["body"], "Field required", None)
    if not isinstance(body, dict):
        words = "Input should be a valid dictionary or object to extract fields from"
        raise issue("model_attributes_type", ["body"], words, body)
    return body


def new_task(body) -> NewTask:
    given = fields(body)

    def field(name, check, default):
        return lambda: check(["body", name], given[name]) if name in given else default

    def title_given():
        if "title" not in given:
            raise issue("missing", ["body", "title"], "Field required", given)
        return title(["body", "title"], given["title"])

    return NewTask(
        *every(
            title_given,
            field("description", or_null(lambda at, value: text(at, value, 0, DESCRIPTION_MAX)), None),
            field("completed", boolean, False),
            field("priority", priority, "medium"),
            field("due_date", or_null(moment), None),
            field("tags", tags, []),
        )
    )


def completion(body) -> bool | None:
    """What to set the flag to, or None to toggle it."""
    given = fields(body or {})
    return or_null(boolean)(["body", "completed"], given.get("completed"))


def task_id(given: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", given):
        words = "Input should be a valid integer, unable to parse string as an integer"
        raise issue("int_parsing", ["path", "task_id"], words, given)
    return int(given)


def listing(query: dict[str, str]) -> tuple[bool | None, int, int]:
    def status():
        given = query.get("status", "all")
        if given not in STATUSES:
            expected = "'all', 'pending' or 'completed'"
            raise issue("literal_error", ["query", "status"], f"Input should be {expected}", given, expected=expected)
        return STATUSES[given]

    return tuple(every(status, number(query, "limit", 1, PAGE_MAX, UNLIMITED), number(query, "offset", 0, None, 0)))


def number(query: dict[str, str], name: str, least: int, most: int | None, default: int):
    def check():
        given = query.get(name, str(default))
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", given):
            words = "Input should be a valid integer, unable to parse string as an integer"
            raise issue("int_parsing", ["query", name], words, given)
        if int(given) < least:
            words = f"Input should be greater than or equal to {least}"
            raise issue("greater_than_equal", ["query", name], words, given, ge=least)
        if name in query and most is not None and int(given) > most:
            words = f"Input should be less than or equal to {most}"
            raise issue("less_than_equal", ["query", name], words, given, le=most)
        return int(given)

    return check


def or_null(check):
    return lambda at, value: None if value is None else check(at, value)


def text(at: list, value, least: int, most: int) -> str:
    if not isinstance(value, str):
        raise issue("string_type", at, "Input should be a valid string", value)
    if len(value) < least:
        raise issue("string_too_short", at, f"String should have at least {least} character", value, min_length=least)
    if len(value) > most:
        raise issue("string_too_long", at, f"String should have at most {most} characters", value, max_length=most)
    if "\0" in value:
        raise own(at, "Text cannot contain NUL characters", value)
    return value


def title(at: list, value) -> str:
    if not text(at, value, 1, TITLE_MAX).strip():
        raise own(at, "Title cannot be empty", value)
    return value


def own(at: list, sentence: str, value) -> Invalid:
    return issue("value_error", at, f"Value error, {sentence}", value, error={})


def boolean(at: list, value) -> bool:
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        for word, words in WORDS.items():
            if value.lower() in words:
                return word
    if isinstance(value, str) or (isinstance(value, (int, float)) and value == int(value)):
        raise issue("bool_parsing", at, "Input should be a valid boolean, unable to interpret input", value)
    raise issue("bool_type", at, "Input should be a valid boolean", value)


def priority(at: list, value) -> str:
    if value not in PRIORITIES:
        expected = "'low', 'medium' or 'high'"
        raise issue("enum", at, f"Input should be {expected}", value, expected=expected)
    return value


def tags(at: list, value) -> list[str]:
    if not isinstance(value, list):
        raise issue("list_type", at, "Input should be a valid list", value)
    if len(value) > TAGS_MAX:
        words = f"List should have at most {TAGS_MAX} items after validation, not {len(value)}"
        raise issue("too_long", at, words, value, field_type="List", max_length=TAGS_MAX, actual_length=len(value))
    return list(dict.fromkeys(every(*(lambda item=item, to=[*at, n]: tag(to, item) for n, item in enumerate(value)))))


def tag(at: list, value) -> str:
    text(at, value, 1, TAG_MAX)
    if re.search(r"[\x00-\x1f\x7f-\x9f]", value):
        raise own(at, "Tags cannot contain control characters", value)
    return value


def moment(at: list, value) -> datetime:
    """A date, with or without time and offset. Without an offset it is UTC."""
    if not isinstance(value, str):
        raise issue("datetime_type", at, "Input should be a valid datetime", value)
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        why = "input is too short" if len(value) < 10 else "invalid character in year"
        words = f"Input should be a valid datetime or date, {why}"
        raise issue("datetime_from_date_parsing", at, words, value, error=why) from None
    return when if when.tzinfo else when.replace(tzinfo=timezone.utc)
