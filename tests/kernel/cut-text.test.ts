// Owns the proof that a text that is cut for a record or a question is never cut through a character: half of one has no
// canonical form, and what cannot be written down cannot be recorded.
import { describe, expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import { cutTo, showCut } from '../../src/base/text.ts';
import { sealed } from '../../src/providers/failure.ts';

import { readReaction } from '../../src/server/delivery.ts';
import { answers, failed } from './outcomes.ts';
import { createRig, OK } from './rig.ts';
import { capability, sampleConfig } from './sample-config.ts';

/** Two texts of characters that take two places each; in one of them every even place lies within a character. */
const WIDE = ['😀'.repeat(3000), `a${'😀'.repeat(3000)}`];

describe.each(WIDE)('a long text of wide characters', (text) => {
  test('is cut between two of them', () => {
    for (const max of [1, 2, 199, 200]) {
      expect(cutTo(text, max).isWellFormed()).toBe(true);
      expect(text.startsWith(cutTo(text, max))).toBe(true);
      expect(cutTo(text, max).length).toBeGreaterThanOrEqual(max - 1);
      expect(showCut(text, max).isWellFormed()).toBe(true);
    }
    expect(cutTo(text, text.length)).toBe(text);
  });

  test('in a result leaves the outcome of a call on record', async () => {
    const rig = createRig();
    rig.tool.run = () => Promise.resolve({ ...OK, content: [{ type: 'text', text }] });
    expect(await rig.call('note', {})).toMatchObject({ status: 'done', sideEffect: 'applied' });
    expect((await rig.records()).at(-1)?.header.type).toBe('call_finished');
  });

  test('in the message of a failure leaves it on record', async () => {
    const rig = createRig();
    answers(rig, failed('TOOL_EXECUTION_FAILED', 'not_executed', text));
    expect(await rig.call('note', {})).toMatchObject({ status: 'tool_error' });
    const error = sealed(new RuntimeError('PROVIDER_HTTP_ERROR', undefined, { provider_message: text }), {});
    expect(String(error.details['provider_message']).isWellFormed()).toBe(true);
  });

  test('in an argument can be denied, and can be asked about', async () => {
    const rig = createRig();
    expect(await rig.call('look', { url: `https://${text}` })).toMatchObject({
      status: 'denied',
      decision: { ruleId: 'url_allowlist' },
    });
    expect(await rig.call('pay', { to: text })).toMatchObject({ status: 'waiting_approval' });
  });

  test('in the note of an answer leaves the answer as it is', () => {
    const reaction = { action: 'accept', content: { decision: 'approve', note: text } } as const;
    const delivery = readReaction(reaction, 2000);
    expect(delivery).toMatchObject({ kind: 'answered', decision: 'approve' });
    expect(delivery.kind === 'answered' && delivery.note?.isWellFormed()).toBe(true);
  });
});

describe('half a character from outside', () => {
  const HALF = 'bad \ud800 end';

  test('in what a server says of its failure leaves the outcome of a call on record', async () => {
    const rig = createRig();
    answers(rig, failed('TOOL_EXECUTION_FAILED', 'side_effect_unknown', HALF));
    expect(await rig.call('note', {})).toMatchObject({ status: 'unknown' });
    const last = (await rig.records()).at(-1);
    expect(last?.evidence).toMatchObject({
      state: 'present',
      value: { error: { message: 'bad \ufffd end' } },
    });
  });
});

test('a made-up name that begins with the whole id of a tool does not become that tool when it is cut', async () => {
  const id = `look:${'a'.repeat(195)}`;
  const registry = { allowed: [id], denied: [] };
  const rig = createRig({
    config: sampleConfig({ policy: { registry }, capabilities: [capability(id)] }),
  });
  expect(await rig.call(id, {})).toMatchObject({ status: 'done' });
  const made = await rig.call(`${id}b`, {}, { toolCallId: 'call_made_up' });
  expect(made.status).toBe('denied');
  expect(rig.effects).toHaveLength(1);
  const names = (await rig.records()).map(({ evidence }) => JSON.stringify(evidence));
  expect(names.filter((text) => text.includes(`"${id}"`))).toHaveLength(2);
});
