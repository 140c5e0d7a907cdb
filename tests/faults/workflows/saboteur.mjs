// Where a worker of the workflow suite kills itself, and the bugs that can be planted in it: around the store and the
// executor that the runtime is given, as in the suite of the kernel.
import { PLANTS as KERNEL_PLANTS } from '../saboteur.mjs';

/** The parent arms one trap; it springs the `nth` time that its window is reached in its variant. */
export function createTrap(tell) {
  let armed;
  let reached = 0;
  return {
    arm(next) {
      armed = next;
      reached = 0;
    },
    /** Whether this is the moment. The same commit may reach several windows, each once. */
    springs(window, variant) {
      if (armed?.window !== window || armed.variant !== variant) return false;
      reached += 1;
      return reached === armed.nth;
    },
    die() {
      tell({ event: 'sprung' });
      process.kill(process.pid, 'SIGKILL');
      for (;;); // the signal ends the process before anything else happens
    },
  };
}

const TYPES = {
  node_started: 'node_started',
  turn_completed: 'turn_recorded',
  node_completed: 'node_finished',
  join_ready: 'join_ready',
  wakeup_fired: 'timer_due',
  approval_approved: 'approval_answered',
  approval_rejected: 'approval_answered',
  approval_consumed: 'approval_spent',
  invocation_ended: 'invocation_ended',
  workflow_completed: 'workflow_ended',
  workflow_failed: 'workflow_ended',
  call_finished: 'effect_done',
};

function windowsOf(commit) {
  const found = new Set((commit.appends ?? []).flatMap(({ type }) => TYPES[type] ?? []));
  if ((commit.rows ?? []).some(({ row, when }) => row.kind === 'queue' && typeof when === 'object'))
    found.add('queue_moved');
  return [...found];
}

/** The store that the runtime gets. */
export function deadlyStore(inner, trap) {
  const dieAt = (windows, variant) => {
    if (windows.filter((window) => trap.springs(window, variant)).length > 0) trap.die();
  };
  return {
    ...inner,
    async commit(commit) {
      const windows = windowsOf(commit);
      dieAt(windows, 'before');
      const done = await inner.commit(commit);
      if (done.ok) dieAt(windows, 'after');
      return done;
    },
    async claimTimers(...how) {
      const taken = await inner.claimTimers(...how);
      if (taken.some(({ payload }) => payload.kind === 'workflow_wake')) dieAt(['timer_due'], 'claimed');
      return taken;
    },
  };
}

/** The executor that the kernel gets: its effect is kept by another process. */
export function deadlyExecutor({ effects, trap, clock, isOpen = () => true }) {
  return {
    transports: ['in_process'],
    async execute({ callId, args, capability }) {
      await isOpen(args);
      const effect = { callId, tool: capability.id, args, at: clock.now() };
      if (trap.springs('in_effect', 'half')) await effects.half(effect).then(trap.die);
      if (trap.springs('in_effect', 'sent')) await effects.send(effect).then(trap.die);
      const reply = await effects.apply(effect);
      if (trap.springs('effect_done', 'returning')) trap.die();
      const text = `effect ${reply.number} time ${reply.time} of ${callId}`;
      return { kind: 'result', content: [{ type: 'text', text }], isError: false, notes: [] };
    },
  };
}

const isWake = ({ payload }) => payload.kind === 'workflow_wake' || payload.do === 'run';

// Bugs, each of which the suite must find: what the engine would be without that promise.
export const PLANTS = {
  'no-start-receipt': KERNEL_PLANTS['no-start-receipt'],

  /** A wakeup is taken, and then it is gone: nobody who dies gives it back. */
  'lost-wakeup': (inner) => ({
    ...inner,
    async claimTimers(...how) {
      const taken = await inner.claimTimers(...how);
      const cancelTimers = taken.filter(isWake).map(({ tenant, id }) => ({ tenant, id }));
      if (cancelTimers.length > 0) await inner.commit({ cancelTimers });
      return taken;
    },
  }),

  /** Whoever carries a workflow on after its start forgets one branch of the join. */
  'dropped-input': (inner) => ({
    ...inner,
    async unseal(chain, seq) {
      const found = await inner.unseal(chain, seq);
      const join = found.value?.definition?.nodes.find(({ id }) => id === 'join');
      if (join !== undefined) delete join.inputs.person;
      return found;
    },
  }),

  /** The time of a node does not count. */
  'early-wakeup': (inner) => ({
    ...inner,
    async unseal(chain, seq) {
      const found = await inner.unseal(chain, seq);
      for (const node of found.value?.definition?.nodes ?? []) delete node.wake_at;
      return found;
    },
  }),

  /** Every lease of a session is given to whoever asks. */
  'no-hold': (inner) => ({
    ...inner,
    async claim(key, owner, now, ms) {
      const taken = await inner.claim(key, owner, now, ms);
      return taken.ok || !key.includes('/session/') ? taken : { ok: true, lease: { ...taken.holder, owner } };
    },
  }),
};
