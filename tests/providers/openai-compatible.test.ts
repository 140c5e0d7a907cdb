// The chat-completions kind: the common suite, and what is its own.
import { describe, expect } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createModelProvider } from '../../src/providers/create.ts';
import { verifies } from '../e2e/verifies.ts';
import { wireConformance } from './conformance.ts';
import { bench, errorOf, fixturesOf, KEY, outputOf, profileOf, turn } from './kit.ts';
import { offenceOfChat } from './strict-api.ts';

interface ChatTool {
  function: { name: string; description: string; parameters: unknown };
}

wireConformance({
  kind: 'openai_compatible',
  path: '/chat/completions',
  offenceOf: offenceOfChat,
  toolsOf: (body) =>
    (body['tools'] as ChatTool[]).map(({ function: { name, description, parameters } }) => ({
      name,
      description,
      schema: parameters,
    })),
  credentialOf: ({ headers }) => headers.authorization?.replace(/^Bearer /, ''),
  reasons: { done: 'stop', calls: 'tool_calls', cut: 'length', filtered: 'content_filter' },
  callIds: ['call_a', 'call_b'],
});

describe('openai_compatible', () => {
  const reply = fixturesOf('openai_compatible');

  verifies(['PA-07'], 'governed text, whole and in parts, calls beside null content, and usage', async () => {
    for (const name of ['text', 'content_parts']) {
      const { provider } = await bench('openai_compatible', [reply(name)]);
      const output = await outputOf(provider);
      expect(JSON.parse(output.text)).toMatchObject({ status: 'reply', intent: 'help' });
      expect(output.usage).toEqual({ input_tokens: 11, output_tokens: 7, total_tokens: 18 });
    }
    const { provider } = await bench('openai_compatible', [reply('parallel_calls')]);
    expect(await outputOf(provider)).toMatchObject({
      text: '',
      toolCalls: [
        { id: 'call_a', name: 'fs:read' },
        { id: 'call_b', name: 'fs:list' },
      ],
      usage: { total_tokens: 18 },
    });
  });

  verifies({ partial: ['PA-07'] }, 'broken arguments are passed on as they came', async () => {
    const { provider } = await bench('openai_compatible', [reply('broken_arguments')]);
    const output = await outputOf(provider);
    expect(output.toolCalls).toEqual([{ id: 'call_a', name: 'fs:read', rawInput: '{"path":"a.t' }]);
  });

  verifies({ partial: ['PA-06'] }, 'an answer without choices is malformed', async () => {
    const { provider } = await bench('openai_compatible', [reply('no_choice')]);
    expect((await errorOf(provider)).code).toBe('PROVIDER_MALFORMED_RESPONSE');
  });

  verifies(['PA-10'], 'the exact messages of a second turn', async () => {
    const { provider, server } = await bench('openai_compatible', [reply('text')]);
    const toolCalls = [{ id: 'call_a', name: 'fs:read', input: { path: 'a.txt' } }];
    await outputOf(provider, {
      input: turn([
        { role: 'system', content: 'Answer in JSON.' },
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: 'I look.', toolCalls },
        { role: 'tool', toolCallId: 'call_a', toolName: 'fs:read', content: 'text of a', isError: false },
      ]),
    });
    const call = {
      id: 'call_a',
      type: 'function',
      function: { name: 'fs__read', arguments: '{"path":"a.txt"}' },
    };
    expect(server.received[0]?.body['messages']).toEqual([
      { role: 'system', content: 'Answer in JSON.' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'I look.', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_a', content: 'text of a' },
    ]);
    expect(server.received[0]?.headers.authorization).toBe(`Bearer ${KEY}`);
  });

  verifies({ partial: ['PA-03'] }, 'a profile without a key variable sends no credential', async () => {
    const { provider, server } = await bench('openai_compatible', [reply('text')]);
    const { apiKeyEnv: _, ...keyless } = profileOf('openai_compatible', { baseUrl: provider.baseUrl });
    await outputOf(createModelProvider(keyless, { env: {}, clock: systemClock, random: () => 0 }));
    expect(server.received[0]?.headers.authorization).toBeUndefined();
  });
});
