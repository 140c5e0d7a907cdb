// What the store's own records show, read as they come: nothing twice, nothing before its time. They are compared with
// what the parent counted by itself in ledger.mjs.

/** Of one run: calls, wakes and runs of nodes, by the records so far. */
export function createRecords(findings) {
  const calls = new Map(); // id → { wf, node, started, finished }
  const sessions = new Map(); // a node's session → its place
  const due = new Map(); // node → the time it waits for
  const once = new Set();
  const only = (kind, subject, what) => {
    const key = `${kind} ${subject} ${what}`;
    if (once.has(key)) findings.add(kind, subject, what);
    once.add(key);
  };

  const takeWake = (record, place) => {
    const wakeAt = due.get(place);
    due.delete(place);
    if (wakeAt === undefined)
      findings.add('double_wakeups', place, 'woken without a time that it waited for');
    else if (record.at < wakeAt) findings.add('early', place, `woken ${wakeAt - record.at} ms early`);
  };

  const takers = {
    node_started(record, place) {
      const run = `${place} ${record.attempt}/${record.iteration}`;
      only('doubled', run, 'started twice');
      sessions.set(record.session_id, { wf: record.chain, node: record.node_id });
    },
    compensation_started(record, place) {
      only('doubled', place, 'undone twice');
      sessions.set(record.session_id, { wf: record.chain, node: `undo-${record.node_id}` });
    },
    node_scheduled: (record, place) => due.set(place, record.wake_at),
    node_retried: (record, place) => due.set(place, record.wake_at),
    wakeup_fired: takeWake,
    node_completed: (_record, place) => only('doubled', place, 'completed twice'),
    node_compensated: (_record, place) => only('doubled', place, 'compensated twice'),
    join_ready: (_record, place) => only('doubled', place, 'joined twice'),
    workflow_completed: (record) => only('doubled', record.chain, 'ended twice'),
    workflow_failed: (record) => only('doubled', record.chain, 'ended twice'),
    call_started(record) {
      only('doubled', record.call_id, 'two start receipts');
      calls.set(record.call_id, { ...sessions.get(record.chain), started: true });
      if (record.approval_id !== undefined)
        only('double_approvals', record.approval_id, 'two calls were started with it');
    },
    call_finished(record) {
      only('doubled', record.call_id, 'two outcome receipts');
      calls.set(record.call_id, { ...calls.get(record.call_id), finished: record.status });
    },
    approval_consumed: (record) => only('double_approvals', record.chain, 'spent twice'),
  };

  return {
    calls,
    of: (wf, node) => [...calls.values()].filter((call) => call.wf === wf && call.node === node),
    take(records) {
      for (const record of records) takers[record.type]?.(record, `${record.chain}/${record.node_id}`);
    },
  };
}
