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
