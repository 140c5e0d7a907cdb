// How a confined process began: with an empty home, on a live one, as the last one left it, or from its last copy.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished } from 'vitest';
import { randomIds } from '../../src/base/ids.ts';
import type { SandboxProfile } from '../../src/config/types.ts';
import type { ExecutionResult } from '../../src/kernel/execution/executor.ts';
import { load, PACKAGE_ROOT, refusal, swap } from '../config/fixture.ts';
import { verifies } from '../e2e/verifies.ts';
import { createBench, lock, script, server } from './fixtures.ts';
import type { Bench } from './fixtures.ts';

const when = process.platform === 'linux' ? describe : describe.skip;
// Of the first server, the desk.
const MISSING = '      missing: warn\n';
const NOTE = '/home/sandbox/note';
const LATER = '/home/sandbox/later';

/** The profile that the files give a server which keeps its home. */
async function profileOf(state: string): Promise<SandboxProfile> {
  const { servers } = await load({
    'servers.yaml': swap(
      MISSING,
      `      missing: refuse
      state: ${state}
`,
    ),
  });
  const sandbox = servers['desk']?.sandbox;
  if (sandbox === undefined) throw new Error('the bundled desk has no profile');
  return { ...sandbox, entries: [] };
}

interface Machine {
  bench(): Bench;
  /** As if a process had written it and been killed before its home was copied. */
  leave(name: string): void;
  /** The start that the receipt of a call tells, and what the call answered. */
  call(on: Bench, tool: string, path: string): Promise<[unknown, unknown]>;
}

function machine(sandbox: SandboxProfile): Machine {
  const root = mkdtempSync(join(tmpdir(), 'sandbox-start-'));
  onTestFinished(() => {
    rmSync(root, { recursive: true, force: true });
  });
  const confine = { masked: [], packageRoot: PACKAGE_ROOT, homes: join(root, 'homes'), lock, ids: randomIds };
  const held = server('held', [script('intruder')], { sandbox });
  const said = (result: ExecutionResult): unknown =>
    result.kind === 'result' ? result.content[0]?.['text'] : result.code;
  return {
    bench: () => createBench([held], process.env, undefined, {}, {}, confine),
    leave: (name) => {
      const [owner = ''] = readdirSync(join(confine.homes, 'held'));
      writeFileSync(join(confine.homes, 'held', owner, '1', 'home', name), 'x');
    },
    async call(on, tool, path) {
      const result = await on.call(`held:${tool}`, { path });
      return [result.confinement?.['start'], said(result)];
    },
  };
}

when('a confined server', () => {
  verifies(
    ['SB-09'],
    'says whether a run began with a fresh home, on a live process, with what the last one kept, or from a copy',
    async () => {
      const kept = 'persist_session_state: true, snapshot: required_on_completion';
      const resumed = machine(await profileOf(`{ ${kept} }`));
      const one = resumed.bench();
      expect(await resumed.call(one, 'write', NOTE)).toEqual(['fresh', 'done']);
      expect(await resumed.call(one, 'read', NOTE)).toEqual(['live', 'x']);
      await one.end();
      resumed.leave('later');
      const two = resumed.bench();
      expect(await resumed.call(two, 'read', NOTE)).toEqual(['resumed', 'x']);
      expect(await resumed.call(two, 'read', LATER)).toEqual(['live', 'x']);
      await two.end();

      const copied = machine(await profileOf(`{ ${kept}, resume: snapshot }`));
      const first = copied.bench();
      expect(await copied.call(first, 'write', NOTE)).toEqual(['fresh', 'done']);
      await first.end();
      copied.leave('later');
      const second = copied.bench();
      expect(await copied.call(second, 'read', NOTE)).toEqual(['snapshot', 'x']);
      expect(await copied.call(second, 'read', LATER)).toEqual(['live', 'ENOENT']);
      await second.end();

      const none = machine(await profileOf(`{ ${kept}, resume: denied }`));
      for (const read of ['ENOENT', 'ENOENT']) {
        const anew = none.bench();
        expect(await none.call(anew, 'read', NOTE)).toEqual(['fresh', read]);
        expect(await none.call(anew, 'write', NOTE)).toEqual(['live', 'done']);
        await anew.end();
      }
    },
  );
});

verifies({ partial: ['SB-09'] }, 'a start from a copy needs that copies are made', async () => {
  const { problems } = await refusal({
    'servers.yaml': swap(
      MISSING,
      `${MISSING}      state: { resume: snapshot, persist_session_state: true }
`,
    ),
  });
  expect(problems).toMatchObject([
    {
      path: '/servers/desk/sandbox_profile/state/resume',
      message: 'snapshot needs snapshot: required_on_completion; there is nothing else to begin from',
    },
  ]);
});
