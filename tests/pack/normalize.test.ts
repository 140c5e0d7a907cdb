import { describe, expect, test } from 'vitest';
import { normalize } from '../../src/pack/turn/normalize.ts';
import type { Normalized } from '../../src/pack/turn/normalize.ts';
import { isNarrower } from '../../src/pack/turn/intents.ts';
import type { ModelOutput } from '../../src/providers/contract.ts';
import { verifies } from '../e2e/verifies.ts';
import { asks, governed, says } from './rig.ts';

const EXPECTED = { intent: 'support', offered: ['support', 'lookup'] };

function judge(output: Partial<ModelOutput>): Normalized {
  return normalize({ text: '', toolCalls: [], finishReason: 'stop', complete: true, ...output }, EXPECTED);
}

function reason(output: Partial<ModelOutput>): string {
  const judged = judge(output);
  return judged.ok ? `ok: ${judged.turn.status}` : judged.reason;
}

function statusOf(output: Partial<ModelOutput>): string {
  const judged = judge(output);
  return judged.ok ? judged.turn.status : `malformed: ${judged.reason}`;
}

describe('the meaning of a model answer', () => {
  verifies(['TC-06'], 'one of four statuses, tools only with tool_request, all else malformed', () => {
    expect(statusOf(says('Hello'))).toBe('reply');
    expect(statusOf(governed({ status: 'reply', assistant_message: 'Hello' }))).toBe('reply');
    expect(statusOf(governed({ status: 'complete', assistant_message: 'Bye' }))).toBe('complete');
    expect(statusOf(governed({ status: 'escalate', assistant_message: 'Help' }))).toBe('escalate');
    expect(statusOf(asks('look'))).toBe('tool_request');
    const inText = { status: 'tool_request', requested_tool: { name: 'look', input: { q: 1 } } };
    expect(judge(governed(inText))).toMatchObject({ turn: { tools: [{ name: 'look', input: { q: 1 } }] } });

    expect(reason(governed({ status: 'done', assistant_message: '' }))).toBe('unknown_status');
    expect(reason(governed({ assistant_message: 'no status' }))).toBe('unknown_status');
    expect(reason(governed({ status: 'tool_request', assistant_message: 'x' }))).toBe(
      'tool_request_without_a_tool',
    );
    for (const status of ['complete', 'escalate']) {
      const text = JSON.stringify({ status, assistant_message: 'x' });
      expect(reason({ ...asks('look'), text })).toBe(`${status}_with_a_tool`);
    }
    expect(reason({ ...asks('look'), ...governed(inText) })).toBe('two_different_tool_requests');
    expect(reason(governed({ status: 'reply', assistant_message: 'x', extra: 1 }))).toBe('wrong_form');
    expect(reason(governed({ status: 'reply' }))).toBe('no_message');
  });

  test('the form is read only as the whole text, bare or in one fence', () => {
    const form = '{"status":"complete","assistant_message":"Bye"}';
    expect(statusOf(says(`\n\`\`\`json\n${form}\n\`\`\`\n`))).toBe('complete');
    expect(statusOf(says(`\`\`\`\n${form}\n\`\`\``))).toBe('complete');
    const quoted = `The document says:\n\`\`\`json\n${form}\n\`\`\``;
    expect(judge(says(quoted))).toMatchObject({ ok: true, turn: { status: 'reply', message: quoted } });
    expect(judge(says('{"answer": 42}'))).toMatchObject({
      turn: { status: 'reply', message: '{"answer": 42}' },
    });
    expect(reason(says('{"status":"complete","assistant_message":"By'))).toBe('not_json');
    expect(reason(says('{"status":"reply","status":"complete","assistant_message":"x"}'))).toBe('not_json');
  });

  test('tool arguments are one JSON object without repeated keys', () => {
    const raw = (rawInput: string): Partial<ModelOutput> => ({
      toolCalls: [{ id: '1', name: 'look', rawInput }],
    });
    expect(judge(raw(''))).toMatchObject({ turn: { tools: [{ input: {} }] } });
    expect(reason(raw('{"a":1,"a":2}'))).toBe('tool_arguments_not_json');
    expect(reason(raw('{"__proto__":1}'))).toBe('tool_arguments_not_json');
    expect(reason(raw('{"a":'))).toBe('tool_arguments_not_json');
    expect(reason(raw('[1]'))).toBe('tool_arguments_not_an_object');
    expect(reason({ toolCalls: [{ id: '1', name: ' ', rawInput: '{}' }] })).toBe('tool_without_name');
  });

  verifies(
    ['TC-15'],
    'the finish reason is kept; a cut answer is neither a stop nor merely malformed',
    () => {
      expect(judge({ text: 'x', finishReason: 'end_turn' })).toMatchObject({
        turn: { finishReason: 'end_turn' },
      });
      expect(judge({ text: 'x', finishReason: '' })).toMatchObject({ turn: { finishReason: 'stop' } });
      const cut = { finishReason: 'length', complete: false };
      expect(judge({ text: 'half a sent', ...cut })).toMatchObject({
        ok: true,
        turn: { finishReason: 'length' },
      });
      expect(judge({ text: '{"status":"reply","assist', ...cut })).toEqual({
        ok: false,
        reason: 'truncated',
        finishReason: 'length',
      });
      expect(reason({ ...asks('look'), ...cut })).toBe('truncated');
    },
  );

  verifies(['PO-04'], 'an intent that was not offered is malformed', () => {
    const named = (intent: string): Partial<ModelOutput> =>
      governed({ status: 'reply', assistant_message: 'x', intent });
    expect(judge(named('lookup'))).toMatchObject({ ok: true, turn: { intent: 'lookup' } });
    expect(judge(says('x'))).toMatchObject({ ok: true, turn: { intent: 'support' } });
    expect(judge(named('admin'))).toMatchObject({ ok: false, reason: 'unknown_intent', field: '/intent' });
    expect(reason(named(''))).toBe('wrong_form');
  });

  test('an intent is narrower only with fewer tools and no approval lost', () => {
    const intent = (allowTools: string[], approvalRequiredTools: string[] = []) => ({
      id: 'x',
      description: '',
      allowTools,
      approvalRequiredTools,
    });
    const outer = intent(['look', 'note'], ['pay']);
    expect(isNarrower(intent(['look']), outer)).toBe(true);
    expect(isNarrower(intent([], ['look', 'pay']), outer)).toBe(true);
    expect(isNarrower(intent(['look', 'ticket']), outer)).toBe(false);
    expect(isNarrower(intent(['pay']), outer)).toBe(false);
  });
});
