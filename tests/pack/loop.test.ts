import { describe, expect, test } from 'vitest';
import { createToolResultMessage, inProcessClient, runGovernedAgentLoop } from '../../src/pack/index.ts';
import type { LoopCallAnswer, LoopClient, LoopResult, LoopToolResult } from '../../src/pack/index.ts';
import type { RuntimeConfig } from '../../src/config/types.ts';
import { verifies } from '../e2e/verifies.ts';
import { asks, CALLER, createPackRig, governed, rigConfig, says, user } from './rig.ts';
import type { Answer, Rig } from './rig.ts';
// Compiled, not run: both client generations meet the port.
import type {} from './types/loop-client.ts';

const INPUT = { messages: [user('pay the bill')] };
const io = { signal: new AbortController().signal };

function inProcess(rig: Rig, over: { maxTurns?: number } = {}): Promise<LoopResult> {
  return runGovernedAgentLoop({ runtime: rig.runtime, caller: CALLER, io, executeTurnInput: INPUT, ...over });
}

/** What an MCP client hands back: the same answers, as plain JSON beside text. */
function wireClient(rig: Rig): LoopClient {
  const inner = inProcessClient(rig.runtime, CALLER, io);
  return {
    async callTool(params) {
      const plain = JSON.parse(JSON.stringify(params)) as typeof params;
      const result = await inner.callTool(plain);
      return { content: [{ type: 'text', text: JSON.stringify(result.structuredContent) }], ...result };
    },
  };
}

async function both(prepare: (rig: Rig) => void, over: { maxTurns?: number } = {}): Promise<LoopResult> {
  const [a, b] = [createPackRig(), createPackRig()];
  prepare(a);
  prepare(b);
  const one = await inProcess(a, over);
  const two = await runGovernedAgentLoop({ client: wireClient(b), executeTurnInput: INPUT, ...over });
  expect(two).toEqual(one);
  return one;
}

const answers =
  (...list: Answer[]) =>
  (rig: Rig): void =>
    rig.model.next(...list);

describe('the governed loop', () => {
  verifies(['WF-01'], "turn, kernel call, next turn, with the assistant's side kept", async () => {
    const rig = createPackRig();
    rig.model.next(
      asks('look', { q: 1 }, 'Looking.'),
      governed({ status: 'complete', assistant_message: 'Done.' }),
    );
    const result = await inProcess(rig);
    expect(result).toMatchObject({
      kind: 'completed',
      final_turn: { status: 'complete' },
      turn_count: 2,
      tool_call_count: 1,
    });
    expect(
      result.messages.map((one) => [one.role, one.role === 'tool' ? one.tool_name : one.content]),
    ).toEqual([
      ['user', 'pay the bill'],
      ['assistant', 'Looking.'],
      ['tool', 'look'],
      ['assistant', 'Done.'],
    ]);
    expect(rig.effects.map((one) => one.args)).toEqual([{ q: 1 }]);
    expect(rig.model.inputs[1]?.messages.map((one) => one.role)).toEqual([
      'system',
      'user',
      'assistant',
      'tool',
    ]);
    expect(result.history.map((one) => one.tool_call_id)).toEqual([
      result.history[0]?.tool_call_id,
      undefined,
    ]);
  });

  verifies(
    { partial: ['WF-02'] },
    'each ending is its own kind, the same over a client and in process',
    async () => {
      expect(await both(answers(says('Hello')))).toMatchObject({
        kind: 'completed',
        final_turn: { status: 'reply' },
      });
      expect(await both(answers(governed({ status: 'escalate', assistant_message: 'x' })))).toMatchObject({
        kind: 'completed',
        final_turn: { status: 'escalate' },
      });

      const waits = await both(
        answers({ toolCalls: ['pay', 'look'].map((name) => ({ id: name, name, rawInput: '{}' })) }),
      );
      expect(waits).toMatchObject({
        kind: 'approval_required',
        pending_request_id: expect.stringMatching(/^apr_/) as unknown,
        requested_tool: { name: 'pay' },
        tool_call_count: 2,
      });
      expect(waits.history[1]?.tool_output).toMatchObject({ status: 'done' }); // one that waits holds up no other

      const failed = await both(answers(new TypeError('down')));
      expect(failed).toMatchObject({
        kind: 'error',
        stage: 'execute_turn',
        error: { code: 'INTERNAL' },
        turn_count: 1,
      });
      const limit = await both(answers(asks('look', { n: 1 }), asks('look', { n: 2 })), { maxTurns: 2 });
      expect(limit).toMatchObject({
        kind: 'error',
        stage: 'loop_limit',
        error: { code: 'AGENT_RUNTIME_LOOP_LIMIT_EXCEEDED' },
        turn_count: 2,
        last_turn: { turn_index: 1 },
      });
      const unknown = await both((rig) => {
        rig.model.next(asks('note'));
        rig.tool.run = async () => ({
          kind: 'failed',
          code: 'TOOL_TIMEOUT',
          message: 'late',
          sideEffect: 'side_effect_unknown',
          notes: [],
        });
      });
      expect(unknown).toMatchObject({
        kind: 'error',
        stage: 'call_tool',
        error: { code: 'SIDE_EFFECT_UNKNOWN' },
      });
    },
  );

  const barred = (): RuntimeConfig => {
    const base = rigConfig();
    const registry = { ...base.policy.registry, denied: ['look'] };
    return { ...base, policy: { ...base.policy, registry } };
  };

  test('a denied call is told to the model, unless its rule ends the run', async () => {
    const told = await both(answers(asks('gone'), says('I cannot.')));
    expect(told).toMatchObject({ kind: 'completed', turn_count: 2 });
    expect(told.history[0]?.tool_output).toMatchObject({ status: 'denied' });
    const unoffered = createPackRig({ config: barred() });
    unoffered.model.next(asks('look', { n: 1 }));
    expect(await inProcess(unoffered)).toMatchObject({ kind: 'completed', turn_count: 2 });
    expect(JSON.stringify(unoffered.model.inputs[1]?.messages.at(-1))).toContain('POLICY_DENIED');

    const rule = (onDeny: 'tell_model' | 'end_run', when: { when?: string }) => ({
      id: 'no-look',
      tools: ['look'],
      ...when,
      decision: 'deny' as const,
      reason: 'not one',
      onDeny,
      rememberable: false,
    });
    const config = (onDeny: 'tell_model' | 'end_run', when: { when?: string } = {}) => {
      const base = rigConfig();
      const { workspace } = base.policy;
      const rules = [...workspace.rules, rule(onDeny, when)];
      return { ...base, policy: { ...base.policy, workspace: { ...workspace, rules } } };
    };
    const results: LoopResult[] = [];
    for (const onDeny of ['tell_model', 'end_run'] as const) {
      // Without a condition the tool is not offered, and the turn itself refuses it.
      for (const when of [{ when: 'args.n == 1' }, {}]) {
        const rig = createPackRig({ config: config(onDeny, when) });
        rig.model.next(asks('look', { n: 1 }));
        results.push(await inProcess(rig));
        expect(rig.effects).toEqual([]);
      }
    }
    const goesOn = { kind: 'completed', turn_count: 2 };
    const ends = { kind: 'denied', requested_tool: { name: 'look' }, turn_count: 1 };
    expect(results).toMatchObject([goesOn, goesOn, ends, ends]);
  });

  test('a call that fails for good is told to the model, unless the policy ends the run with it', async () => {
    const config = (onFailure: RuntimeConfig['policy']['onFailure']): RuntimeConfig => {
      const base = rigConfig();
      return { ...base, policy: { ...base.policy, ...(onFailure === undefined ? {} : { onFailure }) } };
    };
    const ends = config({ catalogued_unhandled: 'end_run' });
    const results: LoopResult[] = [];
    for (const [over, isWire] of [
      [config(undefined), false],
      [ends, false],
      [ends, true],
    ] as const) {
      const rig = createPackRig({ config: over });
      rig.tool.run = () => Promise.reject(new TypeError('broken'));
      rig.model.next(asks('look'));
      results.push(
        await (isWire
          ? runGovernedAgentLoop({ client: wireClient(rig), executeTurnInput: INPUT })
          : inProcess(rig)),
      );
    }
    const [goesOn, ended, overWire] = results;
    expect(goesOn).toMatchObject({ kind: 'completed', turn_count: 2 });
    expect(ended).toMatchObject({
      ...{ kind: 'error', stage: 'call_tool', error: { code: 'TOOL_EXECUTION_FAILED' }, turn_count: 1 },
      history: [{ tool_output: { status: 'tool_error', on_failure: 'end_run' } }],
    });
    expect(overWire).toEqual(ended);
  });

  test('an intent to which a session was narrowed holds for every turn of the loop', async () => {
    const intent = (id: string, ...allowTools: string[]): RuntimeConfig['intents'][string] => {
      return { id, description: id, allowTools, approvalRequiredTools: [] };
    };
    const intents = { wide: intent('wide', 'look', 'note'), narrow: intent('narrow', 'look') };
    const rig = createPackRig({ config: { ...rigConfig(), intents } });
    const { session_id } = await rig.ok({ messages: [user('hi')], intent: 'wide' });
    rig.model.next(asks('look'), asks('note'));
    const executeTurnInput = { messages: [user('only look')], session_id, intent: 'narrow' };
    const options = { runtime: rig.runtime, caller: CALLER, io, executeTurnInput };
    expect(await runGovernedAgentLoop(options)).toMatchObject({ kind: 'completed', turn_count: 3 });
    expect(rig.model.inputs.map((one) => one.tools.map((tool) => tool.name))).toEqual([
      ['look', 'note'],
      ['look'],
      ['look'],
      ['look'],
    ]);
    expect(rig.effects.map((one) => one.capability.id)).toEqual(['look']);
  });

  test('an approval goes on where it stopped, and the tool runs once', async () => {
    const rig = createPackRig();
    rig.model.next(asks('pay', { sum: 5 }), says('Paid.'));
    const waits = await inProcess(rig);
    if (waits.kind !== 'approval_required') throw new Error(waits.kind);
    await rig.kernel.deliver(
      { tenant: 'local', principal: 'os:1000', roles: [], attestation: 'client', channel: 'elicitation' },
      waits.pending_request_id,
      { kind: 'answered', decision: 'approve', latencyMs: 4000 },
    );
    await rig.run(waits.last_turn);
    const { session_id } = waits.last_turn;
    const options = {
      runtime: rig.runtime,
      caller: CALLER,
      io,
      executeTurnInput: { messages: [], session_id },
    };
    expect(await runGovernedAgentLoop(options)).toMatchObject({ kind: 'completed', turn_count: 1 });
    expect(rig.effects).toHaveLength(1);
    expect(JSON.stringify(rig.model.inputs[1]?.messages.at(-1))).toContain('success');
  });

  test('an answer of another shape is an error and never a guess', async () => {
    const client = (result: LoopToolResult | Error): LoopClient => ({
      callTool: async () => {
        if (result instanceof Error) throw result;
        return result;
      },
    });
    const run = (result: LoopToolResult | Error): Promise<LoopResult> =>
      runGovernedAgentLoop({ client: client(result), executeTurnInput: INPUT });
    for (const result of [{}, { structuredContent: { status: 'reply' } }, { content: [], isError: true }]) {
      expect(await run(result)).toMatchObject({ kind: 'error', error: { code: 'INVALID_OUTPUT' } });
    }
    expect(await run(new TypeError('socket closed'))).toMatchObject({ error: { message: 'socket closed' } });
    const noId: LoopCallAnswer = {
      status: 'approval_required',
      decision: { decision: 'approval_required', rule_id: 'x', layer: 'x', reasons: [], policy_digest: '' },
    };
    const rig = createPackRig();
    rig.model.next(asks('pay'));
    const runtime = { ...rig.runtime, callTool: async () => noId };
    const result = await runGovernedAgentLoop({ runtime, caller: CALLER, io, executeTurnInput: INPUT });
    expect(result).toMatchObject({ kind: 'error', stage: 'call_tool', error: { code: 'INVALID_OUTPUT' } });
  });

  test('a tool message is bounded in what it shows', () => {
    const message = createToolResultMessage({
      toolCallId: 'c',
      toolName: 't',
      success: true,
      data: 'é'.repeat(1e6),
    });
    expect(message.content.length).toBeLessThan(20_000);
  });
});
