// The four scenarios of every provider kind over a transport that the test puts in: no socket, and the same every time.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import type { ModelProvider, ProviderKind } from '../../src/providers/contract.ts';
import { createModelProvider } from '../../src/providers/create.ts';
import { verifies } from '../e2e/verifies.ts';
import { errorOf, fixturesOf, KEY, KEY_ENV, outputOf, profileOf } from './kit.ts';
import type { WireProviderKind } from './kit.ts';
import { createManualClock } from './manual-clock.ts';
import type { Reply } from './misbehaving-server.ts';

const SCENARIOS = ['success', 'tool_request_shaping', 'malformed_response', 'normalized_error'] as const;
type Scenario = (typeof SCENARIOS)[number];

const FIXTURES: Record<Scenario, { whole: string; streamed: string }> = {
  success: { whole: 'text', streamed: 'stream_text' },
  tool_request_shaping: { whole: 'parallel_calls', streamed: 'stream_calls' },
  malformed_response: { whole: 'wrong_shape', streamed: 'stream_no_finish' },
  normalized_error: { whole: 'error_429', streamed: 'error_429' },
};

const SCRIPTS: Record<Scenario, string> = {
  success: 'turns: [{ reply: Grüße, status: reply, intent: help }]',
  tool_request_shaping:
    "turns: [{ tool_calls: [{ name: 'fs:read', input: { path: a.txt } }, { name: 'fs:list', input: { path: . } }] }]",
  malformed_response:
    "turns: [{ tool_calls: [{ name: 'fs:read', input: { path: '{{tool_result.path}}' } }] }]",
  normalized_error: 'turns: [{ replly: x }]',
};

interface Place {
  provider: ModelProvider;
  /** What the transport was given, in order. */
  sent: { url: string; body: unknown }[];
}

function answerOf(reply: Reply): Response {
  const type = reply.stream === undefined ? 'application/json' : 'text/event-stream';
  return new Response(reply.stream ?? JSON.stringify(reply.body), {
    status: reply.status ?? 200,
    headers: { 'content-type': type, ...reply.headers },
  });
}

function wirePlace(kind: WireProviderKind, fixture: string): Place {
  const sent: Place['sent'] = [];
  const carry: typeof fetch = (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    sent.push({ url, body: JSON.parse(init?.body as string) as unknown });
    return Promise.resolve(answerOf(fixturesOf(kind)(fixture)));
  };
  const profile = profileOf(kind, { baseUrl: 'https://nowhere.invalid/v1', maxRetries: 0 });
  const ports = { env: { [KEY_ENV]: KEY }, clock: createManualClock(1), random: () => 0, fetch: carry };
  return { provider: createModelProvider(profile, ports), sent };
}

function scriptedPlace(scenario: Scenario): Place {
  const folder = mkdtempSync(join(tmpdir(), 'scenario-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const script = join(folder, 'script.yaml');
  writeFileSync(script, `version: 1\n${SCRIPTS[scenario]}\n`);
  const refuse: typeof fetch = () => Promise.reject(new TypeError('a scripted model asks nobody'));
  const ports = { env: {}, clock: createManualClock(1), random: () => 0, fetch: refuse };
  return { provider: createModelProvider(profileOf('scripted', { script }), ports), sent: [] };
}

/** What each scenario comes to, in the same words for every kind. */
const EXPECTED: Record<Scenario, object> = {
  success: {
    said: { status: 'reply', intent: 'help', assistant_message: 'Grüße' },
    calls: [],
    complete: true,
  },
  tool_request_shaping: {
    calls: [
      { name: 'fs:read', input: { path: 'a.txt' } },
      { name: 'fs:list', input: { path: '.' } },
    ],
    complete: true,
  },
  malformed_response: { code: 'PROVIDER_MALFORMED_RESPONSE' },
  normalized_error: { code: 'PROVIDER_RATE_LIMITED' },
};

async function outcome(scenario: Scenario, provider: ModelProvider, stream: boolean): Promise<object> {
  const told: string[] = [];
  const options = stream ? { onText: (delta: string) => void told.push(delta) } : {};
  if (scenario === 'malformed_response' || scenario === 'normalized_error') {
    const { code, retryable, details } = await errorOf(provider, options);
    return { code, retryable, details };
  }
  const { text, toolCalls, complete } = await outputOf(provider, options);
  if (stream) expect(told.join('')).toBe(text);
  const calls = toolCalls.map(({ name, rawInput }) => ({ name, input: JSON.parse(rawInput) as unknown }));
  return { ...(scenario === 'success' ? { said: JSON.parse(text) as unknown } : {}), calls, complete };
}

async function passes(kind: ProviderKind, scenario: Scenario, stream: boolean): Promise<object> {
  const fixture = FIXTURES[scenario][stream ? 'streamed' : 'whole'];
  const { provider, sent } = kind === 'scripted' ? scriptedPlace(scenario) : wirePlace(kind, fixture);
  const found = await outcome(scenario, provider, stream);
  expect(sent).toHaveLength(kind === 'scripted' ? 0 : 1);
  // A script has no server whose error could be normalized: what is wrong with it is told in its own code.
  const own = kind === 'scripted' && scenario === 'normalized_error';
  const expected = own ? { code: 'CONFIGURATION_ERROR' } : EXPECTED[scenario];
  expect(found, `${kind} ${scenario} ${stream ? 'streamed' : 'whole'}`).toMatchObject(expected);
  return { found, sent };
}

for (const kind of ['openai_compatible', 'messages_compatible', 'scripted'] as const) {
  verifies(
    ['PA-11'],
    `success, tool_request_shaping, malformed_response and normalized_error of ${kind}, whole and streamed, twice the same`,
    async () => {
      for (const scenario of SCENARIOS) {
        for (const stream of [false, true]) {
          const first = await passes(kind, scenario, stream);
          expect(await passes(kind, scenario, stream)).toEqual(first);
        }
      }
    },
  );
}
