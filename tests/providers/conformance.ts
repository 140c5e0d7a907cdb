// The suite that every wire kind passes, over real HTTP on the loopback: four named scenarios, then what a server can do wrong.
import { describe, expect } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { faultConformance } from './conformance-faults.ts';
import { bench, errorOf, fixturesOf, KEY, outputOf, turn } from './kit.ts';
import type { WireProviderKind } from './kit.ts';
import type { Received } from './misbehaving-server.ts';

export interface KindUnderTest {
  kind: WireProviderKind;
  path: string;
  offenceOf: (body: Record<string, unknown>) => string | undefined;
  /** The tool definitions of a request, in one shape. */
  toolsOf: (body: Record<string, unknown>) => { name: string; description: string; schema: unknown }[];
  credentialOf: (received: Received) => unknown;
  reasons: { done: string; calls: string; cut: string; filtered: string };
  callIds: [string, string];
}

const GOVERNED = { status: 'reply', intent: 'help', assistant_message: 'Grüße' };

export function wireConformance(on: KindUnderTest): void {
  describe(`scenarios of ${on.kind}`, () => scenarios(on));
  describe(`streams of ${on.kind}`, () => streams(on));
  faultConformance(on.kind);
}

function scenarios(on: KindUnderTest): void {
  const reply = fixturesOf(on.kind);

  verifies({ partial: ['PA-11'] }, 'success: text, usage, facts, and what the server was sent', async () => {
    const { server, provider } = await bench(on.kind, [reply('text')]);
    const { output, facts } = await provider.generate(turn(), { signal: new AbortController().signal });
    expect(JSON.parse(output.text)).toEqual(GOVERNED);
    expect(output).toMatchObject({ toolCalls: [], finishReason: on.reasons.done, complete: true });
    expect(output.usage).toEqual({ input_tokens: 11, output_tokens: 7, total_tokens: 18 });
    expect(facts).toEqual({ requestUrl: `${server.origin}/v1${on.path}`, responseStatus: 200, attempts: 1 });
    const [sent] = server.received;
    expect(sent).toMatchObject({ method: 'POST', url: `/v1${on.path}` });
    expect(sent?.body).toMatchObject({ model: 'm-1', max_tokens: 512 });
    expect(on.offenceOf(sent!.body)).toBeUndefined();
    expect(on.credentialOf(sent!)).toBe(KEY);
    expect(sent?.headers.cookie).toBeUndefined();
  });

  verifies(
    { partial: ['PA-11'] },
    'tool_request_shaping: schemas sent, names mapped there and back, parallel calls in order',
    async () => {
      const { server, provider } = await bench(on.kind, [reply('parallel_calls')]);
      const output = await outputOf(provider);
      const path = { type: 'string', minLength: 1 };
      expect(on.toolsOf(server.received[0]!.body)).toEqual([
        {
          name: 'fs__read',
          description: 'Reads a file.',
          schema: { type: 'object', properties: { path }, required: ['path'], additionalProperties: false },
        },
        { name: 'fs__list', description: 'Lists a folder.', schema: { type: 'object' } },
      ]);
      expect(output.toolCalls.map(({ id, name }) => ({ id, name }))).toEqual([
        { id: on.callIds[0], name: 'fs:read' },
        { id: on.callIds[1], name: 'fs:list' },
      ]);
      expect(output.toolCalls.map((call) => JSON.parse(call.rawInput) as unknown)).toEqual([
        { path: 'a.txt' },
        { path: '.' },
      ]);
      expect(output).toMatchObject({ text: '', finishReason: on.reasons.calls, complete: true });
    },
  );

  verifies(['PA-10'], 'a second turn carries the calls of the assistant, each with its result', async () => {
    const { server, provider } = await bench(on.kind, [reply('parallel_calls'), reply('text')]);
    const first = await outputOf(provider);
    const toolCalls = first.toolCalls.map((call) => ({
      id: call.id,
      name: call.name,
      input: JSON.parse(call.rawInput) as Record<string, string>,
    }));
    await outputOf(provider, {
      input: turn([
        { role: 'system', content: 'Answer in JSON.' },
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: '', toolCalls },
        {
          role: 'tool',
          toolCallId: toolCalls[0]!.id,
          toolName: 'fs:read',
          content: 'text of a',
          isError: false,
        },
        {
          role: 'tool',
          toolCallId: toolCalls[1]!.id,
          toolName: 'fs:list',
          content: 'refused',
          isError: true,
        },
      ]),
    });
    const body = server.received[1]!.body;
    expect(on.offenceOf(body)).toBeUndefined();
    expect(JSON.stringify(body)).toContain('text of a');
    expect(JSON.stringify(body)).not.toContain('fs:read');
  });

  verifies(
    { partial: ['PA-11'] },
    'malformed_response: another shape, broken JSON and no body at all',
    async () => {
      for (const malformed of [reply('wrong_shape'), reply('not_json'), { body: '' }]) {
        const { provider, server } = await bench(on.kind, [malformed]);
        const error = await errorOf(provider);
        expect(error.code).toBe('PROVIDER_MALFORMED_RESPONSE');
        expect(error.details).toMatchObject({ provider_kind: on.kind, response_status: 200, attempts: 1 });
        expect(server.received).toHaveLength(1);
      }
    },
  );

  verifies(['PA-06'], 'normalized_error: each status is its own code, with safe details', async () => {
    const cases = [
      [401, 'PROVIDER_AUTHENTICATION_FAILED'],
      [403, 'PROVIDER_AUTHENTICATION_FAILED'],
      [429, 'PROVIDER_RATE_LIMITED'],
      [400, 'PROVIDER_HTTP_ERROR'],
      [404, 'PROVIDER_HTTP_ERROR'],
      [503, 'PROVIDER_HTTP_ERROR'],
    ] as const;
    for (const [status, code] of cases) {
      const { provider, server } = await bench(on.kind, [{ ...reply('error_400'), status }], {
        maxRetries: 0,
      });
      const error = await errorOf(provider);
      expect(error.code).toBe(code);
      expect(error.details).toMatchObject({
        provider_kind: on.kind,
        response_status: status,
        request_url: `${server.origin}/v1${on.path}`,
        attempts: 1,
      });
      expect(error.details['provider_code']).toMatch(/context_length_exceeded|invalid_request_error/);
      expect(error.details['provider_message']).toMatch(/context length|too long/);
    }
    const shape = await bench(on.kind, [reply('wrong_shape')]);
    expect((await errorOf(shape.provider)).code).toBe('PROVIDER_MALFORMED_RESPONSE');
    const gone = await bench(on.kind, [reply('text')], { maxRetries: 0 });
    await gone.server.close();
    const error = await errorOf(gone.provider);
    expect(error.code).toBe('PROVIDER_TRANSPORT_ERROR');
    expect(error.details).toMatchObject({ reason: 'ECONNREFUSED', attempts: 1 });
    expect(error.details).not.toHaveProperty('response_status');
  });

  verifies(
    { partial: ['PA-07', 'PA-08'] },
    'text in parts is joined; a cut or filtered answer is not complete',
    async () => {
      const parts = await bench(on.kind, [reply('content_parts')]);
      expect(JSON.parse((await outputOf(parts.provider)).text)).toEqual(GOVERNED);
      const cut = await bench(on.kind, [reply('cut')]);
      expect(await outputOf(cut.provider)).toMatchObject({ complete: false, finishReason: on.reasons.cut });
      const filtered = await bench(on.kind, [reply('filtered')]);
      expect(await outputOf(filtered.provider)).toMatchObject({
        complete: false,
        finishReason: on.reasons.filtered,
      });
    },
  );
}

function streams(on: KindUnderTest): void {
  const reply = fixturesOf(on.kind);

  verifies(
    ['PA-09'],
    'LF and CRLF, data over several lines, a last event without its blank line, usage alone, calls in pieces',
    async () => {
      for (const name of ['stream_text', 'stream_crlf', 'stream_multiline']) {
        const { provider, server } = await bench(on.kind, [reply(name)]);
        const deltas: string[] = [];
        const output = await outputOf(provider, { onText: (delta) => deltas.push(delta) });
        expect(server.received[0]?.body['stream']).toBe(true);
        expect(deltas.length).toBeGreaterThan(1);
        expect(deltas.join('')).toBe(output.text);
        expect(JSON.parse(output.text)).toEqual(GOVERNED);
        expect(output).toMatchObject({ complete: true, finishReason: on.reasons.done });
        if (name !== 'stream_multiline')
          expect(output.usage).toMatchObject({ input_tokens: 11, output_tokens: 7 });
      }
      const { provider } = await bench(on.kind, [reply('stream_calls')]);
      const output = await outputOf(provider, { onText: () => undefined });
      expect(output.toolCalls).toEqual([
        { id: on.callIds[0], name: 'fs:read', rawInput: '{"path":"a.txt"}' },
        { id: on.callIds[1], name: 'fs:list', rawInput: '{"path":"."}' },
      ]);
      expect(output.finishReason).toBe(on.reasons.calls);
    },
  );

  for (const name of ['stream_cut_event', 'stream_no_finish']) {
    verifies(
      { partial: ['PA-09'] },
      `a stream that ends early is a failure, not a call: ${name}`,
      async () => {
        const { provider, server } = await bench(on.kind, [reply(name)]);
        const error = await errorOf(provider, { onText: () => undefined });
        expect(error.code).toBe('PROVIDER_MALFORMED_RESPONSE');
        expect(server.received).toHaveLength(1);
      },
    );
  }

  verifies(
    { partial: ['PA-06'] },
    'a stream whose connection breaks is a transport failure and is not repeated',
    async () => {
      const { provider, server } = await bench(on.kind, [{ ...reply('stream_no_finish'), end: 'reset' }]);
      const error = await errorOf(provider, { onText: () => undefined });
      expect(error.code).toBe('PROVIDER_TRANSPORT_ERROR');
      expect(server.received).toHaveLength(1);
    },
  );

  verifies(
    { partial: ['PA-06', 'PA-09'] },
    'an error event inside a stream is told as the error it is',
    async () => {
      const { provider, server } = await bench(on.kind, [{ ...reply('stream_error_event'), end: 'hang' }]);
      const error = await errorOf(provider, { onText: () => undefined });
      expect(error.code).toBe('PROVIDER_HTTP_ERROR');
      expect(error.details['provider_code']).toMatch(/^overloaded/);
      await server.hangup;
    },
  );

  verifies({ partial: ['PA-09'] }, 'a stream cut by the length limit says so', async () => {
    const { provider } = await bench(on.kind, [reply('stream_length')]);
    const output = await outputOf(provider, { onText: () => undefined });
    expect(output).toMatchObject({ complete: false, finishReason: on.reasons.cut });
  });

  verifies({ partial: ['PA-06'] }, "a fault of the caller's own callback is not the provider's", async () => {
    const { provider } = await bench(on.kind, [reply('stream_text')]);
    const onText = (): void => {
      throw new RangeError('no room');
    };
    expect((await errorOf(provider, { onText })).code).toBe('INTERNAL');
  });
}
