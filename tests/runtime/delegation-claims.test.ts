// What a claim to act for somebody needs before anything runs on it, and who is named beside each effect.
import { expect } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import type { RuntimeError } from '../../src/base/errors.ts';
import { verifies } from '../e2e/verifies.ts';
import { governed } from '../pack/rig.ts';
import { AUTHORIZATION, GRANT, withGrants } from './delegated.ts';
import { APPROVE, CALLER, configFor, IO, open, PERSON, place, ticket } from './rig.ts';
import type { Bench } from './rig.ts';

type Claim = Record<string, string>;

const DONE = governed({ status: 'complete', assistant_message: 'done' });

/** Every way in which somebody can ask for work on another's authority. */
const WAYS: Record<string, (bench: Bench, turn: never) => Promise<object>> = {
  turn: ({ runtime }, turn) => runtime.executeTurn(CALLER, turn, IO),
  session: ({ runtime }, turn) => runtime.startSession(CALLER, { execute_turn_input: turn }, IO),
  node: async ({ runtime }, turn) => {
    const workflow = { nodes: [{ id: 'only', execute_turn_input: turn }] };
    return (await runtime.workflows()).start(CALLER, { workflow }, IO);
  },
};

/** The error's code and text; empty where the claim was taken. */
async function claimBy(way: string, bench: Bench, authorization: Claim): Promise<[string, string]> {
  bench.model.next(DONE);
  const turn = { messages: [{ role: 'user', content: 'please' }], authorization };
  try {
    const told: { error?: { code: string; message: string } } = {
      ...(await WAYS[way]?.(bench, turn as never)),
    };
    return [told.error?.code ?? '', told.error?.message ?? ''];
  } catch (thrown) {
    const { code, message } = thrown as RuntimeError;
    return [code, message];
  }
}

verifies(
  ['DA-01'],
  'a turn, a started session and a workflow node take the three modes and no other, and a delegation only if it is configured',
  async () => {
    const at = await place();
    const granted = await open(at, { config: withGrants(at, [GRANT], 'cancel') });
    const bare = await place();
    const without = await open(bare);
    const { delegated_principal_id: who, delegated_scope: scope } = AUTHORIZATION;
    const forAnna = (mode: string): Claim => ({ mode, delegated_principal_id: who, delegated_scope: scope });
    for (const way of Object.keys(WAYS)) {
      for (const mode of ['root', '', 'user_delegated_or_platform_owned']) {
        const [code, message] = await claimBy(way, granted, forAnna(mode));
        expect([way, code]).toEqual([way, 'INVALID_INPUT']);
        expect(message).toContain(`Authorization mode is not supported: ${mode}`);
      }
      for (const mode of ['user_delegated', 'human_approved']) {
        const other = { ...forAnna(mode), delegated_principal_id: 'ben' };
        expect([way, (await claimBy(way, granted, other))[0]]).toEqual([way, 'POLICY_DENIED']);
        expect([way, (await claimBy(way, without, forAnna(mode)))[0]]).toEqual([way, 'POLICY_DENIED']);
      }
    }
    expect([granted.model.inputs, without.model.inputs]).toEqual([[], []]);

    for (const way of Object.keys(WAYS)) {
      for (const claim of [
        { mode: 'platform_owned' },
        forAnna('user_delegated'),
        forAnna('human_approved'),
      ]) {
        const before = granted.model.inputs.length;
        expect([way, await claimBy(way, granted, claim)]).toEqual([way, ['', '']]);
        expect(granted.model.inputs.length).toBe(before + 1);
      }
    }
  },
);

verifies(
  ['DA-02'],
  'a delegation needs a principal, a scope and a grant of both, and reaches only the tools that the grant covers',
  async () => {
    const at = await place();
    const bench = await open(at, { config: withGrants(at, [GRANT], 'cancel') });
    const claimed = async (authorization: Claim): Promise<[string, string]> => {
      const said = await bench.runtime.executeTurn(
        CALLER,
        { messages: [{ role: 'user', content: 'please' }], authorization: authorization as never },
        IO,
      );
      return 'error' in said ? [said.error.code, said.error.message] : ['', said.status];
    };
    const { delegated_principal_id: who, delegated_scope: scope, mode } = AUTHORIZATION;
    const needs = 'Delegated authorization field is required: ';
    expect([
      await claimed({ mode, delegated_scope: scope }),
      await claimed({ mode, delegated_principal_id: who }),
    ]).toEqual([
      ['INVALID_INPUT', `${needs}delegated_principal_id`],
      ['INVALID_INPUT', `${needs}delegated_scope`],
    ]);
    for (const other of [{ delegated_principal_id: 'ben' }, { delegated_scope: 'all' }]) {
      expect((await claimed({ ...AUTHORIZATION, ...other }))[0]).toBe('POLICY_DENIED');
    }
    expect(bench.model.inputs).toEqual([]);

    const run = async (tool: string): Promise<string> =>
      (await bench.run(await bench.ask(tool, { n: 1 }, { authorization: AUTHORIZATION }))).status;
    expect([await run('look'), await run('note')]).toEqual(['denied', 'done']);
    expect(bench.effects.map(({ context }) => context.delegation)).toEqual([
      { mode: 'user_delegated', delegatedPrincipalId: 'anna', delegatedScope: 'errands' },
    ]);
  },
);

verifies(
  ['DA-07'],
  'each effect, allowed at once, approved, failed or unknown, names tool, runtime and delegated principal in its receipt',
  async () => {
    const at = await place();
    const bench = await open(at, { config: withGrants(at, [GRANT], 'cancel') });
    const said = { message: 'no', notes: [] };
    const outcomes = [
      { kind: 'failed', code: 'TOOL_TIMEOUT', sideEffect: 'not_executed', ...said },
      { kind: 'failed', code: 'TOOL_TIMEOUT', sideEffect: 'side_effect_unknown', ...said },
    ] as const;
    const sessions: string[] = [];
    const asked = async (tool: string): Promise<{ session_id: string; tool_call_id: string }> => {
      const one = await bench.ask(tool, { n: sessions.length }, { authorization: AUTHORIZATION });
      sessions.push(one.session_id);
      return one;
    };
    await bench.run(await asked('note'));
    const pays = await asked('pay');
    await bench.runtime.deliverApproval(PERSON, ticket(await bench.run(pays)), APPROVE);
    await bench.run(pays);
    for (const outcome of outcomes) {
      bench.tool.run = () => Promise.resolve(outcome as never);
      await bench.run(await asked('note'));
    }
    expect(bench.effects).toHaveLength(4);
    const records = await bench.runtime.store.scan({
      tenant: CALLER.tenant,
      type: 'call_started',
      limit: 200,
    });
    const receipts = records.map(({ evidence }) => (evidence.state === 'present' ? evidence.value : {}));
    const runtime = configFor(at).agent.runtimePrincipal;
    expect(
      receipts.map((one: JsonObject) => [
        ...[one.tool, one.tool_principal, one.runtime_principal],
        ...[one.principal_id, one.delegated_principal_id],
      ]),
    ).toEqual(
      ['note', 'pay', 'note', 'note'].map((tool) => [tool, `svc-${tool}`, runtime, CALLER.principal, 'anna']),
    );
    // An operator who looks at the session sees them too.
    for (const id of sessions) {
      const { timeline } = await bench.runtime.inspect(CALLER, 'session', id);
      expect(timeline.find(({ type }) => type === 'call_started')).toMatchObject({
        tool_principal: expect.stringMatching(/^svc-/) as string,
        runtime_principal: runtime,
        delegated_principal_id: 'anna',
      });
    }
  },
);
