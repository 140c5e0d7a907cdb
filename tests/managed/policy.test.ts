// A run is judged by what holds now: rules, pre-check, roles, scopes and delegations, whatever held when it began.
import { describe, expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { evidenceOf } from '../pack/rig.ts';
import { asks, boot, CALLER, createWorld, governed, LONG, roomyConfig, toolsTold, user } from './rig.ts';

describe('policy at every run', () => {
  verifies(
    { partial: ['PO-20'] },
    'roles, scopes, pre-check and rules are those of now; the actor is that of the session',
    async () => {
      const seen: unknown[] = [];
      const world = createWorld({ mind: LONG(2) });
      const at = boot(world);
      const first = await at.start('go', { maxTurns: 1 });
      world.effects.length = 0;
      const later = { ...CALLER, actor: 'stdio:999', roles: ['auditor'], scopes: ['b'], lane: 'other' };
      const heir = boot(world);
      await heir.resume(first.session_id, { maxTurns: 1 }, later);
      for (const { context } of world.effects) seen.push(context.caller);
      expect(seen).toEqual([{ ...later, actor: CALLER.actor, lane: CALLER.lane }]);
      const started = (await at.rig.records(first.session_id)).filter(
        (one) => one.header.type === 'invocation_started',
      );
      expect(started.map((one) => evidenceOf(one).asked_by)).toEqual([CALLER.actor, 'stdio:999']);
      expect(started.map((one) => evidenceOf(one).actor_id)).toEqual([CALLER.actor, CALLER.actor]);

      const { policy } = world.config;
      world.config = {
        ...world.config,
        policy: { ...policy, digest: 'sha256:new', registry: { allowed: [], denied: ['note'] } },
      };
      const strict = boot(world);
      world.mind = (input) =>
        toolsTold(input) < 3
          ? asks('note', { n: 9 })
          : governed({ status: 'complete', assistant_message: 'x' });
      world.effects.length = 0;
      await strict.resume(first.session_id, { maxTurns: 1 });
      expect(world.effects).toEqual([]);
      const last = (await at.rig.records(first.session_id))
        .filter((one) => one.header.type === 'invocation_started')
        .at(-1);
      expect(evidenceOf(last).policy_digest).toBe('sha256:new');

      world.config = { ...world.config, agent: { ...world.config.agent, id: ' ' } };
      await expect(boot(world).resume(first.session_id)).rejects.toMatchObject({
        code: 'POLICY_DENIED',
        details: { policy_id: 'run_003' },
      });
      world.config = roomyConfig();
      world.config.controls.resumeAllowed = false;
      await expect(boot(world).resume(first.session_id)).rejects.toMatchObject({ code: 'POLICY_DENIED' });
    },
  );

  test('a delegation that is no longer granted stops the run', async () => {
    const world = createWorld();
    const granted = { actor: CALLER.actor, principal: 'svc', scope: 's' };
    world.config.identity.delegations = [granted];
    const at = boot(world);
    const { session_id: sessionId } = await at.managed.create(CALLER, {
      executeTurnInput: {
        messages: [user('x')],
        authorization: { mode: 'user_delegated', delegated_principal_id: 'svc', delegated_scope: 's' },
      },
    });
    world.config.identity.delegations = [];
    expect(await at.resume(sessionId)).toMatchObject({ kind: 'error', error: { code: 'POLICY_DENIED' } });
    expect(at.model.inputs).toEqual([]);
    world.config.identity.delegations = [granted];
    expect(await at.resume(sessionId, {}, { ...CALLER, actor: 'stdio:2' })).toMatchObject({
      kind: 'completed',
    });
  });

  // Without a condition the tool is not even offered, and so refused by the turn that asks for it.
  test.each([{ when: 'true' }, {}])(
    'a rule that ends the run ends it as an error that names the denial: %o',
    async (when) => {
      const config = roomyConfig();
      const [all] = config.policy.workspace.rules;
      config.policy.workspace.rules = [
        { ...all!, id: 'no', tools: ['note'], decision: 'deny', onDeny: 'end_run', ...when },
        all!,
      ];
      const world = createWorld({ config, mind: LONG(1) });
      const ended = await boot(world).start('go');
      expect(world.effects).toEqual([]);
      expect(ended.kind === 'error' ? ended.error.code : ended).toBe('POLICY_DENIED');
      expect(await boot(world).resume(ended.session_id)).toMatchObject({
        kind: 'error',
        turn_count: ended.turn_count,
      });
    },
  );
});
