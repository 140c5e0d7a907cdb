// A process that makes governed calls through the real runtime on a SQLite file, as its parent says: one JSON line in, one
// out. A line out is an acknowledgement. Runs the built code: Node 20 cannot run the sources.
import { createInterface } from 'node:readline';
import { systemClock } from '../../dist/base/clock.js';
import { randomIds } from '../../dist/base/ids.js';
import { Series } from '../../dist/base/series.js';
import { verifyStore } from '../../dist/inspect/evidence.js';
import { createRuntime } from '../../dist/runtime/runtime.js';
import { fileTenantKeys } from '../../dist/store/sealing.js';
import { openSqliteStore } from '../../dist/store/sqlite/open.js';
import { reachEffects } from './effects.mjs';
import { createTrigger, deadlyExecutor, deadlyStore, planted } from './saboteur.mjs';
import { workerConfig } from './worker-config.mjs';

const tenant = 'local';
const caller = { tenant, principal: 'os:1000', actor: 'stdio:1', roles: [], scopes: [], lane: 'default' };
const person = {
  tenant,
  principal: 'os:1000',
  roles: [],
  attestation: 'client',
  channel: 'elicitation',
};
const delegation = { mode: 'platform_owned', delegatedPrincipalId: '', delegatedScope: '' };
const PAGE = 200;

const trigger = createTrigger();
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
let runtime;
let store;
let effects;

async function open({ directory, socket, leaseMs, plant }) {
  const keys = fileTenantKeys(`${directory}/state/keys`);
  const path = `${directory}/.agent-runtime/runtime.db`;
  store = await openSqliteStore({ path, keys, clock: systemClock, ids: randomIds });
  effects = await reachEffects(socket);
  runtime = await createRuntime({
    config: workerConfig(`${directory}/sandbox`),
    workspace: directory,
    stateDirectory: `${directory}/state`,
    env: {},
    store: deadlyStore(planted(store, plant), trigger),
    executors: [deadlyExecutor(effects, trigger, tell)],
    instanceLeaseMs: leaseMs,
  });
}

async function call({ session, tool, args, callId, startedAt }) {
  const context = {
    caller,
    agentId: 'agent-1',
    sessionId: session,
    runId: `run_${session}`,
    traceId: 'trace',
    taskType: 'agent-session',
    delegation,
  };
  const binding = { id: session, startedAt, actor: caller.actor, lane: 'default', task: 'agent-session' };
  // Every other call is answered before its outcome is on disk; nothing is told to the parent before the series is settled.
  const series = new Series();
  const io = { progress: () => undefined, signal: new AbortController().signal };
  const result = await runtime.kernel.call(
    { context, session: binding, tool, args, toolCallId: callId },
    Number(callId.split('_')[1]) % 2 === 0 ? { ...io, series } : io,
  );
  await series.settled();
  return {
    status: result.status,
    sideEffect: result.sideEffect,
    receipts: result.receiptIds,
    text: result.outcome?.content[0]?.text,
    replayed: result.outcome?.replayed,
    approvalId: result.approval?.subject.approvalId,
    code: result.error?.code,
  };
}

async function approve({ approvalId }) {
  const answered = { kind: 'answered', decision: 'approve', latencyMs: 4000 };
  return runtime.deliverApproval(person, approvalId, answered, caller.actor);
}

async function rows(kind) {
  const found = {};
  let cursor;
  do {
    const page = await store.list({ kind, tenant, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) });
    for (const row of page.items) found[row.id] = row.status;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return found;
}

/** What the store holds, read past every wrapper; `anchor` is what it held the last time. */
async function audit({ anchor }) {
  const records = [];
  let after = 0;
  for (;;) {
    const page = await store.scan({ tenant, after, limit: PAGE });
    for (const { header, evidence, position } of page) {
      records.push({ type: header.type, id: header.chain.id, ...pick(evidence.value) });
      after = position;
    }
    if (page.length < PAGE) break;
  }
  const verdict = await verifyStore(store, anchor);
  return { records, requests: await rows('request'), approvals: await rows('approval'), verdict };
}

function pick(evidence) {
  const { call_id, callId, receipt_id, start_receipt_id, approval_id, status } = evidence;
  return { call_id: call_id ?? callId, receipt_id, start_receipt_id, approval_id, status };
}

async function close() {
  await runtime.close();
  await store.close();
  effects.close();
}

const ops = {
  open,
  call,
  approve,
  audit,
  close,
  arm: ({ trap }) => trigger.arm(trap),
  die: () => trigger.die(),
};

tell({ event: 'loaded' });
for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, ...rest } = JSON.parse(line);
  // Not awaited: calls of one burst run side by side.
  Promise.resolve()
    .then(() => ops[op](rest))
    .then((value) => tell({ id, ok: true, value }))
    .catch((error) => tell({ id, ok: false, code: error.code, message: error.message }));
}
process.exit(0);
