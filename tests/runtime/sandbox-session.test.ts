// Owns the proof that a receipt says, beside its run and trace, in which sandbox its call was carried out and what becomes of it.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { SandboxProfile } from '../../src/config/types.ts';
import { confinementOf } from '../../src/kernel/sandbox/elsewhere.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { verifies } from '../e2e/verifies.ts';
import { CALLER, IO, OK, open, place } from './rig.ts';
import type { Place } from './rig.ts';

const PACKAGE = fileURLToPath(new URL('../../', import.meta.url));
const AGENT = { ...CALLER, roles: ['operator', 'manager'] };
const when = process.platform === 'linux' ? describe : describe.skip;

/** What the outcome receipt of one call says of its sandbox, where its run is inspected; the server has ended afterwards. */
async function receiptOf(at: Place, state: Partial<SandboxProfile>): Promise<JsonObject> {
  const config = await loadConfig({
    directory: join(PACKAGE, 'configs'),
    workspace: at.workspace,
    env: {},
    packageRoot: PACKAGE,
  });
  const { desk } = config.servers;
  if (desk?.sandbox === undefined) throw new Error('the bundled desk has no profile');
  const { PATH, HOME } = process.env;
  const entries = [...desk.sandbox.entries, ...(state.entries ?? [])];
  const runtime = await createRuntime({
    config: {
      ...config,
      servers: { ...config.servers, desk: { ...desk, sandbox: { ...desk.sandbox, ...state, entries } } },
      runtime: { ...config.runtime, gatewayIntent: 'triage' },
    },
    workspace: at.workspace,
    stateDirectory: at.state,
    env: { PATH, HOME },
  });
  try {
    await runtime.pin('desk', (await runtime.pin('desk')).digest);
    const call = { tool: 'search_docs', args: { query: 'reset' } };
    const answer = await runtime.callCapability(AGENT, call, IO);
    expect(answer.status).toBe('done');
    const { timeline } = await runtime.inspect(AGENT, 'run', answer.run_id);
    const receipt = timeline.find((one) => one['type'] === 'call_finished');
    expect(receipt).toMatchObject({
      run_id: answer.run_id,
      trace_id: answer.trace_id,
      capability_session_id: answer.capability_session_id,
    });
    return receipt?.['confinement'] as JsonObject;
  } finally {
    await runtime.close();
  }
}

when('the sandbox of a call', () => {
  verifies(
    ['SB-07'],
    'is in its receipt: session, manifest and its digest, permissions, snapshot, and whether it is resumed, copied or made anew',
    async () => {
      const at = await place();
      const kept = { persist: true, resume: 'allowed', snapshot: 'required_on_completion' } as const;
      const first = await receiptOf(at, kept);
      expect(first).toMatchObject({
        sandbox: 'bubblewrap',
        sandbox_session_id: expect.stringMatching(/^sbx_/) as string,
        sandbox_manifest_version: 1,
        sandbox_permissions_profile: 'restricted-shell-network-denied',
        workspace_manifest_ref: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as string,
        start: 'fresh',
        resumable: true,
        snapshottable: true,
        recreate: false,
      });
      expect(first).not.toHaveProperty('snapshot_id'); // there was none when it began

      const again = await receiptOf(at, kept);
      expect(again).toMatchObject({
        start: 'resumed',
        snapshot_id: expect.stringMatching(/^snap_[0-9a-f]{32}$/) as string,
        workspace_manifest_ref: first['workspace_manifest_ref'],
      });
      expect(again['sandbox_session_id']).not.toBe(first['sandbox_session_id']);

      const entries = [{ source: 'inline_file', path: '/task.md', readOnly: true, content: 'x' }] as const;
      const anew = await receiptOf(at, {
        ...kept,
        resume: 'denied',
        snapshot: 'none',
        entries: [...entries],
      });
      expect(anew).toMatchObject({ start: 'fresh', resumable: false, snapshottable: false, recreate: true });
      expect(anew['workspace_manifest_ref']).not.toBe(first['workspace_manifest_ref']);
    },
  );
});

verifies(
  ['SB-10'],
  'each receipt says whether reading was confined: by the sandbox that a process had, or by nothing, with the reason',
  async () => {
    const free = expect.stringMatching(/^not confined: /) as string;
    if (process.platform === 'linux') {
      const held = await receiptOf(await place(), {});
      expect(held).toMatchObject({
        sandbox: 'bubblewrap',
        reads: expect.stringMatching(/^confined to /) as string,
      });
    }
    const bench = await open(await place());
    const told: unknown[] = [];
    for (const run of [
      () => Promise.resolve(OK),
      () => Promise.resolve({ ...OK, isError: true }),
      () => Promise.reject(new TypeError('it threw')),
    ]) {
      bench.tool.run = run;
      const { receipt_ids } = await bench.run(await bench.ask('note', { n: told.length }));
      const records = await bench.runtime.store.scan({ tenant: CALLER.tenant, limit: 200 });
      const evidence = records.map(({ evidence: one }) => (one.state === 'present' ? one.value : {}));
      told.push(evidence.find((one) => one['receipt_id'] === receipt_ids[1])?.['confinement']);
    }
    const own = {
      sandbox: 'none',
      reason: 'in_process: a function of the process that runs the runtime',
      reads: free,
    };
    expect(told).toEqual([own, own, own]);
    for (const transport of ['mcp_stdio', 'mcp_http', 'host'] as const) {
      expect(confinementOf({}, transport)).toMatchObject({ sandbox: 'none', reads: free });
    }
  },
);
