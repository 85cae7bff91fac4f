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
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from openai import AsyncOpenAI
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

NEW_CONVERSATION = "INSERT INTO conversations (user_id, title) VALUES ($1, $2) RETURNING id"
NEW_MESSAGE = (
    "INSERT INTO messages (conversation_id, user_id, role, content) VALUES ($1, $2, $3, $4)"
)
HISTORY = "SELECT role, content FROM messages WHERE conversation_id = $1 AND user_id = $2 ORDER BY id LIMIT 100"

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
# Reads OPENAI_API_KEY and OPENAI_BASE_URL.
model = AsyncOpenAI()


async def pool(request: Request) -> asyncpg.Pool:
    return request.app.state.pool


def subject(credentials: HTTPAuthorizationCredentials) -> str:
    try:
        claims = jwt.decode(
            credentials.credentials, SECRET, algorithms=["HS256"], options={"require": ["exp", "sub"]}
        )
    except jwt.InvalidTokenError as cause:
        raise HTTPException(
            401, "Could not validate credentials", headers={"WWW-Authenticate": "Bearer"}
        ) from cause
    return claims["sub"]


async def owner(
    user_id: str,
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
) -> str:
    """The user in the path, who has proved to be that user."""
    if subject(credentials) != user_id:
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


class Chat(BaseModel):
    message: str = Field(min_length=1)
    conversation_id: int | None = None


@app.post("/api/chat")
async def chat(
    asked: Chat,
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
    pool: Pool,
) -> StreamingResponse:
    """A chat whose answer is streamed. Like Innkeeper's, it stores what the user
    says before the model is asked, and the answer before the end is told."""
    user = subject(credentials)
    conversation = asked.conversation_id or await pool.fetchval(NEW_CONVERSATION, user, asked.message[:60])
    await pool.execute(NEW_MESSAGE, conversation, user, "user", asked.message)
    history = await pool.fetch(HISTORY, conversation, user)
    stream = await model.chat.completions.create(
        model=os.environ["OPENAI_MODEL"],
        messages=[{"role": row["role"], "content": row["content"]} for row in history],
        stream=True,
        stream_options={"include_usage": True},
    )

    async def events() -> AsyncIterator[str]:
        text = []
        async for chunk in stream:
            if chunk.choices and (piece := chunk.choices[0].delta.content):
                text.append(piece)
                yield f"event: delta\ndata: {json.dumps({'delta': piece})}\n\n"
        await pool.execute(NEW_MESSAGE, conversation, user, "assistant", "".join(text))
        yield f"event: done\ndata: {json.dumps({'conversation_id': conversation})}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")
