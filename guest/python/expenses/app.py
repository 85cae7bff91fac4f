"""A plugin that keeps what people spend: each their own, in exact decimals."""

from datetime import date, datetime, timezone
from decimal import Decimal, InvalidOperation
from pathlib import Path

from innkeeper import sql
from innkeeper.tools import Refused, exported, owner, tool

MOST = Decimal("999999999.99")
AMOUNT = {"type": "string", "maxLength": 20, "description": "In digits, such as 12.50"}
CATEGORY = {"type": "string", "minLength": 1, "maxLength": 40, "description": "Such as food, travel or rent"}
DAY = {"type": "string", "maxLength": 10, "description": "Such as 2026-11-22"}
SUM = {"type": "object", "properties": {"category": {"type": "string"}, "total": AMOUNT}, "required": ["category", "total"]}

# Read once, when the component is made.
SQL = Path(__file__).parent / "sql"


def text(name: str) -> str:
    return (SQL / name).read_text()


Schema = sql.declared(
    statements={name: text(f"{name}.sql") for name in ["expense-add", "expense-sums"]},
    migrations=[("keep expenses", text("0001.postgres.sql"), text("0001.sqlite.sql"))],
    owned={"expenses": "user_id"},
)


@tool(
    "Note what the user has spent. The day is today unless they say otherwise.",
    input={"amount": AMOUNT, "category": CATEGORY, "day": {**DAY, "default": ""}},
    output={"noted": AMOUNT, "category": {"type": "string"}, "day": {"type": "string"}},
)
def add_expense(amount: str, category: str, day: str = "") -> dict:
    cents, when = in_cents(amount), on(day) or today()
    sql.run("expense-add", owner(), category.strip().lower(), cents, when.isoformat(), datetime.now(timezone.utc))
    return {"noted": as_amount(cents), "category": category.strip().lower(), "day": when.isoformat()}


@tool(
    "Add up what the user has spent, by category; between two days, both included.",
    input={"since": {**DAY, "default": ""}, "until": {**DAY, "default": ""}},
    output={"total": AMOUNT, "categories": {"type": "array", "items": SUM}},
    read_only=True,
)
def sum_expenses(since: str = "", until: str = "") -> dict:
    first, last = on(since) or date.min, on(until) or date.max
    sums = sql.run("expense-sums", owner(), first.isoformat(), last.isoformat())
    categories = [{"category": row["category"], "total": as_amount(int(row["cents"]))} for row in sums]
    return {"total": as_amount(sum(int(row["cents"]) for row in sums)), "categories": categories}


Tools = exported(add_expense, sum_expenses)


def in_cents(amount: str) -> int:
    try:
        number = Decimal(amount.strip())
    except InvalidOperation:
        raise Refused(f"{amount!r} is no amount; write it as 12.50.") from None
    if not number.is_finite() or not 0 < number <= MOST or number != round(number, 2):
        raise Refused(f"{amount!r} is no amount above 0 with at most two decimals.")
    return int(number * 100)


def as_amount(cents: int) -> str:
    return f"{Decimal(cents) / 100:.2f}"


def on(day: str) -> date | None:
    try:
        return date.fromisoformat(day) if day else None
    except ValueError:
        raise Refused(f"{day!r} is no day; write it as 2026-11-22.") from None


def today() -> date:
    return datetime.now(timezone.utc).date()
