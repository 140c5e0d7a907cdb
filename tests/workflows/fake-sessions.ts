// A fake of the port of node sessions: what each run of a node's session ends with is scripted by node, attempt and
// iteration; sessions outlive the engine that drove them, as real ones do.
import { RuntimeError } from '../../src/base/errors.ts';
import type { ErrorCode } from '../../src/base/errors.ts';
import type { ManagedParent, ManagedResult, RunManaged } from '../../src/pack/managed/contract.ts';
import { REASONS } from '../../src/pack/managed/next-step.ts';
import type { TurnInput, TurnOutput } from '../../src/pack/turn/contract.ts';
import type { TurnIo } from '../../src/pack/turn/run-turn.ts';
import type { NodeSessions } from '../../src/pack/workflows/contract.ts';

export type Say =
  | { complete: string; status?: 'complete' | 'reply' | 'escalate' }
  | { wait: string }
  | { suspend: string }
  | { fail: ErrorCode }
  | { conflict: true }
  | { lost: true };

export interface FakeSession {
  id: string;
  node: string;
  parent: ManagedParent;
  input: TurnInput;
  runs: RunManaged[];
  last: ManagedResult | undefined;
  canceled: string | undefined;
  steps: Say[];
}

export interface FakeSessions extends NodeSessions {
  all: Map<string, FakeSession>;
  /** Nodes whose sessions are running now, and the most that ever were. */
  running: Set<string>;
  mostAtOnce: number;
  /** Held here before a run ends; default: at once. */
  gate: (session: FakeSession) => Promise<void>;
  of(node: string): FakeSession[];
}

export type Script = (parent: ManagedParent, isCompensation: boolean) => Say[];

/** An escalated session takes further messages; every other end is one. */
function isOver({ last }: FakeSession): boolean {
  if (last?.kind === 'completed') return last.final_turn.status !== 'escalate';
  return last !== undefined && ['error', 'canceled', 'expired'].includes(last.kind);
}

function turn(session: FakeSession, text: string, status: TurnOutput['status']): TurnOutput {
  return {
    status,
    intent: 'test',
    assistant_message: text,
    provider: { kind: 'scripted', model: 'test' },
    finish_reason: 'stop',
    session_id: session.id,
    run_id: `run_${session.id}`,
    trace_id: 'trace',
    turn_index: 0,
  };
}

function progress(session: FakeSession): Omit<ManagedResult, 'kind'> {
  const common = { messages: [], history: [], turn_count: session.runs.length, tool_call_count: 0 };
  return { session_id: session.id, run_id: `run_${session.id}`, status: 'active', ...common };
}

/** The code of a sentence; of any other, that of a session that somebody has to resume. */
function whyOf(sentence: string): string {
  return Object.entries(REASONS).find(([, one]) => one === sentence)?.[0] ?? 'budget';
}

function resultOf(session: FakeSession, say: Say): ManagedResult {
  const told = progress(session);
  const make = (value: object): ManagedResult => ({ ...told, ...value }) as ManagedResult;
  if ('complete' in say) {
    return make({ kind: 'completed', final_turn: turn(session, say.complete, say.status ?? 'complete') });
  }
  if ('wait' in say) {
    const decision = {
      decision: 'approval_required',
      rule_id: 'r',
      layer: 'l',
      reasons: [],
      policy_digest: '',
    };
    const tool = {
      name: 'desk:refund',
      input: { secret: 'exact' },
      tool_call_id: `call_${say.wait}`,
      decision,
    };
    return make({ kind: 'approval_required', pending_request_id: say.wait, requested_tool: tool });
  }
  if ('suspend' in say) return make({ kind: 'suspended', why: whyOf(say.suspend), reason: say.suspend });
  if ('fail' in say) {
    return make({
      kind: 'error',
      stage: 'execute_turn',
      error: { code: say.fail, message: `${say.fail} happened` },
    });
  }
  throw new RuntimeError('CONFLICT', 'held', 'conflict' in say ? { reason: 'run_held' } : {});
}

export function createFakeSessions(script: Script): FakeSessions {
  const all = new Map<string, FakeSession>();
  const find = (id: string): FakeSession => {
    const session = all.get(id);
    if (session === undefined) throw new RuntimeError('NOT_FOUND');
    return session;
  };
  const fake: FakeSessions = {
    all,
    running: new Set(),
    mostAtOnce: 0,
    gate: () => Promise.resolve(),
    of: (node) => [...all.values()].filter((session) => session.node === node),
    async create(_caller, { sessionId = '', parent, executeTurnInput }) {
      if (parent === undefined) throw new RuntimeError('INTERNAL', 'no parent');
      const isUndo = executeTurnInput.messages.some(({ content }) => content === 'undo');
      if (!all.has(sessionId)) {
        all.set(sessionId, {
          id: sessionId,
          node: isUndo ? `undo ${parent.node_id}` : parent.node_id,
          parent,
          input: executeTurnInput,
          runs: [],
          last: undefined,
          canceled: undefined,
          steps: [...script(parent, isUndo)],
        });
      }
      return { session_id: sessionId, run_id: `run_${sessionId}` };
    },
    async run(_caller, id, how, io: TurnIo) {
      const session = find(id);
      if (fake.running.has(session.node)) throw new RuntimeError('CONFLICT', 'held', { reason: 'run_held' });
      if (isOver(session)) throw new RuntimeError('SESSION_CLOSED');
      if (session.canceled !== undefined) throw new RuntimeError('SESSION_CLOSED');
      fake.running.add(session.node);
      fake.mostAtOnce = Math.max(fake.mostAtOnce, fake.running.size);
      try {
        session.runs.push(how);
        io.progress?.({ progress: 1, message: 'thinking' });
        await fake.gate(session);
        const { last: meanwhile } = find(id);
        if (meanwhile?.kind === 'canceled') return meanwhile;
        if (io.signal.aborted) throw new RuntimeError('CANCELED');
        const say = session.steps.length > 1 ? session.steps.shift() : session.steps[0];
        const result = resultOf(session, say ?? { complete: `${session.node} done` });
        session.last = result;
        return result;
      } finally {
        fake.running.delete(session.node);
      }
    },
    async cancel(_caller, id, reason) {
      const session = find(id);
      if (isOver(session)) throw new RuntimeError('SESSION_CLOSED');
      session.canceled = reason;
      session.last = { ...progress(session), kind: 'canceled', reason };
      return { status: 'canceled' };
    },
    async assertTakes(_caller, id) {
      find(id);
    },
    async result(_caller, id) {
      return find(id).last;
    },
  };
  return fake;
}
