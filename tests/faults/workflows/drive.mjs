// What a host and a person do for one workflow until it is over: start, resume or wait, answer what waits for an answer,
// and take note of what is unknown.
import { DIED } from '../worker-client.mjs';

const LOOK_MS = 25;
const BUSY = new Set(['CONFLICT', 'TOO_BUSY']);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** 'over', 'stuck' when it has not moved for long, or 'died' when the worker did. */
export async function drive(run, worker, wf) {
  const { ledger } = run;
  let last;
  for (let moved = Date.now(); Date.now() - moved < run.patienceMs; await pause(LOOK_MS)) {
    const answer = await ask(worker, wf);
    if (answer === DIED) return 'died';
    const place = JSON.stringify(answer.value?.nodes);
    if (place !== last?.place) moved = Date.now();
    last = { place, answer };
    if (!answer.ok) {
      judgeRefusal(ledger, wf, answer);
      continue;
    }
    ledger.told(wf, answer.value);
    wf.sleeps = answer.value.kind === 'scheduled';
    if (answer.value.over) return 'over';
    for (const one of answer.value.waiting_nodes)
      if ((await help(run, worker, wf, one)) === DIED) return 'died';
  }
  ledger.stuck(wf, last.answer);
  wf.state = 'over'; // told once; what comes after it would only repeat it
  return 'stuck';
}

async function ask(worker, wf) {
  if (wf.state === 'planned' || wf.state === 'doubt') {
    wf.state = 'doubt';
    const background = wf.mode === 'background';
    const started = await worker.ask('start', { of: { workflow: wf.definition, background } });
    if (started === DIED || !started.ok) return started;
    wf.state = 'acknowledged';
  } else if (wf.mode === 'direct' || (wf.mode === 'left' && !wf.sleeps)) {
    const resumed = await worker.ask('resume', { of: { id: wf.id } });
    if (resumed === DIED) return DIED;
    if (!resumed.ok && resumed.code !== 'SESSION_CLOSED' && !BUSY.has(resumed.code)) return resumed;
  }
  return worker.ask('inspect', { of: { id: wf.id } });
}

function judgeRefusal(ledger, wf, { code, message }) {
  if (BUSY.has(code)) return;
  if (code === 'NOT_FOUND') ledger.forgotten(wf);
  else ledger.findings.add('other', wf.id, `refused with ${code}: ${message}`);
}

async function help(run, worker, wf, { node_id: node, needs, ...what }) {
  if (needs === 'approval') {
    const isRejected = wf.expected.rejects.includes(node);
    const approvalId = what.pending_request_id;
    // Said once to each process: the one before may have died with the answer.
    if (wf.answered?.worker === worker && wf.answered.approvalId === approvalId) return undefined;
    wf.answered = { worker, approvalId };
    if (!isRejected) run.ledger.approving(wf, node, approvalId);
    return worker.ask('answer', { of: { approvalId, decision: isRejected ? 'reject' : 'approve' } });
  }
  if (needs !== 'resume') return undefined;
  // From here on it is the host's to carry on: a background run that needs somebody has left the queue.
  wf.mode = 'direct';
  if (!what.reason.startsWith('It is not known')) return undefined;
  wf.unsure.add(node);
  const accepted = await worker.ask('accept', { of: { sessionId: what.session_id } });
  if (accepted === DIED) return DIED;
  if (accepted.ok) run.ledger.unknown(accepted.value.call);
  else if (accepted.code !== 'SESSION_CLOSED') judgeRefusal(run.ledger, wf, accepted);
  return undefined;
}
