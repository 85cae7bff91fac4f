// The official TypeScript clients, the current one and the one before it, in both
// eras of the protocol: `node mcp_clients.mjs TODO_URL CONFORMANCE_URL TOKEN`.
import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as OlderClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as OlderTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema, ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";

const [todo, conformance, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const info = { name: "interop", version: "1" };
const capabilities = { elicitation: { form: {} } };
const text = (result) => result.content[0].text;
const within = (promise, what) =>
  Promise.race([promise, new Promise((_, late) => setTimeout(late, 10_000, new Error(`${what}: not in time`)).unref())]);

const current = (mode) => async (url) => {
  const client = new Client(info, { capabilities, versionNegotiation: { mode } });
  const accept = () => ({ action: "accept", content: { username: "ada", email: "ada@example.com", name: "Ada" } });
  client.setRequestHandler("elicitation/create", accept);
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  return client;
};

const older = async (url) => {
  const client = new OlderClient(info, { capabilities });
  const content = { username: "ada", email: "ada@example.com" };
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: "accept", content }));
  await client.connect(new OlderTransport(new URL(url), { requestInit: { headers } }));
  return client;
};

for (const [name, connect, modern] of [
  ["@modelcontextprotocol/client, 2026-07-28", current({ pin: "2026-07-28" }), true],
  ["@modelcontextprotocol/client, auto", current("auto"), true],
  ["@modelcontextprotocol/client, legacy", current("legacy"), false],
  ["@modelcontextprotocol/sdk", older, false],
]) {
  const client = await connect(conformance);
  const { tools } = await client.listTools();
  assert.ok(tools.length > 20, `${tools.length} tools`);
  assert.equal(text(await client.callTool({ name: "test_simple_text", arguments: {} })), "This is a simple text response for testing.");
  const elicited = await client.callTool({ name: "test_elicitation", arguments: { message: "Who?" } });
  assert.match(text(elicited), /action=accept.*ada@example\.com/);
  const steps = [];
  await client.callTool({ name: "test_tool_with_progress", arguments: {} }, ...(modern || connect !== older ? [{ onprogress: (step) => steps.push(step.progress) }] : [undefined, { onprogress: (step) => steps.push(step.progress) }]));
  assert.deepEqual(steps, [0, 50, 100]);
  assert.equal((await client.readResource({ uri: "test://static-text" })).contents[0].text, "This is the content of the static text resource.");
  assert.equal((await client.getPrompt({ name: "test_simple_prompt" })).messages.length, 1);
  if (modern) {
    let heard;
    const changed = new Promise((resolve) => (heard = resolve));
    client.setNotificationHandler("notifications/tools/list_changed", heard);
    const listening = await client.listen({ toolsListChanged: true });
    await client.callTool({ name: "test_trigger_tool_change", arguments: {} });
    await within(changed, "list_changed");
    await listening.close();
  } else {
    await client.subscribeResource({ uri: "test://watched-resource" });
    await client.unsubscribeResource({ uri: "test://watched-resource" });
  }
  await client.close();

  const todos = await connect(todo);
  const names = (await todos.listTools()).tools.map((tool) => tool.name);
  assert.ok(names.includes("add_task") && names.includes("list_tasks"), names.join());
  const title = `by ${name}`;
  const added = await todos.callTool({ name: "add_task", arguments: { title } });
  assert.ok(!added.isError, JSON.stringify(added));
  const listed = await todos.callTool({ name: "list_tasks", arguments: {} });
  assert.ok(JSON.stringify(listed).includes(title), JSON.stringify(listed));
  await todos.close();
  console.log(`${name}: lists, calls, elicits, listens, and adds a todo as its caller`);
}
