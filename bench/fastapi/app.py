"""The FastAPI contender: the benchmark's three requests, written as a team
that knows FastAPI and asyncpg would write them. `cargo xtask bench` starts it
with uvicorn, uvloop, httptools and two workers."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Literal

import asyncpg
import jwt
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

SECRET = os.environ["BETTER_AUTH_SECRET"]
COLUMNS = (
    "id, user_id, title, description, completed, priority, due_date, tags, "
    "created_at, updated_at"
)
LIST = (
    f"SELECT {COLUMNS} FROM tasks WHERE user_id = $1 "
    "ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3"
)
CREATE = (
    "INSERT INTO tasks (user_id, title, description, completed, priority, due_date, tags) "
    f"VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {COLUMNS}"
)

Priority = Literal["low", "medium", "high"]


class NewTask(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=1000)
    completed: bool = False
    priority: Priority = "medium"
    due_date: datetime | None = None
    tags: list[str] = []


class Task(BaseModel):
    id: int
    user_id: str
    title: str
    description: str | None
    completed: bool
    priority: Priority
    due_date: datetime | None
    tags: list[str]
    created_at: datetime
    updated_at: datetime


async def prepare_connection(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
    )


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        os.environ["DATABASE_URL"], min_size=10, max_size=10, init=prepare_connection
    ) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)
bearer = HTTPBearer()


async def pool(request: Request) -> asyncpg.Pool:
    return request.app.state.pool


async def owner(
    user_id: str,
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
) -> str:
    """The user in the path, who has proved to be that user."""
    try:
        claims = jwt.decode(
            credentials.credentials, SECRET, algorithms=["HS256"], options={"require": ["exp", "sub"]}
        )
    except jwt.InvalidTokenError as cause:
        raise HTTPException(
            401, "Could not validate credentials", headers={"WWW-Authenticate": "Bearer"}
        ) from cause
    if claims["sub"] != user_id:
        raise HTTPException(403, "Access denied: user ID mismatch")
    return user_id


Pool = Annotated[asyncpg.Pool, Depends(pool)]
Owner = Annotated[str, Depends(owner)]


@app.get("/")
async def hello() -> dict[str, str]:
    return {"message": "Hello from Python"}


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/api/{user_id}/tasks")
async def list_tasks(
    user: Owner,
    pool: Pool,
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> list[Task]:
    rows = await pool.fetch(LIST, user, limit, offset)
    return [Task.model_construct(**row) for row in rows]


@app.post("/api/{user_id}/tasks", status_code=201)
async def create_task(user: Owner, pool: Pool, new: NewTask) -> Task:
    row = await pool.fetchrow(
        CREATE, user, new.title, new.description, new.completed, new.priority, new.due_date, new.tags
    )
    return Task.model_construct(**row)
