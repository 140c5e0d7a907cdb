// One run of the fault suite: workers are killed one after another, and each next one has to find everything in order.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serveEffects } from './effects.mjs';
import { createLedger } from './ledger.mjs';
import { createRandom, schedule, shortfall, WINDOWS } from './schedule.mjs';
import { DIED, startWorker } from './worker-client.mjs';

const SHORT_LEASE_MS = 150;
// While a peer looks on, a busy machine must not make a live worker look gone.
const WATCHED_LEASE_MS = 3000;
const PATIENCE_MS = 20_000;
const SESSIONS = 4;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs it; `log` gets a line for each thing that went wrong. */
export async function runCampaign({ seed, kills, plant, log }) {
  const directory = mkdtempSync(join(tmpdir(), 'arp-faults-'));
  for (const name of ['.agent-runtime', 'state', 'sandbox'])
    mkdirSync(join(directory, name), { mode: 0o700 });
  const socket = join(directory, 'effects.sock');
  const effects = await serveEffects(socket);
  const random = createRandom(seed);
  const ledger = createLedger(effects, log);
  const run = {
    directory,
    socket,
    plant,
    effects,
    random,
    ledger,
    startedAt: Date.now(),
    happened: 0,
    windows: Object.fromEntries(WINDOWS.map((window) => [window, 0])),
    standby: startWorker(),
    carried: undefined,
    workers: new Set(),
    numbers: 0,
  };
  try {
    for (const trap of schedule(kills, random)) await oneKill(run, trap);
    await lastLook(run);
  } catch (error) {
    ledger.findings.add('other', 'the run itself', error.stack);
  } finally {
    for (const worker of [...run.workers, run.standby]) worker.kill();
    await Promise.all([...run.workers, run.standby].map((worker) => worker.ended));
    await effects.close();
    rmSync(directory, { recursive: true, force: true });
  }
  const missing = shortfall(kills, run.happened, run.windows);
  if (missing !== undefined) log(`SHORT: ${missing}`);
  const { lost, doubled, double_approvals, other } = ledger.findings.counts;
  return {
    line: {
      suite: 'faults',
      store: 'sqlite',
      seed,
      kills: run.happened,
      windows: run.windows,
      lost,
      doubled,
      double_approvals,
      unknown: ledger.unknownSaid(),
    },
    ok: missing === undefined && lost + doubled + double_approvals + other === 0,
    other,
  };
}

/** A worker whose store is open; the next one loads its modules meanwhile. */
async function openWorker(run, leaseMs) {
  const worker = await freshWorker(run);
  const { directory, socket, plant } = run;
  const opened = await worker.ask('open', { directory, socket, leaseMs, plant });
  if (opened === DIED || !opened.ok) throw new Error(`a worker did not open: ${JSON.stringify(opened)}`);
  return worker;
}

async function freshWorker(run) {
  const worker = run.standby;
  run.workers.add(worker);
  await worker.loaded;
  run.standby = startWorker();
  return worker;
}

async function buried(run, worker) {
  const { signal, code } = await worker.ended;
  run.workers.delete(worker);
  await run.effects.settled(run.workers.size);
  if (signal !== 'SIGKILL') throw new Error(`a worker ended by itself: ${signal ?? code}`);
  run.happened += 1;
}

function newCall(run, tool, more = {}) {
  const n = (run.numbers += 1);
  const args = tool === 'ticket' ? { key: `key-${n}`, n } : { n };
  const session = `ses_${n % SESSIONS}`;
  return run.ledger.plan({ callId: `call_${n}`, session, tool, args, ...more });
}

/** Makes the call once and lets the ledger judge the answer. A conflict is no answer: its process may live. */
async function make(run, worker, call, expected) {
  const before = run.effects.of(call.callId);
  const { callId, session, tool, args } = call;
  const answer = await worker.ask('call', { callId, session, tool, args, startedAt: run.startedAt });
  if (answer !== DIED && answer.code === 'CONFLICT' && call.state === 'doubt') return 'conflict';
  run.ledger.take(call, answer, before, expected);
  return answer === DIED ? 'died' : 'answered';
}

async function makePatiently(run, worker, call) {
  for (const since = Date.now(); Date.now() - since < PATIENCE_MS; await pause(10))
    if ((await make(run, worker, call)) !== 'conflict') return;
  run.ledger.findings.add(
    'other',
    call.callId,
    'never came to an end: the dead process still counts as alive',
  );
}

async function approve(run, worker, call) {
  run.ledger.approving(call);
  const answer = await worker.ask('approve', { approvalId: call.approvalId });
  run.ledger.approved(call, answer);
}

/** A new call, brought to where nothing but the call itself is left to make. */
async function prepared(run, worker, tool) {
  const call = newCall(run, tool);
  if (tool !== 'pay') return call;
  await make(run, worker, call, 'waiting_approval');
  if (call.state === 'waiting') await approve(run, worker, call);
  return call;
}

async function look(run, worker) {
  const found = await worker.ask('audit', { anchor: run.ledger.heads() });
  if (found === DIED || !found.ok) throw new Error(`the store could not be read: ${JSON.stringify(found)}`);
  run.ledger.checkStore(found.value);
  run.ledger.checkEffects();
  return found.value;
}

/** The same key, or the same approved action, under a call id that nobody has seen. */
async function makeUnderNewId(run, worker, call) {
  const { tool, args, session, ack } = call;
  if (call.state !== 'acked') return;
  if (tool === 'ticket') {
    const second = newCall(run, tool, { args, session, sameAs: call.callId });
    await make(run, worker, second, ack.status);
  } else if (tool === 'pay') {
    const second = newCall(run, tool, { args, session, sameAs: call.callId });
    await make(run, worker, second, 'waiting_approval'); // its approval is spent, whatever came of it
  }
}

async function recover(run, worker) {
  const { ledger, random } = run;
  for (const call of ledger.inDoubt()) {
    await makePatiently(run, worker, call);
    // Its approval may not have been answered before the end, or the answer not heard.
    if (call.state === 'waiting') {
      await approve(run, worker, call);
      await make(run, worker, call, 'done');
    }
    await make(run, worker, call);
    await makeUnderNewId(run, worker, call);
  }
  const settled = ledger.settled();
  for (const call of [...settled.slice(-3), random.pick(settled), random.pick(settled)])
    if (call !== undefined) await make(run, worker, call);
}

async function oneKill(run, trap) {
  if (trap.window === 'random') return killAtRandom(run, trap.variant);
  const watched = trap.variant === 'watched';
  const worker = run.carried ?? (await openWorker(run, watched ? WATCHED_LEASE_MS : SHORT_LEASE_MS));
  run.carried = undefined;
  await look(run, worker);
  await recover(run, worker);
  await make(
    run,
    worker,
    await prepared(run, worker, run.random.pick(['note', 'ticket', 'pay', 'look'])),
    'done',
  );

  const victim = await prepared(run, worker, trap.tool);
  await worker.ask('arm', { trap: { ...trap, callId: victim.callId } });
  const made = make(run, worker, victim);
  const peer = watched ? await watch(run, worker, victim) : undefined;
  await made;
  await buried(run, worker);
  run.windows[trap.window] += 1;
  run.carried = peer;
  const next = run.carried ?? (run.carried = await openWorker(run, SHORT_LEASE_MS));
  await look(run, next);
  run.ledger.checkWindow(victim, trap);
}

/** Another process leaves the call of a live one alone; then the live one dies. Gives back the other process. */
async function watch(run, worker, victim) {
  await worker.event('in_effect');
  const peer = await openWorker(run, SHORT_LEASE_MS);
  const { callId, session, tool, args } = victim;
  const again = { session, tool, args, startedAt: run.startedAt };
  const same = await peer.ask('call', { ...again, callId });
  if (same.ok || same.code !== 'CONFLICT')
    run.ledger.findings.add('other', callId, `a live process has it, but a peer got ${JSON.stringify(same)}`);
  if (tool === 'ticket') {
    const other = await peer.ask('call', { ...again, callId: `${callId}_peer` });
    if (other.value?.code !== 'CONFLICT')
      run.ledger.findings.add('other', callId, `its key is in use, but a peer got ${JSON.stringify(other)}`);
  }
  void worker.ask('die');
  return peer;
}

/** The parent kills at some moment: while the store opens, in a burst of calls, or while calls in doubt are settled. */
async function killAtRandom(run, variant) {
  const { random, carried } = run;
  run.carried = undefined;
  if (variant === 'opening' && carried === undefined) {
    const worker = await freshWorker(run);
    const { directory, socket, plant } = run;
    void worker.ask('open', { directory, socket, leaseMs: SHORT_LEASE_MS, plant });
    await pause(random.below(25));
    worker.kill();
    return buried(run, worker);
  }
  const worker = carried ?? (await openWorker(run, SHORT_LEASE_MS));
  await look(run, worker);
  if (variant !== 'recovering') await recover(run, worker);
  const ready = [];
  for (const tool of ['pay', 'note', 'ticket', 'pay', 'look', 'note'])
    ready.push(await prepared(run, worker, tool));
  const burst = [...run.ledger.inDoubt(), ...ready].map((call) => make(run, worker, call));
  burst.push(
    prepared(run, worker, 'pay').then((call) =>
      call.state === 'waiting' ? make(run, worker, call) : undefined,
    ),
  );
  await pause(random.below(25));
  worker.kill();
  await Promise.all(burst);
  return buried(run, worker);
}

/** No kill any more: all in doubt is settled, and every acknowledged call says again what it said. */
async function lastLook(run) {
  const worker = run.carried ?? (await openWorker(run, SHORT_LEASE_MS));
  await look(run, worker);
  await recover(run, worker);
  for (const call of run.ledger.settled()) await make(run, worker, call);
  const found = await look(run, worker);
  for (const [id, status] of Object.entries(found.requests))
    if (status === 'in_progress')
      run.ledger.findings.add('other', id, 'still in progress, and nobody runs it');
  await worker.ask('close');
}
