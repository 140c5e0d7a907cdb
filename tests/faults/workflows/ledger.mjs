// What the parent knows by itself: the workflows it asked for, the answers it was given, the effects that it counted. It
// judges the store and every later answer by that, never by the product's own word.
import { createFindings } from './findings.mjs';
import { createRecords } from './records.mjs';

const KINDS = ['lost', 'doubled', 'early', 'double_wakeups', 'stuck', 'double_approvals'];

export function createLedger(effects, log) {
  const findings = createFindings(log, KINDS);
  const records = createRecords(findings);
  const workflows = new Map();
  const unknown = new Set();
  const approved = new Map(); // approval → its workflow and node
  let judged = 0;

  const nodeEffects = (wf, node) =>
    wf.effects.flatMap((at) => (effects.happened[at].args.node === node ? [effects.happened[at]] : []));

  /** Cut off, and a person took note of it; a read is not asked about: the model is told, and goes on. */
  const isCutOff = (wf, node) =>
    (wf.unsure.has(node.replace(/^undo-/, '')) || wf.expected.reads?.includes(node)) &&
    records.of(wf.id, node).some(({ finished }) => finished === undefined || finished === 'unknown');

  const judgeEffects = (wf) => {
    for (const [node, wanted] of Object.entries(wf.expected.effects)) {
      const { length } = nodeEffects(wf, node);
      if (length > wanted) findings.add('doubled', `${wf.id}/${node}`, `${length} effects, not ${wanted}`);
      if (length < wanted && !isCutOff(wf, node))
        findings.add('lost', `${wf.id}/${node}`, `${length} effects, not ${wanted}`);
    }
    for (const at of wf.effects) {
      const { node } = effects.happened[at].args;
      if (wf.expected.effects[node] === undefined)
        findings.add('doubled', `${wf.id}/${node}`, 'has an effect and should have none');
    }
  };

  const judgeInputs = (wf) => {
    for (const [node, wanted] of Object.entries(wf.expected.inputs))
      for (const { args } of nodeEffects(wf, node))
        for (const [name, value] of Object.entries(wanted))
          if (args.inputs?.[name] !== value)
            findings.add(
              'lost',
              `${wf.id}/${node}`,
              `its input ${name} is ${args.inputs?.[name]}, not ${value}`,
            );
  };

  const judgeOrder = (wf) => {
    const order = wf.expected.order ?? [];
    const came = wf.effects
      .map((at) => effects.happened[at].args.node)
      .filter((node) => order.includes(node));
    if (came.join() !== order.filter((node) => came.includes(node)).join())
      findings.add('other', wf.id, `effects came as ${came.join()}, not ${order.join()}`);
  };

  const judgeEnd = (wf, result) => {
    if (result.kind !== wf.expected.ends)
      findings.add('lost', wf.id, `ended as ${JSON.stringify(result).slice(0, 600)}`);
    for (const { node_id: node, status } of result.nodes)
      if (status !== wf.expected.statuses[node])
        findings.add('lost', `${wf.id}/${node}`, `is ${status}, not ${wf.expected.statuses[node]}`);
    judgeEffects(wf);
    judgeInputs(wf);
    judgeOrder(wf);
  };

  /** What the effects alone say; nothing of it comes from the store. */
  const takeEffects = () => {
    const seen = new Map();
    for (; judged < effects.happened.length; judged++) {
      const { callId, args, at } = effects.happened[judged];
      seen.set(callId, 1);
      const wf = workflows.get(args.wf);
      if (wf === undefined) findings.add('other', callId, 'an effect of no workflow');
      else wf.effects.push(judged);
      const wakeAt = wf?.expected.wakes[args.node];
      if (at < wakeAt)
        findings.add('early', `${args.wf}/${args.node}`, `its effect came ${wakeAt - at} ms early`);
      if (!records.calls.get(callId)?.started)
        findings.add('other', callId, 'effect without a start receipt');
    }
    for (const callId of seen.keys())
      if (effects.of(callId) > 1)
        findings.add('doubled', callId, `${effects.of(callId)} effects of one call`);
    for (const { wf, node } of approved.values()) {
      const paid = nodeEffects(workflows.get(wf), node).length;
      const given = [...approved.values()].filter((one) => one.wf === wf && one.node === node).length;
      if (paid > given)
        findings.add('double_approvals', `${wf}/${node}`, `${paid} effects, ${given} approvals`);
    }
  };

  return {
    findings,
    unknownSaid: () => unknown.size,
    open: () => [...workflows.values()].filter(({ state }) => state !== 'over'),

    plan({ id, definition, ...expected }, mode) {
      const wf = {
        id,
        definition,
        mode,
        expected,
        state: 'planned',
        effects: [],
        done: new Set(),
        unsure: new Set(),
      };
      workflows.set(id, wf);
      return wf;
    },

    /** An answer that tells how far a workflow is: it never goes back behind what was told before. */
    told(wf, result) {
      wf.state = 'known';
      const status = new Map(result.nodes.map((one) => [one.node_id, one.status]));
      for (const node of wf.done)
        if (
          !['completed', 'compensating', 'compensated', 'waiting_approval', 'suspended'].includes(
            status.get(node),
          )
        )
          findings.add('lost', `${wf.id}/${node}`, `was told completed, and is ${status.get(node)}`);
      for (const node of result.completed_node_ids) wf.done.add(node);
      if (result.over) {
        wf.state = 'over';
        wf.result = result;
      }
    },

    forgotten: (wf) => findings.add('lost', wf.id, 'its start was acknowledged, and it is not there'),
    stuck: (wf, last) => findings.add('stuck', wf.id, `does not end: ${JSON.stringify(last).slice(0, 1500)}`),

    approving: (wf, node, approvalId) => approved.set(approvalId, { wf: wf.id, node }),

    unknown(callId) {
      if (callId === undefined) return;
      unknown.add(callId);
      const call = records.calls.get(callId);
      if (call?.finished !== undefined && call.finished !== 'unknown')
        findings.add('other', callId, `said to be unknown, and its outcome is ${call.finished}`);
    },

    /** Takes what is new in a store that nobody works on. */
    check(found) {
      records.take(found.records);
      takeEffects();
      for (const wf of workflows.values()) {
        if (wf.result === undefined) continue;
        judgeEnd(wf, wf.result);
        // Judged once, when all of its effects are known; what comes after that is seen as an effect of no workflow.
        workflows.delete(wf.id);
        for (const [id, one] of approved) if (one.wf === wf.id) approved.delete(id);
      }
    },

    checkVerdict({ ok, bad, missing }) {
      for (const one of missing) findings.add('lost', `chain ${one.chain.id}`, JSON.stringify(one));
      for (const one of bad) findings.add('other', `chain ${one.chain.id}`, JSON.stringify(one));
      if (!ok && bad.length + missing.length === 0) findings.add('other', 'evidence', 'does not verify');
    },
  };
}
