"""Statements that were declared, run by their names; and what is declared.

The host reads the declaration once, while it loads the module, and vets, prepares and
caches every statement. A guest cannot run any other text.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

from .errors import Broken, Busy

try:
    from componentize_py_types import Err
    from wit_world.exports import schema
    from wit_world.imports import sql as wit
except ModuleNotFoundError:  # On your own machine functions are tested as functions.
    pass

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass
class Json:
    """A parameter that is JSON."""

    value: object


def run(statement: str, *params) -> list[dict]:
    """The rows that a declared statement finds or returns, each by its columns' names."""
    try:
        rows = wit.run(statement, [value(param) for param in params])
    except Err as error:
        transient = (wit.Error_Conflict, wit.Error_Busy, wit.Error_Timeout, wit.Error_Unavailable)
        kind = Busy if isinstance(error.value, transient) else Broken
        raise kind(f"{statement}: {error.value}") from None
    names = [cut(rows.heap, span) for span in rows.columns]
    cells = [cell(rows.heap, one) for one in rows.cells]
    width = len(names) or 1
    return [dict(zip(names, cells[at : at + width])) for at in range(0, len(cells), width)]


def value(param):
    """A parameter, as the host takes it."""
    match param:
        case None:
            return wit.Value_Null()
        case bool():
            return wit.Value_Boolean(param)
        case int():
            return wit.Value_Integer(param)
        case float():
            return wit.Value_Float(param)
        case str():
            return wit.Value_Text(param)
        case bytes():
            return wit.Value_Blob(param)
        case datetime():
            return wit.Value_Timestamp((param - EPOCH) // timedelta(microseconds=1))
        case Decimal():
            return wit.Value_Decimal(format(param, "f"))
        case UUID():
            return wit.Value_Uuid(str(param))
        case Json():
            return wit.Value_Json(json.dumps(param.value))
    raise Broken(f"{type(param).__name__} is no parameter of a statement")


def cell(heap: bytes, one):
    """A cell of a result. A time has a zone: UTC."""
    match one:
        case wit.Cell_Null():
            return None
        case wit.Cell_Text() | wit.Cell_Uuid():
            return cut(heap, one.value)
        case wit.Cell_Blob():
            return heap[one.value.start : one.value.start + one.value.length]
        case wit.Cell_Json():
            return json.loads(cut(heap, one.value))
        case wit.Cell_Decimal():
            return Decimal(cut(heap, one.value))
        case wit.Cell_Timestamp():
            return EPOCH + timedelta(microseconds=one.value)
    return one.value


def cut(heap: bytes, span) -> str:
    return heap[span.start : span.start + span.length].decode()


def declared(statements: dict[str, str], migrations: list[tuple[str, str, str]], owned: dict[str, str]) -> type:
    """The export: `Schema = declared(…)` in the module that is the app. Statements by
    name; migrations in order, each with its name and its text for Postgres and SQLite;
    tables whose rows belong to callers, with the column that says to whom."""

    class Schema:
        def declare(self):
            return schema.Declaration(
                [schema.Statement(name, text, None, None) for name, text in statements.items()],
                [schema.Migration(at + 1, *migration) for at, migration in enumerate(migrations)],
                [schema.OwnedTable(table, column) for table, column in owned.items()],
            )

    return Schema
