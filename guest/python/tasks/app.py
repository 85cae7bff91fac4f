"""The todo guest's tasks in Python: another module behind the same frontend.

A part of what `guest/todo` serves: list, create, find, complete, delete. It declares
the same statements and migrations, out of the same files, so that either can take the
other's place on one database. What it answers is checked against the todo guest's
answers by `cargo xtask interop`.
"""

import json
import re
import sys
from datetime import datetime, timezone
from pathlib import Path

from innkeeper import caller, http, sql
from innkeeper.http import Request, Response

import check
from check import Invalid

# Read once, when the component is made. `--python-path` names the folder of the SQL.
ROOT = next(path for path in map(Path, sys.path) if (path / "task-list.sql").exists())
STATEMENTS = ["task-list", "task-search", "task-find", "task-create", "task-complete", "task-delete"]
MIGRATIONS = ["create tasks", "let owners have their own ids", "keep conversations"]
OWNED = ["tasks", "conversations", "messages", "tool_calls"]


def migration(version: int, name: str) -> tuple[str, str, str]:
    texts = ((ROOT / f"migrations/{version:04}.{kind}.sql").read_text() for kind in ["postgres", "sqlite"])
    return (name, *texts)


Schema = sql.declared(
    statements={name: (ROOT / f"{name}.sql").read_text() for name in STATEMENTS},
    migrations=[migration(at + 1, name) for at, name in enumerate(MIGRATIONS)],
    owned={table: "user_id" for table in OWNED},
)

ROUTE = re.compile(r"/api/([^/]+)/tasks(?:/([^/]+)(/complete)?)?")
# Encloses each tag in the index that the todo guest searches by.
SEPARATOR = "\x1f"


def answer(request: Request) -> Response:
    route = ROUTE.fullmatch(request.path)
    if route is None:
        return detail(404, "Not Found")
    user, task, complete = route.groups()
    methods = METHODS["all" if task is None else "complete" if complete else "one"]
    if request.method not in methods:
        return Response.json(405, {"detail": "Method Not Allowed"}, allow=", ".join(methods))
    try:
        body = parsed(request)
        who = caller.current()
        if who is None:
            return Response.json(401, {"detail": "Not authenticated"}, www_authenticate="Bearer")
        call = methods[request.method](request, body, task)
        if user != who.subject:
            return detail(403, "Access denied: user ID mismatch")
        return call(who.subject)
    except Invalid as invalid:
        return detail(422, invalid.issues)
    except UnicodeDecodeError:
        return detail(400, "There was an error parsing the body")


# Each checks what was sent, and gives what answers it: whoever may not do it is told
# so only after what is wrong with it, as FastAPI does.


def list_tasks(request: Request, _body, _task):
    completed, limit, offset = check.listing(request.query)
    if completed is None:
        rows = lambda owner: sql.run("task-list", owner, limit, offset)
    else:
        filters = (completed, None, None, None, "created_desc", limit, offset)
        rows = lambda owner: sql.run("task-search", owner, *filters)
    return lambda owner: Response.json(200, [shown(row) for row in rows(owner)])


def create(_request: Request, body, _task):
    new = check.new_task(body)
    tags = sorted({tag.lower() for tag in new.tags})
    index = "".join(f"{SEPARATOR}{tag}{SEPARATOR}" for tag in tags)
    fields = (new.title, new.description, new.completed, new.priority, new.due_date, sql.Json(new.tags), index)
    return lambda owner: one(201, sql.run("task-create", owner, *fields, now()))


def find(_request: Request, _body, task):
    number = check.task_id(task)
    return lambda owner: one(200, sql.run("task-find", owner, number))


def complete(_request: Request, body, task):
    number, completed = check.every(lambda: check.task_id(task), lambda: check.completion(body))
    return lambda owner: one(200, sql.run("task-complete", owner, number, completed, now()))


def delete(_request: Request, _body, task):
    number = check.task_id(task)

    def deleted(owner):
        if not sql.run("task-delete", owner, number):
            return detail(404, "Task not found")
        return Response.json(200, {"message": "Task deleted successfully"})

    return deleted


METHODS = {
    "all": {"GET": list_tasks, "POST": create},
    "one": {"GET": find, "DELETE": delete},
    "complete": {"POST": complete, "PATCH": complete},
}


def parsed(request: Request):
    """The body: nothing, JSON, or a text that is no JSON, which no field accepts."""
    if request.method not in ("POST", "PATCH") or not request.body:
        return None
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if not re.fullmatch(r"application/(.+\+)?json", kind):
        return request.body.decode(errors="replace")
    try:
        return json.loads(request.body.decode())
    except json.JSONDecodeError as error:
        raise check.invalid_json(error.msg, error.pos) from None


def one(status: int, rows: list[dict]) -> Response:
    return Response.json(status, shown(rows[0])) if rows else detail(404, "Task not found")


def shown(row: dict) -> dict:
    tags = row["tags"]
    row["tags"] = json.loads(tags) if isinstance(tags, str) else tags
    return {name: written(value) if isinstance(value, datetime) else value for name, value in row.items()}


def written(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")


def detail(status: int, what) -> Response:
    return Response.json(status, {"detail": what})


def now() -> datetime:
    return datetime.now(timezone.utc)


IncomingHandler = http.exported(answer)
