// One server on two pipes with a fake runtime and a clock that stands still until a test moves it.
import { afterEach } from 'vitest';
import type { Caller } from '../../src/kernel/identity.ts';
import { randomIds } from '../../src/base/ids.ts';
import { serveRuntimeStdio } from '../../src/server/index.ts';
import type { NameMode, ServeOptions, StateKeys, StdioServer } from '../../src/server/index.ts';
import { connectClient, openPipes, RawClient } from './clients.ts';
import type { AnyClient, ClientKind, ClientSetup, Pipes } from './clients.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import type { FakeClock } from '../../src/testing/fake-clock.ts';
import { FakeRuntime } from './fake-runtime.ts';

export const CALLER: Caller = {
  tenant: 'local',
  principal: 'os:1000',
  actor: 'stdio:1',
  roles: [],
  scopes: [],
  lane: 'default',
};
export const OPERATOR: Caller = { ...CALLER, roles: ['operator'] };
export const KEY: Uint8Array = new Uint8Array(32).fill(7);

export interface Setup {
  runtime?: FakeRuntime;
  caller?: Caller;
  tools?: ServeOptions['tools'];
  toolNames?: NameMode;
  stateKeys?: StateKeys;
}

export interface Serving {
  runtime: FakeRuntime;
  clock: FakeClock;
  pipes: Pipes;
  server: StdioServer;
  logged: { level: string; message: string; details: unknown }[];
}

const open: Serving[] = [];

afterEach(async () => {
  for (const serving of open.splice(0)) {
    serving.pipes.toServer.end();
    await serving.server.done;
  }
});

export async function serve(setup: Setup = {}): Promise<Serving> {
  const runtime = setup.runtime ?? new FakeRuntime();
  const clock = createFakeClock();
  const pipes = openPipes();
  const logged: Serving['logged'] = [];
  const server = await serveRuntimeStdio({
    runtime,
    caller: setup.caller ?? CALLER,
    options: { tools: setup.tools ?? 'all', toolNames: setup.toolNames ?? 'auto', version: '1.2.3' },
    stdin: pipes.toServer,
    stdout: pipes.fromServer,
    log: (level, message, details) => logged.push({ level, message, details }),
    clock,
    ids: randomIds,
    stateKeys: setup.stateKeys ?? { current: KEY },
  });
  const serving = { runtime, clock, pipes, server, logged };
  open.push(serving);
  return serving;
}

export async function connect(
  kind: ClientKind,
  setup: Setup & ClientSetup = {},
): Promise<Serving & { client: AnyClient }> {
  const serving = await serve(setup);
  return { ...serving, client: await connectClient(kind, serving.pipes, setup) };
}

export async function raw(setup: Setup = {}): Promise<Serving & { client: RawClient }> {
  const serving = await serve(setup);
  return { ...serving, client: new RawClient(serving.pipes) };
}

/** A promise that a test settles. */
export function deferred<T = void>(): { promise: Promise<T>; open: (value: T) => void } {
  let open: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

/** Everything already under way has been run, as far as it can without a timer. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}
