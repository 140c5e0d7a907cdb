// The sandbox of the configuration that ships: what its real servers cannot do under it, by attempts that succeed without it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { RuntimeConfig } from '../../src/config/types.ts';
import type { RuntimeHandle } from '../../src/runtime/options.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { verifies } from '../e2e/verifies.ts';
import { CALLER, IO, place } from './rig.ts';
import type { Place } from './rig.ts';

const PACKAGE = fileURLToPath(new URL('../../', import.meta.url));
const ATTEMPTS = fileURLToPath(new URL('./fixtures/attempts.mjs', import.meta.url));
const SECRET = 'canary-51c0de';
const AGENT = { ...CALLER, roles: ['operator', 'manager'] };
// A machine that cannot confine must not pass by leaving these out: on Linux they fail.
const when = process.platform === 'linux' ? describe : describe.skip;

function bundled(at: Place): Promise<RuntimeConfig> {
  const directory = join(PACKAGE, 'configs');
  return loadConfig({ directory, workspace: at.workspace, env: {}, packageRoot: PACKAGE });
}

function open(at: Place, config: RuntimeConfig, over: Partial<Parameters<typeof createRuntime>[0]> = {}) {
  const { PATH, HOME } = process.env;
  return createRuntime({
    ...{ config, workspace: at.workspace, stateDirectory: at.state, env: { PATH, HOME } },
    ...over,
  }).then((runtime: RuntimeHandle) => {
    onTestFinished(() => runtime.close());
    return runtime;
  });
}

interface Attempted {
  outcome: unknown;
  confinement: unknown;
}

/** Has the named server try, as the bundled configuration starts it or without its profile, and then do its work. */
async function attempt(
  name: 'files' | 'desk',
  isConfined: boolean,
): Promise<Attempted & { planted: boolean }> {
  const at = await place();
  const config = await bundled(at);
  const found = config.servers[name];
  if (found?.sandbox === undefined) throw new Error(`${name} has no profile`);
  const { sandbox, ...server } = found;
  const listening = createServer((socket) => socket.end());
  await once(listening.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void listening.close());
  const folder = name === 'files' ? config.policy.sandbox.root : at.workspace;
  mkdirSync(join(at.root, 'elsewhere'));
  const told = {
    report: join(folder, 'report.json'),
    outside: join(at.root, 'elsewhere', 'planted'),
    port: (listening.address() as AddressInfo).port,
    secret: SECRET,
  };
  const changed = {
    ...server,
    args: ['--import', ATTEMPTS, ...server.args],
    env: { ...server.env, ATTEMPTS: { value: JSON.stringify(told) } },
    ...(isConfined ? { sandbox } : {}),
  };
  const runtime = await open(at, {
    ...config,
    servers: { ...config.servers, [name]: changed },
    runtime: { ...config.runtime, gatewayIntent: name === 'files' ? 'notes' : 'triage' },
  });
  await runtime.pin(name, (await runtime.pin(name)).digest);
  const call =
    name === 'files'
      ? { tool: 'read_file', args: { path: told.report } }
      : { tool: 'search_docs', args: { query: 'reset' } };
  const answer = await runtime.callCapability(AGENT, call, IO);
  expect(answer.status).toBe('done');
  const records = await runtime.store.scan({ tenant: CALLER.tenant, limit: 200 });
  const receipt = records.find(({ header }) => header.type === 'call_finished')?.evidence;
  return {
    outcome: JSON.parse(readFileSync(told.report, 'utf8')),
    confinement: receipt?.state === 'present' ? receipt.value['confinement'] : undefined,
    planted: existsSync(told.outside),
  };
}

when('the servers of the bundled configuration', () => {
  for (const name of ['files', 'desk'] as const) {
    verifies(
      { partial: ['SB-01', 'SB-02', 'SB-03'] },
      `${name} works, and cannot write outside, connect, or read a secret variable, which it can without a profile`,
      async () => {
        const neighbour = spawn(process.execPath, ['-e', "console.log('up'); process.stdin.resume()"], {
          env: { PROVIDER_KEY: SECRET },
        });
        onTestFinished(() => void neighbour.kill('SIGKILL'));
        await once(neighbour.stdout, 'data');
        const held = await attempt(name, true);
        expect(held.outcome).toEqual({
          // Where nothing is bound there is no such directory.
          write: 'ENOENT',
          connect: 'ECONNREFUSED',
          secret: 'not found',
        });
        expect(held.planted).toBe(false);
        expect(held.confinement).toMatchObject({
          sandbox: 'bubblewrap',
          network_secrets_posture: 'network:denied,secrets:none',
        });
        expect(await attempt(name, false)).toEqual({
          outcome: { write: 'done', connect: 'done', secret: 'done' },
          confinement: {
            ...{ sandbox: 'none', reason: 'no sandbox_profile' },
            reads: expect.stringMatching(/^not confined: /) as string,
          },
          planted: true,
        });
      },
    );
  }
});

test('where nothing can confine, the bundled servers run, and log and receipts say so', async () => {
  const at = await place();
  const config = await bundled(at);
  // A machine with node and nothing else.
  const only = join(at.root, 'bin');
  mkdirSync(only);
  symlinkSync(process.execPath, join(only, 'node'));
  const logged: unknown[] = [];
  const runtime = await open(at, config, {
    env: { PATH: only, HOME: at.root },
    log: (level, message, facts) => logged.push([level, message, facts?.['server']]),
  });
  await runtime.pin('desk', (await runtime.pin('desk')).digest);
  const call = { tool: 'search_docs', args: { query: 'reset' } };
  expect((await runtime.callCapability(AGENT, call, IO)).status).toBe('done');
  expect(logged).toContainEqual([
    'warn',
    'a server runs without the sandbox that its profile asks for',
    'desk',
  ]);
  const records = await runtime.store.scan({ tenant: CALLER.tenant, limit: 200 });
  const receipt = records.find(({ header }) => header.type === 'call_finished')?.evidence;
  expect(receipt).toMatchObject({ state: 'present', value: { confinement: { sandbox: 'none' } } });
});
