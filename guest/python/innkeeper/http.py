"""Requests over HTTP, each whole, and their answers."""

import json
import sys
import traceback
from dataclasses import dataclass, field
from typing import Callable
from urllib.parse import parse_qsl, unquote

from .errors import Busy

try:
    from componentize_py_types import Err, Ok
    from wit_world.imports import streams, types as wit
except ModuleNotFoundError:  # On your own machine functions are tested as functions.
    pass

# What is read or written at once: the host gives no more.
CHUNK = 64 * 1024


@dataclass
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Response:
    """What is answered."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, value, **headers: str) -> "Response":
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(status, body, {"content-type": "application/json", **named})


def exported(answer: Callable[[Request], Response]) -> type:
    """The export: `IncomingHandler = exported(answer)` in the module that is the app."""

    class IncomingHandler:
        def handle(self, request, response_out):
            send(safely(answer, receive(request)), response_out)

    return IncomingHandler


def safely(answer: Callable[[Request], Response], request: Request) -> Response:
    try:
        return answer(request)
    except Busy as busy:
        print(f"the database did not answer: {busy}", file=sys.stderr)
        return Response.json(503, {"detail": "Service temporarily unavailable"}, retry_after="1")
    except Exception:
        # For the operator's log; the client learns that it failed.
        traceback.print_exc(file=sys.stderr)
        return Response.json(500, {"detail": "Internal Server Error"})


def receive(request) -> Request:
    kind = request.method()
    method = kind.value if isinstance(kind, wit.Method_Other) else type(kind).__name__.removeprefix("Method_").upper()
    path, _, query = (request.path_with_query() or "/").partition("?")
    headers = {name.lower(): value.decode("latin-1") for name, value in request.headers().entries()}
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    return Request(method, unquote(path), pairs, headers, read(request.consume()))


def read(incoming) -> bytes:
    parts = []
    with incoming, incoming.stream() as stream:
        while True:
            try:
                parts.append(stream.blocking_read(CHUNK))
            except Err as error:
                if isinstance(error.value, streams.StreamError_Closed):
                    return b"".join(parts)
                raise


def send(response: Response, response_out) -> None:
    fields = wit.Fields.from_list([(name, value.encode("latin-1")) for name, value in response.headers.items()])
    outgoing = wit.OutgoingResponse(fields)
    outgoing.set_status_code(response.status)
    body = outgoing.body()
    wit.ResponseOutparam.set(response_out, Ok(outgoing))
    with body.write() as stream:
        rest = response.body
        while rest:
            # Where there is no room at the moment, this waits for some.
            room = stream.check_write()
            if room == 0:
                stream.subscribe().block()
                continue
            stream.write(rest[:room])
            rest = rest[room:]
        stream.flush()
    wit.OutgoingBody.finish(body, None)
