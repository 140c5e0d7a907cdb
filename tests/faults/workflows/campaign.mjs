// One run of the suite of workflows: workers are killed one after another, and each next one has to bring everything to
// its end.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serveEffects } from '../effects.mjs';
import { createRandom } from '../schedule.mjs';
import { DIED, startWorker } from '../worker-client.mjs';
import { timeAt } from './clock.mjs';
import { createWorkflow } from './definitions.mjs';
import { drive } from './drive.mjs';
import { createLedger } from './ledger.mjs';
import { schedule, shortfall, WINDOWS } from './schedule.mjs';

const WORKER = fileURLToPath(new URL('./worker.mjs', import.meta.url));
const VERIFY_EVERY = 100;
// A trap that a workflow did not spring gets more of them.
const MOST_WORKFLOWS = 5;
const MOST_OPEN = 6;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A place with all that a worker needs; `dispose` ends it. */
export async function createPlace(prefix) {
  const directory = mkdtempSync(join(tmpdir(), prefix));
  for (const name of ['.agent-runtime', 'state', 'sandbox'])
    mkdirSync(join(directory, name), { mode: 0o700 });
  const socket = join(directory, 'effects.sock');
  const effects = await serveEffects(socket);
  return {
    directory,
    socket,
    effects,
    async dispose() {
      await effects.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export function startOne() {
  return startWorker(WORKER);
}

/** Runs it; `log` gets a line for each thing that went wrong. */
export async function runWorkflows({ seed, kills, plant, log }) {
  const place = await createPlace('arp-wf-faults-');
  const random = createRandom(seed);
  const ledger = createLedger(place.effects, log);
  const run = {
    ...place,
    plant,
    // A planted bug makes some wait for ever; nothing else does.
    patienceMs: plant === '' ? 60_000 : 8000,
    random,
    ledger,
    time: { origin: Date.now(), jumps: 0 },
    happened: 0,
    windows: Object.fromEntries([...WINDOWS, 'random'].map((window) => [window, 0])),
    standby: startOne(),
    living: new Set(),
    position: 0,
    heads: undefined,
    numbers: 0,
  };
  try {
    await makeAll(run, schedule(kills, random));
    await lastLook(run);
  } catch (error) {
    ledger.findings.add('other', 'the run itself', error.stack);
  } finally {
    for (const worker of [...run.living, run.standby]) worker.kill();
    await Promise.all([...run.living, run.standby].map((worker) => worker.ended));
    await place.dispose();
  }
  return summary(run, { seed, kills, log });
}

/** A trap that did not spring takes the place of a later kill at random. */
async function makeAll(run, traps) {
  for (let at = 0; at < traps.length; at++) {
    if (await oneKill(run, traps[at])) continue;
    const later = traps.findLastIndex(({ window }, index) => index > at && window === 'random');
    traps.splice(later < 0 ? traps.length : later, 1, traps[at]);
  }
}

function summary({ ledger, happened, windows }, { seed, kills, log }) {
  const missing = shortfall(kills, happened, windows);
  if (missing !== undefined) log(`SHORT: ${missing}`);
  const { other, ...counts } = ledger.findings.counts;
  const line = { suite: 'workflows', store: 'sqlite', seed, kills: happened, windows, ...counts };
  return {
    line: { ...line, unknown: ledger.unknownSaid() },
    ok: missing === undefined && ledger.findings.isClean(),
    other,
  };
}

/** A fresh process; the one after it loads its modules meanwhile. */
async function freshWorker(run) {
  const worker = run.standby;
  run.living.add(worker);
  await worker.loaded;
  run.standby = startOne();
  run.time = { ...run.time, jumps: run.time.jumps + 1 };
  const { directory, socket, plant, time } = run;
  const opened = worker.ask('open', { of: { directory, socket, plant, place: time, works: true } });
  return { worker, opened };
}

async function openWorker(run) {
  const { worker, opened } = await freshWorker(run);
  const answer = await opened;
  if (answer === DIED || !answer.ok) throw new Error(`a worker did not open: ${JSON.stringify(answer)}`);
  return worker;
}

async function buried(run, worker) {
  const { signal, code } = await worker.ended;
  run.living.delete(worker);
  await run.effects.settled(run.living.size);
  if (signal !== 'SIGKILL') throw new Error(`a worker ended by itself: ${signal ?? code}`);
  run.happened += 1;
}

async function askFor(worker, op, of) {
  const answer = await worker.ask(op, { of });
  if (answer === DIED || !answer.ok) throw new Error(`${op}: ${JSON.stringify(answer)}`);
  return answer.value;
}

/** Looks at what the dead have left. Nobody works on it now but the timers of the worker that looks. */
async function look(run, worker) {
  const found = await askFor(worker, 'audit', { after: run.position });
  run.position = found.after;
  run.ledger.check(found);
  if (run.happened % VERIFY_EVERY === 0) await verify(run, worker);
}

async function verify(run, worker) {
  const verdict = await askFor(worker, 'verify', { anchor: run.heads });
  run.heads = verdict.heads;
  run.ledger.checkVerdict(verdict);
}

// A time that comes while everything else has long been done, or one that comes among the rest.
const LATE_MS = 20_000;

function newWorkflow(run, { window, shape, mode }) {
  const id = `wf-${(run.numbers += 1)}`;
  // The planted bugs show in runs that others carry on, and in times that come late.
  const isPlanted = run.plant !== '';
  const waits = isPlanted || window === 'timer_due' ? LATE_MS : run.random.below(LATE_MS);
  const wakeAt = Math.ceil(timeAt(run.time)) + waits;
  return run.ledger.plan(createWorkflow(id, shape, { wakeAt }), isPlanted ? 'background' : mode);
}

/** Brings everything that is open to its end, or to the end of the worker. True while the worker lives. */
async function driveAll(run, worker) {
  const ends = await Promise.all(run.ledger.open().map((wf) => drive(run, worker, wf)));
  return !ends.includes('died');
}

/** False when the trap did not spring, and the kill came by itself. */
async function oneKill(run, trap) {
  if (trap.window === 'random') return killAtRandom(run, trap);
  const worker = await openWorker(run);
  await look(run, worker);
  const isFull = run.ledger.open().length >= MOST_OPEN;
  if ((!trap.recovering || isFull) && !(await driveAll(run, worker))) throw new Error('died without a trap');
  await askFor(worker, 'arm', { trap });
  let isAlive = true;
  for (let more = 0; isAlive && more < MOST_WORKFLOWS; more++) {
    newWorkflow(run, more === 0 ? trap : { ...trap, shape: 'branching' });
    isAlive = await driveAll(run, worker);
  }
  if (isAlive) worker.kill();
  await buried(run, worker);
  run.windows[isAlive ? 'random' : trap.window] += 1;
  return !isAlive;
}

/** The parent kills at some moment: while the store opens, while new work runs, or while old work is carried on. */
async function killAtRandom(run, trap) {
  const { worker, opened } = await freshWorker(run);
  if (trap.variant === 'opening') await pause(run.random.below(40));
  else {
    await opened;
    await look(run, worker);
    if (trap.variant === 'running' && !(await driveAll(run, worker))) throw new Error('died without a trap');
    newWorkflow(run, trap);
    const driven = driveAll(run, worker);
    await pause(run.random.below(250));
    worker.kill();
    await driven;
  }
  worker.kill();
  await buried(run, worker);
  run.windows.random += 1;
  return true;
}

/** No kill any more: everything comes to its end. */
async function lastLook(run) {
  const worker = await openWorker(run);
  await look(run, worker);
  await driveAll(run, worker);
  await look(run, worker);
  await verify(run, worker);
  await worker.ask('close');
}
