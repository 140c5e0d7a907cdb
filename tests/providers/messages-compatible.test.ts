// The messages kind: the common suite, and what is its own.
import { describe, expect, onTestFinished, vi } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { wireConformance } from './conformance.ts';
import { bench, errorOf, fixturesOf, KEY, outputOf, turn } from './kit.ts';
import { offenceOfMessages } from './strict-api.ts';

interface MessagesTool {
  name: string;
  description: string;
  input_schema: unknown;
}

wireConformance({
  kind: 'messages_compatible',
  path: '/messages',
  offenceOf: offenceOfMessages,
  toolsOf: (body) =>
    (body['tools'] as MessagesTool[]).map(({ name, description, input_schema }) => ({
      name,
      description,
      schema: input_schema,
    })),
  credentialOf: ({ headers }) => headers['x-api-key'],
  reasons: { done: 'end_turn', calls: 'tool_use', cut: 'max_tokens', filtered: 'refusal' },
  callIds: ['toolu_a', 'toolu_b'],
});

describe('messages_compatible', () => {
  const reply = fixturesOf('messages_compatible');

  verifies(
    ['PA-08', 'PA-10'],
    'the exact request of a second turn: key header, version, system apart, blocks',
    async () => {
      const { provider, server } = await bench('messages_compatible', [reply('parallel_calls')]);
      const toolCalls = [{ id: 'toolu_a', name: 'fs:read', input: { path: 'a.txt' } }];
      const output = await outputOf(provider, {
        input: turn([
          { role: 'user', content: 'Hello' },
          { role: 'system', content: 'Answer in JSON.' },
          { role: 'assistant', content: 'I look.', toolCalls },
          { role: 'tool', toolCallId: 'toolu_a', toolName: 'fs:read', content: 'refused', isError: true },
          { role: 'user', content: 'Go on' },
        ]),
      });
      const sent = server.received[0]!;
      expect(sent.headers).toMatchObject({ 'x-api-key': KEY, 'anthropic-version': '2023-06-01' });
      expect(sent.headers.authorization).toBeUndefined();
      expect(sent.body['system']).toEqual([{ type: 'text', text: 'Answer in JSON.' }]);
      expect(sent.body['messages']).toEqual([
        { role: 'user', content: [{ type: 'text', text: 'Hello' }] },
        {
          role: 'assistant',
          content: [
            { type: 'text', text: 'I look.' },
            { type: 'tool_use', id: 'toolu_a', name: 'fs__read', input: { path: 'a.txt' } },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'toolu_a', content: 'refused', is_error: true },
            { type: 'text', text: 'Go on' },
          ],
        },
      ]);
      expect(sent.body['max_tokens']).toBe(512);
      expect(sent.body).not.toHaveProperty('stream');
      expect(output.toolCalls.map((call) => call.name)).toEqual(['fs:read', 'fs:list']);
      expect(output).toMatchObject({
        finishReason: 'tool_use',
        usage: { input_tokens: 11, output_tokens: 7 },
      });
      const texts = await bench('messages_compatible', [reply('content_parts')]);
      const spoken = await outputOf(texts.provider);
      expect(spoken.finishReason).toBe('end_turn');
      expect(JSON.parse(spoken.text)).toMatchObject({ status: 'reply', intent: 'help' });
    },
  );

  verifies(
    { partial: ['PA-03'] },
    'no credential or address comes from variables that the profile does not name',
    async () => {
      vi.stubEnv('ANTHROPIC_API_KEY', 'sk-decoy-of-the-process');
      vi.stubEnv('ANTHROPIC_AUTH_TOKEN', 'decoy-token');
      vi.stubEnv('ANTHROPIC_BASE_URL', 'http://127.0.0.1:9');
      onTestFinished(() => {
        vi.unstubAllEnvs();
      });
      const { provider, server } = await bench('messages_compatible', [reply('text')]);
      await outputOf(provider);
      expect(JSON.stringify(server.received[0]?.headers)).not.toContain('decoy');
      expect(server.received[0]?.headers['x-api-key']).toBe(KEY);
    },
  );

  verifies(
    { partial: ['PA-06'] },
    'an error event at the head of a stream is told as the error it is',
    async () => {
      const { provider, server } = await bench('messages_compatible', [
        { ...reply('stream_error_first'), end: 'hang' },
      ]);
      const error = await errorOf(provider, { onText: () => undefined });
      expect(error.code).toBe('PROVIDER_HTTP_ERROR');
      expect(error.details).toMatchObject({
        provider_code: 'overloaded_error',
        provider_message: 'Overloaded',
      });
      // The package leaves this stream open; the call must not.
      await server.hangup;
    },
  );

  verifies(
    { partial: ['PA-09'] },
    'arguments cut by the length limit are passed on as they came, and as not complete',
    async () => {
      const { provider } = await bench('messages_compatible', [reply('stream_broken_arguments')]);
      const output = await outputOf(provider, { onText: () => undefined });
      expect(output).toMatchObject({
        complete: false,
        toolCalls: [{ name: 'fs:read', rawInput: '{"path":' }],
      });
    },
  );

  verifies(
    { partial: ['PA-08'] },
    'system text from anywhere stands apart, and no beta feature is asked for',
    async () => {
      const { provider, server } = await bench('messages_compatible', [reply('stream_text')]);
      await outputOf(provider, {
        onText: () => undefined,
        input: turn([
          { role: 'system', content: 'One.' },
          { role: 'user', content: 'Hello' },
          { role: 'system', content: 'Two.' },
        ]),
      });
      const sent = server.received[0]!;
      expect(sent.body['system']).toMatchObject([{ text: 'One.' }, { text: 'Two.' }]);
      expect(sent.body['messages']).toHaveLength(1);
      expect(sent.headers['anthropic-beta']).toBeUndefined();
      expect(JSON.stringify(sent.body['tools'])).not.toContain('eager_input_streaming');
    },
  );
});
