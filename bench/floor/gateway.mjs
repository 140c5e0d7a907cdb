// The floor of a governed call: a gateway written by hand for one principal and one tool. An allow list, an intent committed
// before the call and its result after it, which hold what the product's hold (ledger.mjs); `--shared`: calls in flight share
// commits; `--file`: and have no engine. `--plain`: two chained rows only (chain.mjs). `--pass-through`: nothing but forwarding. `--http`: prints its port.
//   node gateway.mjs <journal.db> [--shared | --file | --plain | --pass-through] [--http] -- <downstream program and arguments>
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { openChain } from './chain.mjs';
import { openLedger } from './ledger.mjs';

const [path, ...rest] = process.argv.slice(2);
const split = rest.indexOf('--');
const flags = rest.slice(0, split);
const [passThrough, plain] = ['--pass-through', '--plain'].map((flag) => flags.includes(flag));
const [command, ...args] = rest.slice(split + 1);

const ALLOWED = new Set(['echo']);
const chain = plain ? openChain(path) : undefined;
const shares = { isShared: flags.includes('--shared'), toFile: flags.includes('--file') };
const ledger = plain || passThrough ? undefined : openLedger(path, shares);

const downstream = new Client(
  { name: 'gateway', version: '1.0.0' },
  { capabilities: {}, versionNegotiation: { mode: { pin: '2026-07-28' } } },
);
await downstream.connect(new StdioClientTransport({ command, args, stderr: 'ignore' }));
const listed = await downstream.listTools();

const DIGEST = `sha256:${'0'.repeat(64)}`;
const forward = ({ name, arguments: given }) => downstream.callTool({ name, arguments: given });

async function plainCall(params) {
  if (!ALLOWED.has(params.name)) return refuse();
  chain.append('session', 'intent', { name: params.name, arguments: params.arguments });
  const result = await forward(params);
  chain.append('session', 'result', { result });
  return result;
}

function refuse() {
  return { isError: true, content: [{ type: 'text', text: 'not allowed' }] };
}

async function recordedCall(params) {
  if (!ALLOWED.has(params.name)) return refuse();
  const id = `call_${randomUUID()}`;
  const who = {
    call_id: id,
    tool: params.name,
    principal_id: 'os:0',
    actor_id: 'stdio:1',
    tenant_id: 'local',
    agent_id: 'bench',
  };
  const run = {
    run_id: `run_${randomUUID()}`,
    trace_id: randomUUID(),
    session_id: 'ses_0123456789abcdefghjkmnpqrs',
    task_type: 'agent-session',
  };
  const decided = {
    decision: 'allow',
    rule_id: 'allow_list',
    layer: 'workspace',
    policy_digest: DIGEST,
    reasons: ['The allow list has it.'],
  };
  const intent = {
    receipt_id: `rcp_${randomUUID()}`,
    action_digest: DIGEST,
    pin: DIGEST,
    execution_mode: 'subprocess',
    arguments: params.arguments,
  };
  await ledger.append(
    'call_started',
    id,
    'in_progress',
    { ...who, ...run, ...decided, ...intent },
    { args: params.arguments },
  );
  const begun = performance.now();
  const result = await forward(params);
  const ended = {
    receipt_id: `rcp_${randomUUID()}`,
    start_receipt_id: intent.receipt_id,
    status: 'done',
    outcome: 'success',
    duration_ms: performance.now() - begun,
  };
  await ledger.append(
    'call_finished',
    id,
    'done',
    { ...who, ...run, ...ended, result: { content: result.content } },
    result,
  );
  return result;
}

const handle = passThrough ? forward : plain ? plainCall : recordedCall;

function build() {
  const server = new McpServer({ name: 'gateway', version: '1.0.0' }, { capabilities: { tools: {} } });
  server.server.setRequestHandler('tools/list', () => ({ tools: listed.tools }));
  server.server.setRequestHandler('tools/call', ({ params }) => handle(params));
  return server;
}

if (flags.includes('--http')) {
  const server = createServer(toNodeHandler(createMcpHandler(build)));
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
} else {
  serveStdio(build);
  process.stdin.on('close', () => process.exit(0));
}
