// Two runtimes on one file resume the same session at the same time, again and again. RESUMES sets how often.
import { expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import { resumeGovernedAgentSession, startGovernedAgentSession } from '../../src/runtime/managed.ts';
import type { ManagedResult } from '../../src/pack/managed/contract.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { verifies } from '../e2e/verifies.ts';
import { APPROVE, CALLER, configFor, OK, open, PERSON, place } from '../runtime/rig.ts';
import type { Bench, Place } from '../runtime/rig.ts';
import { asks, IO, roomyConfig, says, user } from './rig.ts';

const RESUMES = Number(process.env.RESUMES ?? 200);
const APPROVALS_EVERY = 10;

interface Gate {
  passed: Promise<void>;
  open: () => void;
}

function gate(): Gate {
  let openGate = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    openGate = resolve;
  });
  return { passed, open: () => openGate() };
}

interface Pair {
  both: [Bench, Bench];
  effects: Map<unknown, number>;
  /** What the model, or the tool, waits for before it answers. */
  hold: { model: Promise<void>; tool: Promise<void> };
}

async function pair(at: Place): Promise<Pair> {
  const { policy, limits, runtime } = roomyConfig();
  const own = configFor(at, { limits, runtime });
  const config = { ...own, policy: { ...own.policy, cycle: policy.cycle } };
  const fakeClock = createFakeClock();
  const effects = new Map<unknown, number>();
  const hold = { model: Promise.resolve(), tool: Promise.resolve() };
  const bench = async (): Promise<Bench> => {
    const made = await open(at, { config, fakeClock });
    const generate = made.model.generate.bind(made.model);
    made.model.generate = async (input, options) => {
      await hold.model;
      const last = input.messages.at(-1);
      const [tool = '', n = ''] = last?.content.split(' ') ?? [];
      made.model.next(last?.role === 'user' ? asks(tool, { n: Number(n) }) : says('done'));
      return generate(input, options);
    };
    made.tool.run = async ({ args: { n } }) => {
      effects.set(n, (effects.get(n) ?? 0) + 1);
      await hold.tool;
      return OK;
    };
    return made;
  };
  return { both: [await bench(), await bench()], effects, hold };
}

/** Both resume at once; whoever gets in waits at the gate until the other has been refused. */
async function race(
  { both }: Pair,
  sessionId: string,
  { held, text }: { held: Gate; text?: string },
): Promise<{ won: ManagedResult[]; lost: unknown[] }> {
  const won: ManagedResult[] = [];
  const lost: unknown[] = [];
  await Promise.all(
    both.map(async ({ runtime }) => {
      try {
        const more = text === undefined ? {} : { continuationMessages: [user(text)] };
        won.push(await resumeGovernedAgentSession({ runtime, caller: CALLER, sessionId, ...more }));
      } catch (thrown) {
        lost.push(thrown);
      }
      held.open();
    }),
  );
  return { won, lost };
}

function expectRefused(lost: readonly unknown[]): void {
  expect(lost).toHaveLength(1);
  const [refusal] = lost;
  expect(refusal).toBeInstanceOf(RuntimeError);
  expect((refusal as RuntimeError).view()).toMatchObject({
    code: 'CONFLICT',
    retryable: true,
    details: { reason: 'run_held', holder: expect.stringMatching(/^inst_/) as string },
  });
}

verifies(
  ['WF-19', 'QB-04'],
  `${RESUMES} simultaneous resumes from two runtimes: one goes on, one is refused, every step is made once`,
  async () => {
    const two = await pair(await place());
    const [first, second] = two.both;
    const started = await startGovernedAgentSession({
      runtime: first.runtime,
      caller: CALLER,
      executeTurnInput: { messages: [user('note 0')] },
    });
    expect(started.kind).toBe('completed');
    const sessionId = started.session_id;
    let turns = 2;
    for (let n = 1; n <= RESUMES; n++) {
      const held = gate();
      if (n % APPROVALS_EVERY === 0) {
        // The step in question is an approved call.
        const waits = await first.runtime.managed.run(
          CALLER,
          sessionId,
          { continuationMessages: [user(`pay ${n}`)] },
          IO,
        );
        if (waits.kind !== 'approval_required') throw new Error(waits.kind);
        await second.runtime.deliverApproval(PERSON, waits.pending_request_id, APPROVE);
        two.hold.tool = held.passed;
        const { won, lost } = await race(two, sessionId, { held });
        expectRefused(lost);
        expect(won[0]).toMatchObject({ kind: 'completed' });
      } else {
        two.hold.model = held.passed;
        const { won, lost } = await race(two, sessionId, { held, text: `note ${n}` });
        expectRefused(lost);
        expect(won[0]).toMatchObject({ kind: 'completed' });
      }
      turns += 2;
    }
    const expected = new Map(Array.from({ length: RESUMES + 1 }, (_, n) => [n, 1]));
    expect(two.effects).toEqual(expected);
    const end = await second.runtime.managed.run(CALLER, sessionId, {}, IO);
    expect(end).toMatchObject({ kind: 'completed', turn_count: turns, tool_call_count: RESUMES + 1 });
    expect(end.messages.filter((one) => one.role === 'user')).toHaveLength(RESUMES + 1);
  },
  60_000 + RESUMES * 1_000,
);

test('whoever was refused is answered when the other is done', async () => {
  const two = await pair(await place());
  const [first, second] = two.both;
  const { session_id: sessionId } = await startGovernedAgentSession({
    runtime: first.runtime,
    caller: CALLER,
    executeTurnInput: { messages: [user('note 0')] },
  });
  const held = gate();
  two.hold.model = held.passed;
  const { lost } = await race(two, sessionId, { held, text: 'note 1' });
  expectRefused(lost);
  for (const { runtime } of [first, second]) {
    expect(await resumeGovernedAgentSession({ runtime, caller: CALLER, sessionId })).toMatchObject({
      turn_count: 4,
    });
  }
});
