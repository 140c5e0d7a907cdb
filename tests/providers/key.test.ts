// Owns the proof of which keys are cut out of what a model says, whole or in pieces, and which words are left alone.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createTextGate, outputWithoutKey } from '../../src/providers/key.ts';

function told(key: string, ...deltas: string[]): string {
  let text = '';
  const gate = createTextGate(key, (delta) => (text += delta));
  for (const delta of deltas) gate.push(delta);
  gate.end();
  return text;
}

const textOf = (key: string, text: string): string =>
  outputWithoutKey({ text, toolCalls: [], finishReason: 'stop', complete: true }, key).text;

test('a key of eight characters is cut out, unless it is a word that local servers take for one', () => {
  for (const key of ['k3y-8901', 'AB12CD34EF', '$ecret-word', 'longerthantwelve']) {
    expect([key, textOf(key, `it is ${key}!`)]).toEqual([key, 'it is [key removed]!']);
    expect(told(key, `it is ${key}!`)).toBe('it is [key removed]!');
  }
  for (const word of ['ollama', 'none', 'lm-studio', 'not-needed', 'placeholder', 'k3y-890']) {
    expect([word, textOf(word, `ask ${word} about it`)]).toEqual([word, `ask ${word} about it`]);
    expect(told(word, `ask ${word} about it`)).toBe(`ask ${word} about it`);
  }
});

test('a key in another case or in its URL form is held back wherever the stream cuts it', () => {
  const key = 'Key/with+signs=42';
  const spelled = [key, key.toUpperCase(), key.toLowerCase(), encodeURIComponent(key)];
  fc.assert(
    fc.property(fc.constantFrom(...spelled), fc.nat(30), fc.nat(30), (form, first, second) => {
      const whole = `a ${form} b`;
      const [from, to] = [Math.min(first, second), Math.max(first, second)];
      const cut = [whole.slice(0, from), whole.slice(from, to), whole.slice(to)];
      expect(told(key, ...cut)).toBe('a [key removed] b');
    }),
  );
});
