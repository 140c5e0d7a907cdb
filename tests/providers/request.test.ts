// What is sent, for any history: names and ids that a strict API accepts, reversible, and every call with one result.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createTextGate } from '../../src/providers/key.ts';
import type { ModelMessage } from '../../src/providers/contract.ts';
import { pairCalls } from '../../src/providers/conversation.ts';
import { retryAfterMs } from '../../src/providers/http.ts';
import { createWireNames } from '../../src/providers/wire-names.ts';
import { verifies } from '../e2e/verifies.ts';
import { bench, fixturesOf, KEY, outputOf, turn } from './kit.ts';
import { createManualClock } from './manual-clock.ts';
import { offenceOfChat, offenceOfMessages } from './strict-api.ts';

const anyId = fc.constantFrom('a', 'b', 'call:1', 'call 1', '', 'x'.repeat(70), 'ид');
const anyName = fc.constantFrom('fs:read', 'fs__read', 'fs/read', 'fs:list', `server:${'n'.repeat(80)}`);
const anyText = fc.constantFrom('', ' \n', 'Hello', 'Grüße');
const anyMessage: fc.Arbitrary<ModelMessage> = fc.oneof(
  fc.record({ role: fc.constantFrom('system' as const, 'user' as const), content: anyText }),
  fc.record({
    role: fc.constant('assistant' as const),
    content: anyText,
    toolCalls: fc.array(fc.record({ id: anyId, name: anyName, input: fc.constant({ path: 'a' }) }), {
      maxLength: 3,
    }),
  }),
  fc.record({
    role: fc.constant('tool' as const),
    toolCallId: anyId,
    toolName: anyName,
    content: anyText,
    isError: fc.boolean(),
  }),
);

describe('wire names', () => {
  test('fs:read becomes fs__read, names that collide get a suffix, accepted names keep themselves', () => {
    const names = createWireNames(['fs:read', 'fs__read', 'fs::read', 'fs/read', 'fs_read']);
    expect(['fs:read', 'fs__read', 'fs::read', 'fs/read', 'fs_read'].map(names.toWire)).toEqual([
      'fs__read_2',
      'fs__read',
      'fs____read',
      'fs_read_2',
      'fs_read',
    ]);
    expect(createWireNames(['fs:read']).toWire('fs:read')).toBe('fs__read');
    expect(names.fromWire('nobody_knows')).toBe('nobody_knows');
  });

  test('any set of names maps to accepted, distinct names and back', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.oneof(anyName, fc.string({ maxLength: 90 }))), (all) => {
        const names = createWireNames(all);
        const wire = all.map(names.toWire);
        expect(new Set(wire).size).toBe(all.length);
        for (const name of wire) expect(name).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
        expect(wire.map(names.fromWire)).toEqual(all);
      }),
    );
  });
});

describe('conversations', () => {
  test('a late result moves to its call, a missing one is said, one nobody asked for becomes text', () => {
    const call = { id: 'a', name: 'fs:read', input: {} };
    const result = {
      role: 'tool',
      toolCallId: 'a',
      toolName: 'fs:read',
      content: 'late',
      isError: false,
    } as const;
    expect(
      pairCalls([
        { ...result, content: 'early' },
        { role: 'assistant', content: '', toolCalls: [call, { ...call, id: 'b' }] },
        { role: 'user', content: 'meanwhile' },
        result,
      ]),
    ).toEqual([
      { role: 'user', content: 'Result of tool fs:read, reported without a call:\nearly' },
      { role: 'assistant', content: '', toolCalls: [call, { ...call, id: 'b' }] },
      result,
      { ...result, toolCallId: 'b', content: 'No result of this call is recorded.', isError: true },
      { role: 'user', content: 'meanwhile' },
    ]);
  });

  for (const kind of ['openai_compatible', 'messages_compatible'] as const) {
    verifies(
      { partial: ['PA-10'] },
      `whatever the history, a strict server of the kind ${kind} accepts it`,
      async () => {
        const offenceOf = kind === 'openai_compatible' ? offenceOfChat : offenceOfMessages;
        const { provider, server } = await bench(kind, [fixturesOf(kind)('text')]);
        await fc.assert(
          fc.asyncProperty(fc.array(anyMessage, { minLength: 1, maxLength: 8 }), async (messages) => {
            await outputOf(provider, { input: turn(messages) });
            expect(offenceOf(server.received.at(-1)!.body)).toBeUndefined();
          }),
          { numRuns: 150 },
        );
      },
    );
  }
});

describe('small readers', () => {
  test('Retry-After: seconds, a date, and what is neither', () => {
    const clock = createManualClock(1, Date.UTC(1994, 10, 6, 8, 49, 30));
    expect(retryAfterMs('0', clock)).toBe(0);
    expect(retryAfterMs('1.5', clock)).toBe(1500);
    expect(retryAfterMs('Sun, 06 Nov 1994 08:49:37 GMT', clock)).toBe(7000);
    expect(retryAfterMs('Sun, 06 Nov 1994 08:49:00 GMT', clock)).toBe(0);
    for (const neither of [null, '', 'soon', '-1', '1e3', '1994-11-06', 'Sunday']) {
      expect(retryAfterMs(neither, clock)).toBeUndefined();
    }
  });

  verifies({ partial: ['PA-03'] }, 'a key streamed in pieces of any size never comes out', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 40 }), { minLength: 1 }),
        fc.constantFrom('', 'sk-', 'sk-Test'),
        (cuts, tail) => {
          const whole = `before ${KEY} between ${KEY}${KEY} sk-T after ${tail}`;
          let told = '';
          const gate = createTextGate(KEY, (delta) => (told += delta));
          let at = 0;
          for (const size of cuts) gate.push(whole.slice(at, (at += size)));
          gate.push(whole.slice(at));
          gate.end();
          expect(told).toBe(whole.replaceAll(KEY, '[key removed]'));
        },
      ),
    );
  });
});
