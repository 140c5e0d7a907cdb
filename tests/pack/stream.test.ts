import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { createTurnStream, visibleMessage } from '../../src/pack/turn/stream.ts';
import type { TurnOutput, TurnSnapshot } from '../../src/pack/turn/contract.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { verifies } from '../e2e/verifies.ts';
import { createPackRig, user } from './rig.ts';

const ANSWER = { status: 'reply', assistant_message: 'x' } as unknown as TurnOutput;

describe('live output', () => {
  test('of the governed form only the message is visible, whatever the cut', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.boolean(), fc.nat(), (message, fenced, at) => {
        const form = JSON.stringify({
          status: 'reply',
          nested: { assistant_message: 'no' },
          assistant_message: message,
        });
        const text = fenced ? `\`\`\`json\n${form}\n\`\`\`` : form;
        expect(visibleMessage(text)).toBe(message);
        const part = visibleMessage(text.slice(0, at % (text.length + 1)));
        expect(message.startsWith(part)).toBe(true);
      }),
    );
    expect(visibleMessage('plain so f')).toBe('plain so f');
    expect(visibleMessage('``')).toBe('');
    expect(visibleMessage('```js\nx')).toBe('```js\nx');
  });

  test('at most ten partials a second, each with only what is new', () => {
    const clock = createFakeClock();
    const seen: TurnSnapshot[] = [];
    const stream = createTurnStream(clock, (one) => seen.push(one));
    const text = 'x'.repeat(400);
    for (const char of text) {
      stream.onText(char);
      clock.advance(5);
    }
    expect(seen.length).toBeGreaterThan(5);
    expect(seen.length).toBeLessThanOrEqual(21);
    expect(stream.finish(ANSWER)).toBe(seen.length);
    clock.advance(1000);
    expect(seen.map((one) => one.sequence)).toEqual(seen.map((_, index) => index));
    expect(seen.filter((one) => one.state === 'final')).toEqual([seen.at(-1)]);
    const deltas = seen.slice(0, -1).map((one) => one.data.assistant_message_delta as string);
    expect(text.startsWith(deltas.join(''))).toBe(true);
    expect(clock.pending).toBe(0);
  });

  test('a listener that throws ends the stream and not the turn', () => {
    const stream = createTurnStream(createFakeClock(), () => {
      throw new TypeError('listener');
    });
    stream.onText('a');
    expect(() => stream.finish(ANSWER)).not.toThrow();
  });

  verifies(
    { partial: ['TC-11', 'TC-09'] },
    'a streaming turn equals a plain one and ends in that output',
    async () => {
      const rig = createPackRig();
      rig.model.next((_, onText) => {
        onText('{"status":"reply","assistant_mess');
        rig.clock.advance(200);
        onText('age":"Hel');
        rig.clock.advance(200);
        onText('lo"}');
        return { text: '{"status":"reply","assistant_message":"Hello"}' };
      });
      const streamed = await rig.ok({ messages: [user('hi')], stream: true });
      expect(rig.snapshots[0]).toEqual({
        sequence: 0,
        state: 'partial',
        data: { assistant_message_delta: 'Hel' },
      });
      expect(rig.snapshots.at(-1)).toEqual({
        sequence: rig.snapshots.length - 1,
        state: 'final',
        data: JSON.parse(JSON.stringify(streamed)) as unknown,
      });
      const plain = createPackRig();
      plain.model.next({ text: '{"status":"reply","assistant_message":"Hello"}' });
      expect(await plain.ok({ messages: [user('hi')] })).toEqual(streamed);
      expect(plain.snapshots).toEqual([]);
    },
  );
});
