// What the provider tests share: a profile, a turn with tools, and one call against a server that answers from a list.
import { readFileSync } from 'node:fs';
import { onTestFinished } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import type {
  ModelInput,
  ModelMessage,
  ModelOutput,
  ModelProfile,
  ModelProvider,
} from '../../src/providers/contract.ts';
import { createModelProvider } from '../../src/providers/create.ts';
import { createManualClock } from './manual-clock.ts';
import type { ManualClock } from './manual-clock.ts';
import { startServer } from './misbehaving-server.ts';
import type { MisbehavingServer, Reply } from './misbehaving-server.ts';

export type WireProviderKind = 'openai_compatible' | 'messages_compatible';

export const KEY = 'sk-Test/Key+0123456789=';
export const KEY_ENV = 'TEST_PROVIDER_KEY';
export const DEADLINE_MS = 60_000;

/** The replies of one kind; a fixture that a kind lacks fails the test that asks for it. */
export function fixturesOf(kind: WireProviderKind): (name: string) => Reply {
  const file = new URL(`fixtures/${kind.replace('_', '-')}.json`, import.meta.url);
  const replies = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Reply>;
  return (name) => {
    const reply = replies[name];
    if (reply === undefined) throw new RangeError(`no fixture ${name} for ${kind}`);
    return reply;
  };
}

export function profileOf(kind: ModelProfile['provider'], over: Partial<ModelProfile> = {}): ModelProfile {
  return {
    name: 'test',
    provider: kind,
    model: 'm-1',
    apiKeyEnv: KEY_ENV,
    deadlineMs: DEADLINE_MS,
    maxResponseBytes: 1024 * 1024,
    maxOutputTokens: 512,
    maxRetries: 2,
    ...over,
  };
}

export const TOOLS: ModelInput['tools'] = [
  {
    name: 'fs:read',
    description: 'Reads a file.',
    inputSchema: {
      type: 'object',
      properties: { path: { type: 'string', minLength: 1 } },
      required: ['path'],
      additionalProperties: false,
    },
  },
  { name: 'fs:list', description: 'Lists a folder.', inputSchema: {} },
];

export function turn(messages: ModelMessage[] = [{ role: 'user', content: 'Hello' }]): ModelInput {
  return { messages, tools: TOOLS, intents: [], turnIndex: 0 };
}

export interface Bench {
  server: MisbehavingServer;
  provider: ModelProvider;
  clock: ManualClock;
}

export async function bench(
  kind: WireProviderKind,
  replies: Reply[],
  over: Partial<ModelProfile> = {},
): Promise<Bench> {
  const server = await startServer(replies);
  onTestFinished(server.close);
  const clock = createManualClock(over.deadlineMs ?? DEADLINE_MS);
  const profile = profileOf(kind, { baseUrl: `${server.origin}/v1`, ...over });
  const provider = createModelProvider(profile, { env: { [KEY_ENV]: KEY }, clock, random: () => 0.5 });
  return { server, provider, clock };
}

export interface CallOptions {
  input?: ModelInput;
  onText?: (delta: string) => void;
  signal?: AbortSignal;
}

function call(provider: ModelProvider, options: CallOptions): ReturnType<ModelProvider['generate']> {
  const { input = turn(), onText, signal = new AbortController().signal } = options;
  return provider.generate(input, { signal, ...(onText === undefined ? {} : { onText }) });
}

export async function outputOf(provider: ModelProvider, options: CallOptions = {}): Promise<ModelOutput> {
  return (await call(provider, options)).output;
}

/** The error of a call that must fail; asserts that no text of it holds the key. */
export async function errorOf(provider: ModelProvider, options: CallOptions = {}): Promise<RuntimeError> {
  const thrown = await call(provider, options).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof RuntimeError))
    throw new TypeError('the call did not fail with a RuntimeError', { cause: thrown });
  const told = JSON.stringify([
    thrown.message,
    thrown.stack,
    thrown.details,
    String(thrown.cause),
  ]).toLowerCase();
  for (const form of [KEY, encodeURIComponent(KEY)]) {
    if (told.includes(form.toLowerCase())) throw new TypeError(`the error holds the key: ${told}`);
  }
  return thrown;
}
