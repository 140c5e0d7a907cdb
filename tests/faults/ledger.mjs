// What the parent knows by itself: the calls it made, the answers it was given, the effects that it counted. It judges the
// store and every later answer by that, never by the product's own word.
import { DIED } from './worker-client.mjs';

/** Told of each broken promise once: the same call is seen in every later audit again. */
function createFindings(log) {
  const seen = new Set();
  const counts = { lost: 0, doubled: 0, double_approvals: 0, other: 0 };
  return {
    counts,
    add(kind, subject, what) {
      if (seen.has(`${kind} ${subject}`)) return;
      seen.add(`${kind} ${subject}`);
      counts[kind] += 1;
      log(`VIOLATION ${kind}: ${subject}: ${what}`);
    },
  };
}

function countBy(list, keyOf) {
  const counts = new Map();
  for (const item of list) {
    const key = keyOf(item);
    if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

export function createLedger(effects, log) {
  const calls = new Map();
  const approvalsSent = new Map(); // by the action that was approved
  const approvalsAcknowledged = new Set();
  const findings = createFindings(log);
  const said = new Set(); // starts without an outcome that were answered `unknown`
  let facts = { started: new Map(), finished: new Map(), heads: undefined };

  /** A result names the effect by its number, so a result that was made up is seen. */
  const checkText = (call, value) => {
    if (value.status !== 'done') return;
    const [, number, id] = /^effect (\d+) of (.*)$/.exec(value.text ?? '') ?? [];
    const wanted = call.sameAs === undefined || call.sameAs === id ? id : undefined;
    const isReal = id !== undefined && effects.happened[Number(number) - 1]?.callId === wanted;
    if (!isReal || (call.sameAs === undefined && id !== call.callId))
      findings.add('lost', call.callId, `answered with ${value.text}, which no effect gave`);
  };

  const judgeDoubt = (call, value) => {
    const started = facts.started.has(call.callId);
    const recorded = facts.finished.get(call.callId);
    if (started && recorded === undefined) {
      if (value.status === 'unknown') said.add(call.callId);
      else findings.add('other', call.callId, `started without outcome, but answered ${value.status}`);
      const isRead = call.tool === 'look';
      if (value.status === 'unknown' && !isRead && value.sideEffect !== 'side_effect_unknown')
        findings.add('other', call.callId, `unknown, but side effect ${value.sideEffect}`);
    } else if (recorded !== undefined && value.status !== recorded) {
      findings.add('lost', call.callId, `recorded ${recorded}, but answered ${value.status}`);
    }
  };

  const judgeAgain = (call, value, before) => {
    const { ack } = call;
    if (value.status !== ack.status || value.text !== ack.text)
      findings.add('lost', call.callId, `was ${ack.status} ${ack.text}, now ${value.status} ${value.text}`);
    if (value.status === 'done' && value.replayed !== true)
      findings.add('other', call.callId, 'answered again, but not as a replay');
    if (effects.of(call.callId) !== before) findings.add('doubled', call.callId, 'made again after its end');
  };

  return {
    calls,
    findings,
    unknownSaid: () => said.size,
    heads: () => facts.heads,
    inDoubt: () => [...calls.values()].filter((one) => one.state === 'doubt'),
    settled: () => [...calls.values()].filter((one) => one.state === 'acked'),

    plan(call) {
      calls.set(call.callId, { ...call, state: 'planned' });
      return calls.get(call.callId);
    },

    approving(call) {
      const action = call.args.n;
      approvalsSent.set(action, (approvalsSent.get(action) ?? 0) + 1);
    },

    approved(call, answer) {
      if (answer === DIED) call.state = 'doubt';
      else if (answer.ok && answer.value.moved) approvalsAcknowledged.add(call.approvalId);
    },

    /** Takes an answer to a call; `before` is how many effects the call had when it was asked. */
    take(call, answer, before, expected) {
      if (answer === DIED) {
        if (call.state !== 'acked') call.state = 'doubt';
        return;
      }
      if (!answer.ok) {
        findings.add('other', call.callId, `refused with ${answer.code}: ${answer.message}`);
        return;
      }
      const { value } = answer;
      if (call.state === 'acked') judgeAgain(call, value, before);
      else if (call.state === 'doubt') judgeDoubt(call, value);
      else if (expected !== undefined && value.status !== expected)
        findings.add('other', call.callId, `expected ${expected}, got ${value.status}`);
      checkText(call, value);
      if (value.status === 'waiting_approval') {
        call.approvalId = value.approvalId;
        call.state = 'waiting';
      } else if (call.state !== 'acked') {
        call.state = 'acked';
      }
      if (call.state === 'acked') call.ack ??= value;
    },

    /** What the effects alone say; nothing of it comes from the store. */
    checkEffects() {
      const { happened } = effects;
      for (const [id, count] of countBy(happened, (one) => one.callId))
        if (count > 1) findings.add('doubled', id, `${count} effects of one call`);
      for (const [key, count] of countBy(happened, (one) => one.args.key))
        if (count > 1) findings.add('doubled', `key ${key}`, `${count} effects of one idempotency key`);
      const paid = happened.filter((one) => one.tool === 'pay');
      for (const [action, count] of countBy(paid, (one) => one.args.n)) {
        const given = approvalsSent.get(action) ?? 0;
        if (count > given)
          findings.add('double_approvals', `action ${action}`, `${count} effects, ${given} approvals`);
      }
    },

    /** Compares a reopened store with everything that was acknowledged. */
    checkStore(found) {
      const of = (type) => found.records.filter((one) => one.type === type);
      const [starts, finishes] = [of('call_started'), of('call_finished')];
      const spent = of('approval_consumed');
      facts = {
        started: new Map(starts.map((one) => [one.call_id, one])),
        finished: new Map(finishes.map((one) => [one.call_id, one.status])),
        heads: found.verdict.heads,
      };
      const { ok, bad, missing } = found.verdict;
      for (const one of missing) findings.add('lost', `chain ${one.chain.id}`, JSON.stringify(one));
      for (const one of bad) findings.add('other', `chain ${one.chain.id}`, JSON.stringify(one));
      if (!ok && bad.length + missing.length === 0) findings.add('other', 'evidence', 'does not verify');

      checkOnce(findings, starts, finishes, spent);
      const receipts = new Set(found.records.map((one) => one.receipt_id));
      for (const call of calls.values()) checkAcknowledged(findings, call, { found, receipts, facts });
      const yes = new Set(of('approval_approved').map((one) => one.id));
      for (const id of approvalsAcknowledged)
        if (!yes.has(id)) findings.add('lost', id, 'the approval was acknowledged and is not there');
      for (const { callId } of effects.happened)
        if (!facts.started.has(callId)) findings.add('other', callId, 'effect without a start receipt');
    },

    /** Whether the store and the effects stand where a kill in this window leaves them. */
    checkWindow(call, { window, variant }) {
      const state = [
        facts.started.has(call.callId),
        facts.finished.has(call.callId),
        effects.of(call.callId),
      ];
      const wanted = {
        before_start_receipt: [false, false, 0],
        start_written: [true, false, 0],
        approval_spent: [true, false, 0],
        in_effect: [true, false, variant === 'half' ? 0 : 1],
        effect_done: [true, false, 1],
        outcome_written: [true, true, 1],
      }[window];
      if (state.join() !== wanted.join())
        findings.add(
          'other',
          call.callId,
          `after ${window}/${variant}: ${state.join()}, not ${wanted.join()}`,
        );
    },
  };
}

function checkOnce(findings, starts, finishes, spent) {
  for (const [id, count] of countBy(starts, (one) => one.call_id))
    if (count > 1) findings.add('doubled', id, `${count} start receipts`);
  for (const [id, count] of countBy(finishes, (one) => one.call_id))
    if (count > 1) findings.add('other', id, `${count} outcome receipts`);
  for (const [id, count] of countBy(starts, (one) => one.approval_id))
    if (count > 1) findings.add('double_approvals', id, `${count} calls started with one approval`);
  for (const [id, count] of countBy(spent, (one) => one.id))
    if (count > 1) findings.add('double_approvals', id, `spent ${count} times`);
  const spentBy = new Map(spent.map((one) => [one.id, one.call_id]));
  for (const { approval_id, call_id } of starts)
    if (approval_id !== undefined && spentBy.get(approval_id) !== call_id)
      findings.add('other', call_id, 'started with an approval that it did not spend');
}

function checkAcknowledged(findings, call, { found, receipts, facts }) {
  const status = call.state === 'acked' ? call.ack.status : call.state;
  if (status === 'planned' || status === 'doubt') return;
  if (status === 'waiting') {
    if (found.approvals[call.approvalId] === undefined)
      findings.add('lost', call.callId, 'the approval that it waits for is not there');
    return;
  }
  // A second call of a key whose first is unknown is answered from the reservation and has no row of its own.
  if (status === 'unknown' && call.sameAs !== undefined) return;
  if (found.requests[call.callId] !== status)
    findings.add('lost', call.callId, `acknowledged ${status}, stored ${found.requests[call.callId]}`);
  for (const id of call.ack.receipts)
    if (!receipts.has(id)) findings.add('lost', call.callId, `the receipt ${id} is not there`);
  if (call.sameAs !== undefined) return;
  if (!facts.started.has(call.callId) || facts.finished.get(call.callId) !== status)
    findings.add('lost', call.callId, `acknowledged ${status}, evidence says otherwise`);
}
