// A process that runs workflows through the real runtime on a SQLite file, as its parent says: one JSON line in, one out.
// A line out is an acknowledgement. Runs the built code: Node 20 cannot run the sources.
import { createInterface } from 'node:readline';
import { systemClock } from '../../../dist/base/clock.js';
import { randomIds } from '../../../dist/base/ids.js';
import { verifyStore } from '../../../dist/inspect/evidence.js';
import { createRuntime } from '../../../dist/runtime/runtime.js';
import { fileTenantKeys } from '../../../dist/store/sealing.js';
import { openSqliteStore } from '../../../dist/store/sqlite/open.js';
import { reachEffects } from '../effects.mjs';
import { workerConfig } from '../worker-config.mjs';
import { fastClock } from './clock.mjs';
import { think } from './mind.mjs';
import { createTrap, deadlyExecutor, deadlyStore, PLANTS } from './saboteur.mjs';

const tenant = 'local';
const caller = { tenant, principal: 'os:1000', actor: 'stdio:1', roles: [], scopes: [], lane: 'default' };
const person = { tenant, principal: 'os:1000', roles: [], attestation: 'same_user', channel: 'terminal' };
const PAGE = 200;
// Of the fast clock.
const SIGN_OF_LIFE_MS = 30_000;
const PROFILE = {
  name: 'demo',
  provider: 'scripted',
  model: 'mind',
  deadlineMs: 600_000,
  maxResponseBytes: 1_048_576,
  maxOutputTokens: 1000,
  maxRetries: 0,
};

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const trap = createTrap(tell);
const io = { signal: new AbortController().signal };
let runtime;
let store;
let effects;
let gate = { name: undefined, opened: Promise.resolve(), open: () => undefined };

function config(root) {
  const base = workerConfig(root);
  const MOST = 100_000;
  return {
    ...base,
    limits: { maxTurnsPerSession: MOST, maxToolCallsPerSession: MOST, maxInputBytes: 1_048_576 },
    policy: { ...base.policy, cycle: { maxRepeats: MOST, windowSeconds: 600 } },
    models: { default: 'demo', profiles: { demo: PROFILE } },
    runtime: {
      ...base.runtime,
      maxToolHops: MOST,
      background: { ...base.runtime.background, maxQueued: 100, maxRunning: 4 },
    },
  };
}

const isThrough = async () => {
  if (gate.name === undefined) return;
  tell({ event: gate.name });
  await gate.opened;
};

function provider() {
  return {
    kind: 'scripted',
    model: 'mind',
    baseUrl: '',
    async generate({ messages }) {
      await isThrough();
      const said = { toolCalls: [], finishReason: 'stop', complete: true, usage: { total_tokens: 10 } };
      return { output: { ...said, ...think(messages) }, facts: { requestUrl: '', attempts: 1 } };
    },
  };
}

async function open({ directory, socket, place, plant, works }) {
  const keys = fileTenantKeys(`${directory}/state/keys`);
  const path = `${directory}/.agent-runtime/runtime.db`;
  const clock = fastClock(systemClock, place);
  store = await openSqliteStore({ path, keys, clock, ids: randomIds });
  effects = await reachEffects(socket);
  const planted = plant === '' ? store : plant.split(',').reduce((inner, name) => PLANTS[name](inner), store);
  runtime = await createRuntime({
    config: config(`${directory}/sandbox`),
    workspace: directory,
    stateDirectory: `${directory}/state`,
    env: {},
    clock,
    store: deadlyStore(planted, trap),
    createProvider: provider,
    executors: [deadlyExecutor({ effects, trap, clock, isOpen: isThrough })],
    callerOf: () => caller,
    instanceLeaseMs: SIGN_OF_LIFE_MS,
  });
  if (works) await runtime.startWorker();
}

/** Where a workflow stands, past every shortening. */
async function inspect({ id }) {
  return (await runtime.workflows()).inspect(caller, id);
}

async function accept({ sessionId }) {
  const records = await store.read({ tenant, aggregate: 'session', id: sessionId });
  const ended = records.findLast(({ header }) => header.type === 'invocation_ended');
  const { why, tool_call_id: call } = ended.evidence.value;
  if (why !== 'reconcile') return {}; // accepted before, and the workflow does not know it yet
  await runtime.resumeSession(caller, { session_id: sessionId, accept_unknown: [call] }, io);
  return { call };
}

const FACTS = [
  ...['call_id', 'node_id', 'session_id', 'wake_at', 'status', 'approval_id', 'attempt', 'iteration'],
  ...['workflow_id', 'parent'],
];

/** The records that came after position `after`, read past every wrapper. */
async function audit({ after }) {
  const records = [];
  let last = after;
  for (;;) {
    const page = await store.scan({ tenant, after: last, limit: PAGE });
    for (const { header, evidence, position } of page) {
      const facts = Object.fromEntries(FACTS.map((name) => [name, evidence.value?.[name]]));
      records.push({ type: header.type, chain: header.chain.id, at: header.at, ...facts });
      last = position;
    }
    if (page.length < PAGE) return { records, after: last };
  }
}

async function close() {
  await runtime.close();
  await store.close();
  effects.close();
}

function shut(name) {
  let go;
  gate = { name, opened: new Promise((resolve) => (go = resolve)), open: () => go() };
}

const ops = {
  open,
  inspect,
  accept,
  audit,
  close,
  arm: (next) => trap.arm(next.trap),
  start: async ({ workflow, background }) =>
    runtime.startWorkflow(caller, { workflow, ...(background ? { background } : {}) }, io),
  resume: ({ id }) => runtime.resumeWorkflow(caller, { session_id: id }, io),
  answer: ({ approvalId, decision }) =>
    runtime.deliverApproval(person, approvalId, { kind: 'answered', decision, latencyMs: 4000 }),
  verify: ({ anchor }) => verifyStore(store, anchor),
  // Sessions of their own, for the suite of resumes.
  startSession: ({ content }) =>
    runtime.startSession(caller, { execute_turn_input: { messages: [{ role: 'user', content }] } }, io),
  resumeSession: ({ id, content }) => {
    const more = content === undefined ? {} : { continuation_messages: [{ role: 'user', content }] };
    return runtime.resumeSession(caller, { session_id: id, ...more }, io);
  },
  shut: ({ name }) => shut(name),
  pass: () => {
    gate.open();
    gate = { ...gate, name: undefined };
  },
};

tell({ event: 'loaded' });
for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, of: rest } = JSON.parse(line);
  // Not awaited: workflows run side by side.
  Promise.resolve()
    .then(() => ops[op](rest))
    .then((value) => tell({ id, ok: true, value }))
    .catch(({ code, message, details, stack }) =>
      tell({ id, ok: false, code, message: code === undefined ? stack : message, details }),
    );
}
process.exit(0);
