"""The MCP contender: one trivial tool by the official SDK, as its documentation
sets up a server that scales: stateless, answering JSON. `cargo xtask bench`
starts it with uvicorn, uvloop, httptools and two workers."""

from mcp.server.mcpserver import MCPServer
from starlette.requests import Request
from starlette.responses import PlainTextResponse

server = MCPServer("bench")


@server.tool()
def test_simple_text() -> str:
    """Tests a simple text response."""
    return "This is a simple text response for testing."


@server.custom_route("/health/ready", methods=["GET"])
async def ready(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("ready")


app = server.streamable_http_app(stateless_http=True, json_response=True)
