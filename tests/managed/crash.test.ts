// A process dies at every commit it makes, before the commit is written and after it, with the answer lost. Another
// process goes on over the same store: the story ends as it would have, and no tool has run twice.
import { describe, expect, test } from 'vitest';
import type { ManagedResult } from '../../src/pack/managed/contract.ts';
import type { ModelInput } from '../../src/providers/contract.ts';
import type { CallState } from '../../src/pack/sessions/session.ts';
import { createSessions } from '../../src/pack/sessions/sessions.ts';
import { verifies } from '../e2e/verifies.ts';
import { asks, boot, CALLER, createWorld, decide, dyingStore, governed, IO, toolsTold } from './rig.ts';
import type { Death, Process, World } from './rig.ts';

const GO = { executeTurnInput: { messages: [{ role: 'user' as const, content: 'go' }] } };

/** Two tools at once, one that a person must approve, and the end: what comes next follows from what was told. */
function mind(input: ModelInput): ReturnType<typeof asks> {
  const told = toolsTold(input);
  if (told === 0) {
    return {
      text: '',
      toolCalls: [
        { id: 'a', name: 'look', rawInput: '{"a":1}' },
        { id: 'b', name: 'note', rawInput: '{"b":2}' },
      ],
      finishReason: 'tool_calls',
    };
  }
  if (told === 2) return asks('pay', { sum: 3 });
  return governed({ status: 'complete', assistant_message: 'paid' });
}

/** Plays the whole story, as far as this process lives. */
async function play(at: Process, id: string): Promise<ManagedResult> {
  const first = await at.resume(id, { reason: 'created' });
  if (first.kind !== 'approval_required') return first;
  await decide(at, first.pending_request_id, 'approve');
  return at.resume(id);
}

/** What a person would see of the end, without ids and numbers of tries. */
function told(result: ManagedResult): unknown {
  return {
    kind: result.kind,
    status: result.status,
    tool_call_count: result.tool_call_count,
    messages: result.messages.map(({ role, content, tool_name: name }) => [role, content, name]),
    history: result.history.map(
      ({ turn_output: { status, assistant_message: said }, tool_output: output }) => [
        status,
        said,
        output?.status,
      ],
    ),
  };
}

interface Recovered {
  world: World;
  death: Death;
  result: ManagedResult | undefined;
  suspensions: string[];
  id: string;
}

/** Dies at the n-th commit after creation, then goes on elsewhere; an operator takes note of what is unknown. */
async function dieAndGoOn(at: number, when: 'before' | 'after'): Promise<Recovered> {
  const world = createWorld({ mind });
  const maker = boot(world);
  const { session_id: id } = await maker.managed.create(CALLER, GO);
  const death: Death = { happened: false };
  const victim = boot(world, (store) => dyingStore(store, at, when, death));
  let result = await play(victim, id).catch(() => undefined);
  const suspensions: string[] = [];
  if (death.happened) {
    world.dead.add(victim.instance);
    const heir = boot(world);
    for (let round = 0; round < 5; round++) {
      const status = await heir.managed.status(CALLER, id);
      if (status === 'completed') break;
      const { state } = await createSessions(world.store).load(CALLER, id);
      const unknown = state.calls.filter((one) => 'unknown' in one.state).map((one) => one.id);
      result = await heir.managed.run(CALLER, id, { acceptUnknown: unknown }, IO);
      if (result.kind === 'suspended') suspensions.push(result.reason);
      if (result.kind === 'approval_required') {
        const approval = await heir.rig.kernel.approvalFor('local', result.pending_request_id);
        if (approval?.state === 'pending') await decide(heir, result.pending_request_id, 'approve');
      }
    }
  }
  return { world, death, result, suspensions, id };
}

/** How often each tool had its effect. */
function effects({ effects: made }: World): Record<string, number> {
  const counted: Record<string, number> = {};
  for (const { capability } of made) counted[capability.id] = (counted[capability.id] ?? 0) + 1;
  return counted;
}

async function endStates(world: World, id: string): Promise<CallState['at'][]> {
  const { state } = await createSessions(world.store).load(CALLER, id);
  return state.calls.map((one) => one.state.at);
}

const COMMITS = 18; // of an undisturbed story, its approval's answer included

describe('a process that dies', () => {
  for (const when of ['before', 'after'] as const) {
    verifies(
      ['WF-04', 'RF-16'],
      `at every commit, ${when} it is written, loses nothing and repeats nothing`,
      async () => {
        const whole = await dieAndGoOn(Infinity, when);
        expect(whole.death.happened).toBe(false);
        expect(effects(whole.world)).toEqual({ look: 1, note: 1, pay: 1 });
        const expected = told(whole.result!);
        let deaths = 0;
        const lost: Record<string, number> = {};
        for (let at = 1; at <= COMMITS; at++) {
          const { world, death, result, suspensions, id } = await dieAndGoOn(at, when);
          const where = `commit ${at}, ${when}`;
          expect(death.happened, where).toBe(true);
          deaths += 1;
          const made = effects(world);
          for (const [tool, times] of Object.entries(made)) expect(times, `${tool} at ${where}`).toBe(1);
          expect(new Set(await endStates(world, id)), where).toEqual(new Set(['finished']));
          // The one thing that nobody can know: the effect's start is recorded and its end is not.
          const unknown = result?.history.find(({ tool_output: output }) => output?.status === 'unknown');
          if (unknown === undefined) {
            expect(suspensions, where).toEqual([]);
            expect(made, where).toEqual({ look: 1, note: 1, pay: 1 });
            if (result !== undefined) expect(told(result), where).toEqual(expected);
            continue;
          }
          const tool = unknown.turn_output.requested_tools?.find(
            (one) => one.tool_call_id === unknown.tool_call_id,
          )?.name;
          lost[tool ?? ''] = (lost[tool ?? ''] ?? 0) + 1;
          // A lost read has had no effect, so nobody has to look anything up.
          expect(suspensions, where).toHaveLength(tool === 'look' ? 0 : 1);
          expect(result, where).toMatchObject({ kind: 'completed', status: 'completed' });
        }
        expect((await dieAndGoOn(COMMITS + 1, when)).death.happened).toBe(false);
        expect({ deaths, lost }).toEqual({ deaths: COMMITS, lost: { look: 1, note: 1, pay: 1 } });
      },
    );
  }

  test('a turn that was left open is taken over as soon as its process is gone, not after its deadline', async () => {
    const world = createWorld({ mind });
    const death: Death = { happened: false };
    const maker = boot(world);
    const { session_id: id } = await maker.managed.create(CALLER, GO);
    // Third commit of the run: the outcome of its first turn.
    const victim = boot(world, (store) => dyingStore(store, 3, 'before', death));
    await expect(victim.resume(id)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(death.happened).toBe(true);
    const heir = boot(world);
    await expect(heir.resume(id)).rejects.toMatchObject({
      code: 'CONFLICT',
      details: { reason: 'run_held', holder: victim.instance },
    });
    world.dead.add(victim.instance);
    expect(await heir.resume(id)).toMatchObject({ kind: 'approval_required' });
    const failed = (await heir.rig.records(id)).find((one) => one.header.type === 'turn_failed');
    expect(failed?.evidence).toMatchObject({ value: { reason: 'process_ended', turn_index: 0 } });
  });

  test('a last turn whose process died before it said so has completed its session, also when that is found', async () => {
    const world = createWorld({ mind: () => governed({ status: 'complete', assistant_message: 'fine' }) });
    const death: Death = { happened: false };
    const maker = boot(world);
    const { session_id: id } = await maker.managed.create(CALLER, GO);
    // Third commit of the run: the outcome of its only turn.
    const victim = boot(world, (store) => dyingStore(store, 3, 'after', death));
    await expect(victim.resume(id)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    world.dead.add(victim.instance);
    const heir = boot(world);
    expect(await heir.managed.recover(CALLER, id)).toBe(true);
    const final_turn = { assistant_message: 'fine' };
    expect(await heir.managed.result(CALLER, id)).toMatchObject({ kind: 'completed', final_turn });
    expect((await heir.managed.continuations(CALLER, id)).at(-1)?.kind).toBe('completed');
    await expect(heir.resume(id)).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
  });
});
