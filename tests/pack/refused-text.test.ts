// Owns the proof that what the gate says of a call that a model asked for is written without the secrets that it quotes.
import { expect, test } from 'vitest';
import { capability, look, note } from '../kernel/sample-config.ts';
import { asks, createPackRig, rigConfig } from './rig.ts';

const SECRET = 'canary-secret-value';

test('a refusal that quotes a path holds no secret of it, in the answer and in the record', async () => {
  const read = capability('read', {
    pathArguments: [{ pointer: '/path', access: 'read' }],
    scopes: [{ type: 'path', pattern: '{sandbox}/**', access: 'read' }],
  });
  const config = rigConfig({ capabilities: [look, note, read] });
  config.policy.registry.allowed.push('read');
  const rig = createPackRig({ config });
  for (const tool_catalog of [[{ name: 'read' }], [{ name: 'look' }]]) {
    rig.model.next(asks('read', { path: `/etc/${SECRET}` }));
    const turn = await rig.ok({ messages: [{ role: 'user', content: 'hi' }], tool_catalog });
    expect(turn.decision).toMatchObject({ decision: 'deny', rule_id: 'sandbox_path' });
    expect(turn.decision?.reasons[0]).toContain('/etc/');
    expect(JSON.stringify(turn.decision)).not.toContain(SECRET);
    const records = JSON.stringify(await rig.records(turn.session_id));
    expect(records).toContain('/etc/');
    expect(records).not.toContain(SECRET);
  }
});

test.each(['x'.repeat(98), 'x'.repeat(178)])(
  'the name of a tool that a model made up is redacted before it is cut, in the row, the record and the answer',
  async (before) => {
    const key = `ghp_${'aB3'.repeat(12)}`;
    const rig = createPackRig();
    rig.model.next(asks(`${before} ${key}`));
    const turn = await rig.ok({ messages: [{ role: 'user', content: 'hi' }] });
    expect(turn.decision).toMatchObject({ decision: 'deny', rule_id: 'inventory' });
    const row = await rig.store.row('request', 'local', turn.tool_call_id ?? '');
    const written = JSON.stringify([turn.decision, row, await rig.records(turn.session_id)]);
    expect(written).toContain('TOOL_NOT_FOUND');
    expect(written).not.toContain('ghp_');
  },
);
