// Two processes resume the same session at the same time, again and again: one goes on, the other is told that it may not,
// and every step is made once. Whoever got in waits before its model or its tool until the other has been answered.
import { createRandom } from '../schedule.mjs';
import { DIED } from '../worker-client.mjs';
import { createPlace, startOne } from '../workflows/campaign.mjs';
import { createFindings } from '../workflows/findings.mjs';

const KINDS = ['lost', 'doubled', 'both_in', 'untyped'];
const APPROVALS_EVERY = 10;
const LONGEST_RACE_MS = 20_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const PLANTS = { 'no-hold': true };

/** Runs it; `log` gets a line for each thing that went wrong. */
export async function runResumes({ seed, races, plant, log }) {
  const place = await createPlace('arp-resumes-');
  const findings = createFindings(log, KINDS);
  const run = {
    ...place,
    findings,
    random: createRandom(seed),
    workers: [startOne(), startOne()],
    won: [0, 0],
    refused: 0,
  };
  try {
    await raceAll(run, { races, plant });
  } catch (error) {
    findings.add('other', 'the run itself', error.stack);
  } finally {
    for (const worker of run.workers) worker.kill();
    await Promise.all(run.workers.map((worker) => worker.ended));
    await place.dispose();
  }
  const made = run.won[0] + run.won[1];
  const isShort = made < races || run.refused < races;
  if (isShort) log(`SHORT: ${made} won and ${run.refused} refused, not ${races} of each`);
  const { other, ...counts } = findings.counts;
  const line = { suite: 'resumes', store: 'sqlite', seed, races, won: run.won, refused: run.refused };
  return { line: { ...line, ...counts }, ok: !isShort && findings.isClean(), other };
}

async function askFor(worker, op, of) {
  const answer = await worker.ask(op, { of });
  if (answer === DIED || !answer.ok) throw new Error(`${op}: ${JSON.stringify(answer)}`);
  return answer.value;
}

const step = (n, tool) => `STEP ${JSON.stringify({ wf: 'session', node: `n${n}`, tool, v: n })}`;

async function raceAll(run, { races, plant }) {
  const { directory, socket, workers, random, findings } = run;
  const place = { origin: Date.now(), jumps: 0, speed: 1 };
  for (const worker of workers) {
    await worker.loaded;
    await askFor(worker, 'open', { directory, socket, plant, place, works: false });
  }
  const { session_id: id } = await askFor(workers[0], 'startSession', { content: step(0, 'note') });
  for (let n = 1; n <= races; n++) {
    const content = n % APPROVALS_EVERY === 0 ? await approved(run, { id, n }) : step(n, 'note');
    await race(run, { id, n, content });
  }
  const counts = new Map();
  for (const { args } of run.effects.happened) counts.set(args.node, (counts.get(args.node) ?? 0) + 1);
  for (let n = 0; n <= races; n++) {
    const count = counts.get(`n${n}`) ?? 0;
    if (count > 1) findings.add('doubled', `step ${n}`, `${count} effects`);
    if (count < 1) findings.add('lost', `step ${n}`, 'no effect');
  }
  const end = await askFor(random.pick(workers), 'resumeSession', { id });
  const turns = 2 * (races + 1);
  if (end.turn_count !== turns || end.tool_call_count !== races + 1)
    findings.add('other', id, `${end.turn_count} turns and ${end.tool_call_count} calls, not ${turns}`);
}

/** The step in question is a call that a person has approved: nothing but the call is left to be made. */
async function approved({ workers, random }, { id, n }) {
  const [asker, answerer] = random.below(2) === 0 ? workers : workers.toReversed();
  const asked = await askFor(asker, 'resumeSession', { id, content: step(n, 'pay') });
  if (asked.kind !== 'approval_required') throw new Error(`race ${n}: ${JSON.stringify(asked)}`);
  const approvalId = asked.pending_request_id;
  const answer = await askFor(answerer, 'answer', { approvalId, decision: 'approve' });
  if (!answer.moved) throw new Error(`race ${n}: ${JSON.stringify(answer)}`);
  return undefined;
}

async function race(run, { id, n, content }) {
  const { workers, random, findings } = run;
  for (const worker of workers) await askFor(worker, 'shut', { name: `in-${n}` });
  const asked = [];
  let oneAnswered;
  const answered = new Promise((resolve) => (oneAnswered = resolve));
  const first = random.below(2);
  for (const at of [first, 1 - first]) {
    asked[at] = workers[at].ask('resumeSession', { of: { id, content } });
    void asked[at].then(oneAnswered);
    await pause(random.below(3));
  }
  const isIn = Promise.all(workers.map((worker) => worker.event(`in-${n}`))).then(() => 'both');
  const timeout = pause(LONGEST_RACE_MS).then(() => 'nobody');
  const how = await Promise.race([answered, isIn, timeout]);
  if (how === 'both') findings.add('both_in', `race ${n}`, 'both processes went on with the session');
  if (how === 'nobody') findings.add('other', `race ${n}`, 'nobody was answered');
  for (const worker of workers) await askFor(worker, 'pass');
  judge(run, n, await Promise.all(asked));
}

function judge(run, n, answers) {
  for (const [at, answer] of answers.entries()) {
    if (answer === DIED) run.findings.add('other', `race ${n}`, 'a process died by itself');
    else if (answer.ok && answer.value.kind === 'completed') run.won[at] += 1;
    else if (answer.code === 'CONFLICT' && answer.details?.reason === 'run_held') run.refused += 1;
    else run.findings.add('untyped', `race ${n}`, JSON.stringify(answer).slice(0, 400));
  }
}
