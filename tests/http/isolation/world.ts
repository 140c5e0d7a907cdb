// Owns one HTTP server over a joined runtime for a stretch of operations, with a model and tools that repeat what they
// were told and a downstream server that remembers it, so that whatever leaks can be recognised.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { randomIds } from '../../../src/base/ids.ts';
import { HTTP_DEFAULTS } from '../../http-defaults.ts';
import type { DownstreamServer, RuntimeConfig } from '../../../src/config/types.ts';
import type { Caller } from '../../../src/kernel/identity.ts';
import type { ModelProfile, ModelProvider } from '../../../src/providers/contract.ts';
import { createRuntime } from '../../../src/runtime/runtime.ts';
import { createTokenIndex } from '../../../src/server/http/credentials.ts';
import type { TokenVerifier } from '../../../src/server/http/credentials.ts';
import { serveRuntimeHttp } from '../../../src/server/http/serve.ts';
import type { HttpServer } from '../../../src/server/http/serve.ts';
import { createMemoryStore } from '../../../src/store/memory/memory-store.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';
import type { FakeClock } from '../../../src/testing/fake-clock.ts';
import { capability, sampleConfig } from '../../kernel/sample-config.ts';
import { tokenEntry } from '../token-entry.ts';
import type { Who } from './witness.ts';

export interface World {
  server: HttpServer;
  clock: FakeClock;
  token: Readonly<Record<Who, string>>;
  close(): Promise<void>;
}

const PROFILE: ModelProfile = {
  name: 'demo',
  provider: 'scripted',
  model: 'echo',
  deadlineMs: 60_000,
  maxResponseBytes: 1_000_000,
  maxOutputTokens: 1000,
  maxRetries: 0,
};

/** Says what it was told last; asked to, it requests a tool with it. */
const ECHO: ModelProvider = {
  kind: 'scripted',
  model: 'echo',
  baseUrl: '',
  generate(input) {
    const last = input.messages.findLast(({ role }) => role === 'user');
    const said = last?.content ?? '';
    const [, tool, word = said] = /use (\w+) with (\S+)/.exec(said) ?? [];
    const toolCalls =
      tool === undefined ? [] : [{ id: 'native', name: tool, rawInput: JSON.stringify({ word }) }];
    const finishReason = tool === undefined ? ('stop' as const) : ('tool_calls' as const);
    const output = { text: tool === undefined ? said : '', toolCalls, finishReason, complete: true };
    const facts = { requestUrl: 'chat', responseStatus: 200, attempts: 1 };
    return Promise.resolve({ output, facts });
  },
};

// The clock runs far ahead of the child: nothing that waits for it may end early.
const LONG_SECONDS = 1_000_000;

const SHELF: DownstreamServer = {
  name: 'shelf',
  transport: 'stdio',
  command: process.execPath,
  args: [fileURLToPath(new URL('shelf.mjs', import.meta.url))],
  envAllow: [],
  env: {},
  era: 'modern',
  startTimeoutSeconds: LONG_SECONDS,
  maxMessageBytes: 1_000_000,
  maxTools: 10,
};

function config(root: string): RuntimeConfig {
  const tools = [
    capability('look'),
    capability('pay', { mode: 'write', risk: 'medium', approval: { approver: 'principal' } }),
    capability('shelf:keep', {
      transport: 'mcp_stdio',
      server: 'shelf',
      tool: 'keep',
      timeoutSeconds: LONG_SECONDS,
    }),
  ];
  const base = sampleConfig({
    capabilities: tools,
    policy: { registry: { allowed: tools.map(({ id }) => id), denied: [] } },
  });
  const sandbox = { pathTemplate: join(root, 'sandbox'), root: join(root, 'sandbox') };
  return {
    ...base,
    models: { default: 'demo', profiles: { demo: PROFILE } },
    servers: { shelf: SHELF },
    policy: { ...base.policy, sandbox },
  };
}

/** In one tenant neither is an operator, who would see all of it; in two both are. */
function callers(tenants: 1 | 2): Record<Who, Caller> {
  const roles = tenants === 1 ? [] : ['operator'];
  const make = (who: Who): Caller => ({
    tenant: tenants === 1 ? 'acme' : `tenant-of-${who}`,
    principal: who,
    actor: `http:${who}`,
    roles,
    scopes: [],
    lane: 'default',
  });
  return { alice: make('alice'), bob: make('bob') };
}

const MANY = 1_000_000;

export async function openWorld(tenants: 1 | 2): Promise<World> {
  const root = await mkdtemp(join(tmpdir(), 'isolation-'));
  const clock = createFakeClock();
  const runtime = await createRuntime({
    config: config(root),
    workspace: root,
    stateDirectory: join(root, 'state'),
    env: {},
    clock,
    store: createMemoryStore(),
    createProvider: () => ECHO,
    executors: [
      {
        transports: ['in_process'],
        execute({ args }, { progress }) {
          const word = JSON.stringify(args.word);
          progress({ progress: 1, total: 2, message: word });
          const content = [{ type: 'text', text: `done ${word.slice(1, -1)}` }];
          return Promise.resolve({ kind: 'result', content, isError: false, notes: [] });
        },
      },
    ],
  });
  await runtime.pin(SHELF.name, (await runtime.pin(SHELF.name)).digest);
  const who = callers(tenants);
  const token = { alice: 'token-of-alice-0123456789', bob: 'token-of-bob-0123456789' };
  const entries = [
    tokenEntry('tok_alice', token.alice, who.alice),
    tokenEntry('tok_bob', token.bob, who.bob),
  ];
  const index = createTokenIndex(entries, new Uint8Array(32), () => clock.now());
  const tokens: TokenVerifier = {
    refresh: () => Promise.resolve(),
    verify: (text) => index.find(text),
    holds: (id) => index.holds(id),
    any: () => true,
  };
  const server = await serveRuntimeHttp({
    runtime,
    options: { tools: 'all', toolNames: 'canonical', version: '1' },
    clock,
    ids: randomIds,
    log: () => undefined,
    tokens,
    stateKeys: { current: new Uint8Array(32).fill(1) },
    host: '127.0.0.1',
    port: 0,
    path: '/mcp',
    settings: {
      ...HTTP_DEFAULTS,
      requestsPerSecondPerAddress: MANY,
      requestsPerSecondPerPrincipal: MANY,
      refusalsPerMinutePerAddress: MANY,
    },
  });
  return {
    server,
    clock,
    token,
    async close() {
      await server.close();
      await runtime.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}
