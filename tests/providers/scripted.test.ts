// The scripted model: which turn is due, its values, its limits, and that it is the same every time.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { ModelInput, ModelMessage, ModelProvider } from '../../src/providers/contract.ts';
import { createModelProvider } from '../../src/providers/create.ts';
import { verifies } from '../e2e/verifies.ts';
import { errorOf, outputOf, profileOf } from './kit.ts';

function scripted(source: string): ModelProvider {
  const folder = mkdtempSync(join(tmpdir(), 'script-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const script = join(folder, 'script.yaml');
  writeFileSync(script, source);
  return createModelProvider(profileOf('scripted', { script }), {
    env: {},
    clock: systemClock,
    random: () => 0,
  });
}

function at(turnIndex: number, ...messages: ModelMessage[]): ModelInput {
  return { messages, tools: [], intents: [{ id: 'first', description: 'The first.' }], turnIndex };
}

const user = (content: string): ModelMessage => ({ role: 'user', content });
const result = (toolName: string, content: unknown): ModelMessage => ({
  role: 'tool',
  toolCallId: 'call_0_0',
  toolName,
  content: typeof content === 'string' ? content : JSON.stringify(content),
  isError: false,
});

const SCRIPT = `
version: 1
turns:
  - tool_calls:
      - { name: 'fs:list', input: { path: . } }
      - { name: 'fs:read', input: {} }
  - when: { last_tool: 'fs:list', contains: secret }
    reply: I found something.
    status: escalate
    intent: worry
  - reply: Done.
    finish_reason: length
`;

describe('scripted model', () => {
  verifies(
    { partial: ['PA-12'] },
    'turns by count and by condition, then final_answer; the same every time, offline',
    async () => {
      const provider = scripted(SCRIPT);
      expect(provider).toMatchObject({ kind: 'scripted', model: 'm-1', baseUrl: '' });
      for (let round = 0; round < 2; round++) {
        const first = await provider.generate(at(0, user('go')), { signal: new AbortController().signal });
        expect(first.facts).toEqual({ requestUrl: '', attempts: 1 });
        expect(first.output).toEqual({
          text: '{"status":"tool_request","intent":"first","assistant_message":""}',
          toolCalls: [
            { id: 'call_0_0', name: 'fs:list', rawInput: '{"path":"."}' },
            { id: 'call_0_1', name: 'fs:read', rawInput: '{}' },
          ],
          finishReason: 'tool_calls',
          complete: true,
        });
        const met = await outputOf(provider, { input: at(1, result('fs:list', 'a secret')) });
        expect(JSON.parse(met.text)).toEqual({
          status: 'escalate',
          intent: 'worry',
          assistant_message: 'I found something.',
        });
        const counted = await outputOf(provider, { input: at(1, result('fs:list', 'nothing')) });
        expect(counted).toMatchObject({ finishReason: 'length', complete: false });
        const beyond = await outputOf(provider, { input: at(2, user('more')) });
        expect(JSON.parse(beyond.text)).toMatchObject({
          status: 'complete',
          assistant_message: 'final_answer',
        });
      }
    },
  );

  test('a fallback takes the place of final_answer, and text comes in pieces', async () => {
    const provider = scripted(
      'version: 1\nturns: []\nfallback: { reply: Is there anything else that I can do?, status: reply }',
    );
    const deltas: string[] = [];
    const output = await outputOf(provider, {
      input: at(5, user('x')),
      onText: (delta) => deltas.push(delta),
    });
    expect(JSON.parse(output.text)).toMatchObject({ status: 'reply' });
    expect(deltas.length).toBeGreaterThan(1);
    expect(deltas.join('')).toBe(output.text);
  });

  test('a template takes a value, of its type or as text, from the newest tool result', async () => {
    const provider = scripted(`
version: 1
turns:
  - tool_calls:
      - name: 'fs:read'
        input: { path: '{{tool_result.files.1.path}}', size: '{{tool_result.size}}', note: ['see {{tool_result.files.0}}'] }
`);
    const files = [{ path: 'a' }, { path: 'b' }];
    const output = await outputOf(provider, { input: at(0, result('fs:list', { files, size: 3 })) });
    expect(JSON.parse(output.toolCalls[0]!.rawInput)).toEqual({
      path: 'b',
      size: 3,
      note: ['see {"path":"a"}'],
    });
    for (const content of ['not json', '{}', '{"files":[]}']) {
      const error = await errorOf(provider, { input: at(0, result('fs:list', content)) });
      expect(error.code).toBe('PROVIDER_MALFORMED_RESPONSE');
      expect(error.message).toContain('tool_result.files.1.path');
    }
  });

  test('a script that does not fit is refused with its place', async () => {
    const cases: [string, RegExp][] = [
      ['version: 2\nturns: []', /\/version/],
      ['version: 1\nturns:\n  - replly: x', /\/turns\/0\/replly: unknown key/],
      ['version: 1\nturns:\n  - when: {}', /names no condition/],
      ['version: 1\nturns:\n  - status: tool_request', /\/turns\/0\/status/],
      ['version: 1\nturns: []\nturns: []', /line 3/],
      ['version: 1\nturns: [\n', /line \d/],
      ['version: 1\nturns:\n  - &a { reply: x }\n  - *a', /aliases/],
      ['version: 1\nturns:\n  - reply: !js/function x', /line 3/],
      ['['.repeat(20_000), /nested deeper/],
      [`- `.repeat(20_000), /nested deeper/],
      ['# '.repeat(200_000), /larger than/],
    ];
    for (const [source, said] of cases) {
      const error = await errorOf(scripted(source), { input: at(0, user('x')) });
      expect(error.code).toBe('CONFIGURATION_ERROR');
      expect(error.message).toMatch(said);
    }
  });

  test('no script, a missing file, and a call that has ended', async () => {
    const ports = { env: {}, clock: systemClock, random: () => 0 };
    const input = at(0, user('x'));
    expect((await errorOf(createModelProvider(profileOf('scripted'), ports), { input })).code).toBe(
      'CONFIGURATION_ERROR',
    );
    const lost = createModelProvider(profileOf('scripted', { script: '/nowhere/script.yaml' }), ports);
    expect((await errorOf(lost, { input })).message).toContain('/nowhere/script.yaml');
    const provider = scripted(SCRIPT);
    expect((await errorOf(provider, { input, signal: AbortSignal.abort() })).code).toBe('CANCELED');
  });
});
