import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { RuntimeError } from '../../src/base/errors.ts';
import { createTurnStream, visibleMessage } from '../../src/pack/turn/stream.ts';
import type { TurnOutput, TurnSnapshot } from '../../src/pack/turn/contract.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { verifies } from '../e2e/verifies.ts';
import { createPackRig, evidenceOf, user } from './rig.ts';

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

  test('what may still become the governed form is not shown, so nothing of its message is lost', () => {
    const form = '{"status":"reply","assistant_message":"Hello"}';
    for (const text of [
      `\n ${form}`,
      `\`\`\`\n${form}\n\`\`\``,
      `\n\`\`\`json \r\n\n${form}\n\`\`\``,
      '\n\n  Hello',
      '`Hello`',
      '```\nHello\n```',
    ]) {
      const clock = createFakeClock();
      const seen: TurnSnapshot[] = [];
      const stream = createTurnStream(clock, (one) => seen.push(one));
      for (const char of text) {
        stream.onText(char);
        clock.advance(200);
      }
      const shown = seen.map((one) => one.data.assistant_message_delta as string).join('');
      expect(shown).toBe(text.includes(form) ? 'Hello' : text);
    }
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
    stream.onText('x');
    const { count, partials, text: shown } = stream.close();
    clock.advance(1000);
    stream.onText('too late');
    stream.finish(ANSWER);
    clock.advance(1000);
    expect([count, stream.close().count]).toEqual([seen.length, seen.length]);
    expect(seen.map((one) => one.sequence)).toEqual(seen.map((_, index) => index));
    expect(seen.filter((one) => one.state === 'final')).toEqual([seen.at(-1)]);
    const deltas = seen.slice(0, -1).map((one) => one.data.assistant_message_delta as string);
    expect(text.startsWith(deltas.join(''))).toBe(true);
    expect(shown).toBe(deltas.join(''));
    expect(partials.map(({ characters }) => shown.slice(0, characters))).toEqual(
      deltas.map((_, at) => deltas.slice(0, at + 1).join('')),
    );
    expect(clock.pending).toBe(0);
  });

  test('a listener that throws ends the stream and not the turn', () => {
    const stream = createTurnStream(createFakeClock(), () => {
      throw new TypeError('listener');
    });
    stream.onText('a');
    expect(stream.close().count).toBe(1);
    expect(() => {
      stream.finish(ANSWER);
    }).not.toThrow();
    expect(stream.close().count).toBe(1);
  });

  verifies(
    { partial: ['TC-09'] },
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

  verifies(
    ['TC-11'],
    'how many snapshots a turn showed is on its record, whether it was completed or failed, and only if it streamed',
    async () => {
      const rig = createPackRig();
      const live = (_: unknown, onText: (delta: string) => void): { text: string } => {
        for (const delta of ['one ', 'two ', 'three ']) {
          onText(delta);
          rig.clock.advance(200);
        }
        return { text: 'one two three ' };
      };
      rig.model.next(
        live,
        (...call) => ({ ...live(...call), usage: { input_tokens: -1 } }),
        (...call) => {
          live(...call);
          throw new RuntimeError('PROVIDER_TIMEOUT', undefined, { attempts: 1 });
        },
      );
      const said = { messages: [user('hi')], stream: true };
      const { session_id } = await rig.ok(said);
      const failures = [await rig.fails({ ...said, session_id }), await rig.fails({ ...said, session_id })];
      expect(failures.map(({ error }) => [error.code, error.details.stream_snapshot_count])).toEqual([
        ['INVALID_OUTPUT', 4],
        ['PROVIDER_TIMEOUT', 4],
      ]);
      expect(rig.snapshots.map((one) => one.sequence)).toEqual([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
      expect(rig.snapshots.at(-1)).toMatchObject({ state: 'final', data: { error: failures[1]?.error } });

      await rig.ok({ messages: [user('hi')], session_id });
      const ended = (await rig.records(session_id)).filter((one) =>
        ['turn_completed', 'turn_failed'].includes(one.header.type),
      );
      expect(ended.map((one) => [one.header.type, evidenceOf(one).stream_snapshot_count])).toEqual([
        ['turn_completed', 4],
        ['turn_failed', 4],
        ['turn_failed', 4],
        ['turn_completed', undefined],
      ]);
    },
  );

  verifies(
    ['TC-11'],
    'each snapshot is on the record of its turn, with when it was shown and how far; what broke off is kept sealed',
    async () => {
      const rig = createPackRig();
      const parts = ['Wait', ' for', ' it.'];
      const live = (_: unknown, onText: (delta: string) => void): { text: string } => {
        for (const part of parts) {
          onText(part);
          rig.clock.advance(200);
        }
        return { text: parts.join('') };
      };
      rig.model.next(live, (...call) => {
        live(...call);
        throw new RuntimeError('PROVIDER_TIMEOUT', undefined, { attempts: 1 });
      });
      const said = { messages: [user('hi')], stream: true };
      const output = await rig.ok(said);
      const { session_id } = output;
      const first = rig.snapshots.splice(0);
      await rig.fails({ ...said, session_id });
      const ended = (await rig.records(session_id)).filter((one) =>
        ['turn_completed', 'turn_failed'].includes(one.header.type),
      );
      const told = [
        { after_ms: 0, characters: 4 },
        { after_ms: 200, characters: 8 },
        { after_ms: 400, characters: 12 },
      ];
      for (const record of ended) {
        expect(evidenceOf(record)).toMatchObject({ stream_snapshot_count: 4, stream_partials: told });
      }
      // What was shown follows from the record alone.
      const text = output.assistant_message;
      expect(first.map(({ sequence, data }) => [sequence, data.assistant_message_delta])).toEqual([
        ...told.map(({ characters }, at) => [at, text.slice(told[at - 1]?.characters ?? 0, characters)]),
        [3, undefined],
      ]);
      expect(first.at(-1)).toMatchObject({
        state: 'final',
        data: JSON.parse(JSON.stringify(output)) as object,
      });
      const chain = { tenant: 'local', aggregate: 'session', id: session_id } as const;
      const broken = await rig.store.unseal(chain, ended.at(-1)!.header.seq);
      expect(broken).toMatchObject({ state: 'present', value: { shown: 'Wait for it.' } });
      expect(JSON.stringify(ended.at(-1)?.evidence)).not.toContain('Wait for');
    },
  );
});
