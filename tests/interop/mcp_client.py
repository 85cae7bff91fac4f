"""The official Python client, in both eras of the protocol:
`python mcp_client.py TODO_URL CONFORMANCE_URL TOKEN`."""

import asyncio
import sys

import httpx2
from mcp import types
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

TODO, CONFORMANCE, TOKEN = sys.argv[1:4]


async def answer(_context, _params):
    return types.ElicitResult(action="accept", content={"username": "ada", "email": "ada@example.com"})


def text(result):
    return result.content[0].text


async def check(mode):
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20) as http:
        async with Client(
            streamable_http_client(CONFORMANCE, http_client=http), mode=mode, elicitation_callback=answer
        ) as client:
            assert len((await client.list_tools()).tools) > 20
            assert text(await client.call_tool("test_simple_text", {})) == "This is a simple text response for testing."
            elicited = text(await client.call_tool("test_elicitation", {"message": "Who?"}))
            assert "action=accept" in elicited and "ada@example.com" in elicited, elicited
            steps = []

            async def step(progress, _total, _message):
                steps.append(progress)

            await client.call_tool("test_tool_with_progress", {}, progress_callback=step)
            assert steps == [0, 50, 100], steps
            read = await client.read_resource("test://static-text")
            assert read.contents[0].text == "This is the content of the static text resource."
            assert len((await client.get_prompt("test_simple_prompt")).messages) == 1
            if mode != "legacy":
                async with client.listen(tools_list_changed=True) as changes:
                    await client.call_tool("test_trigger_tool_change", {})
                    await asyncio.wait_for(anext(aiter(changes)), 10)
        async with Client(streamable_http_client(TODO, http_client=http), mode=mode) as client:
            title = f"by Python, {mode}"
            added = await client.call_tool("add_task", {"title": title})
            assert not added.is_error, added
            assert title in str(await client.call_tool("list_tasks", {}))
    print(f"mcp, {mode}: lists, calls, elicits, listens, and adds a todo as its caller")


for chosen in ["2026-07-28", "auto", "legacy"]:
    asyncio.run(check(chosen))
