// Where a worker kills itself, and the bugs that can be planted in it. Both are wrapped around the store and the executor
// that the runtime is given; the product has no hook for them.

/** What the parent has armed: `{ window, variant, callId }`. One at a time; it fires at most once, by design. */
export function createTrigger() {
  let armed;
  return {
    arm(next) {
      armed = next;
    },
    is: (window, callId, variant) =>
      armed?.window === window && armed.callId === callId && (variant ?? armed.variant) === armed.variant,
    die() {
      process.kill(process.pid, 'SIGKILL');
      for (;;); // the signal ends the process before anything else happens
    },
  };
}

function named(commit, type) {
  return commit.appends?.find((one) => one.type === type);
}

/** The store that the kernel gets: dies around the start and the outcome commit of the armed call. */
export function deadlyStore(inner, trigger) {
  const dieAt = (window, callId, variant) => {
    if (callId !== undefined && trigger.is(window, callId, variant)) trigger.die();
  };
  return {
    ...inner,
    async commit(commit) {
      const start = named(commit, 'call_started')?.evidence.call_id;
      const finish = named(commit, 'call_finished')?.evidence.call_id;
      dieAt('before_start_receipt', start);
      dieAt('effect_done', finish, 'recording');
      const done = await inner.commit(commit);
      if (!done.ok) return done;
      dieAt(named(commit, 'approval_consumed') === undefined ? 'start_written' : 'approval_spent', start);
      if (finish !== undefined && trigger.is('outcome_written', finish)) await commit.series?.settled();
      dieAt('outcome_written', finish);
      return done;
    },
  };
}

/** The executor that the kernel gets: its effect is kept by another process, `effects.apply`. */
export function deadlyExecutor(effects, trigger, tell) {
  return {
    transports: ['in_process'],
    async execute(execution) {
      const { callId, args, capability } = execution;
      const effect = { callId, tool: capability.id, args };
      if (trigger.is('in_effect', callId, 'half')) await effects.half(effect).then(trigger.die);
      if (trigger.is('in_effect', callId, 'sent')) await effects.send(effect).then(trigger.die);
      const reply = await effects.apply(effect);
      if (trigger.is('in_effect', callId, 'watched')) {
        tell({ event: 'in_effect', callId });
        await new Promise(() => undefined); // until the parent says die
      }
      if (trigger.is('effect_done', callId, 'returning')) trigger.die();
      const content = [{ type: 'text', text: `effect ${reply.number} of ${callId}` }];
      return { kind: 'result', content, isError: false, notes: [] };
    },
  };
}

// Bugs, each of which the suite must find. A build with one of them is what the kernel would be without that promise.
export const PLANTS = {
  /** The start receipt reaches the disk together with the outcome, not before the effect. */
  'no-start-receipt': (inner) => {
    const held = new Map();
    return {
      ...inner,
      async commit(commit) {
        const start = named(commit, 'call_started');
        if (start !== undefined) {
          held.set(start.evidence.call_id, commit);
          return { ok: true, heads: [{ chain: start.chain, seq: 1, hash: '' }], counters: {} };
        }
        const finish = named(commit, 'call_finished');
        const before = finish === undefined ? undefined : held.get(finish.evidence.call_id);
        if (before !== undefined) await inner.commit(before);
        return inner.commit(commit);
      },
    };
  },

  /** The outcome is acknowledged before it is durable. */
  'early-outcome': (inner) => ({
    ...inner,
    async commit(commit) {
      // Settling a dead process's call has no receipt id: that one stays as it is.
      if (named(commit, 'call_finished')?.evidence.receipt_id === undefined) return inner.commit(commit);
      setTimeout(() => void inner.commit(commit), 2000);
      return { ok: true, heads: [], counters: {} };
    },
  }),

  /** The start commit forgets to spend the approval. */
  'unspent-approval': (inner) => ({
    ...inner,
    commit: (commit) =>
      inner.commit(
        named(commit, 'approval_consumed') === undefined
          ? commit
          : {
              ...commit,
              appends: commit.appends.filter((one) => one.type !== 'approval_consumed'),
              rows: commit.rows.filter(({ row }) => row.kind !== 'approval'),
            },
      ),
  }),

  /** Every other process counts as gone, whether it is or not. */
  'blind-to-peers': (inner) => ({
    ...inner,
    claim: (key, owner, now, ms) =>
      owner.startsWith('probe:')
        ? Promise.resolve({ ok: true, lease: { key, owner, epoch: 1, until: now } })
        : inner.claim(key, owner, now, ms),
  }),

  /** A call that was cut off is forgotten, and so made again. */
  'rerun-unknown': (inner) => ({
    ...inner,
    async row(kind, tenant, id) {
      const row = await inner.row(kind, tenant, id);
      if (kind !== 'request' || row?.status !== 'in_progress') return row;
      return { ...row, status: 'denied' };
    },
  }),
};

/** The store with every bug of a list `a,b` planted in it; the empty list plants none. */
export function planted(store, list) {
  return list.split(',').reduce((inner, name) => (name === '' ? inner : PLANTS[name](inner)), store);
}
