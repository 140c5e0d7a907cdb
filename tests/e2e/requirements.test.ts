import { expect, test } from 'vitest';
import { requirements } from './requirements.ts';

test('every requirement has its own id, numbered without a hole within its group, and one sentence', () => {
  const next = new Map<string, number>();
  for (const { id, text } of requirements) {
    const group = id.slice(0, 2);
    const number = (next.get(group) ?? 0) + 1;
    next.set(group, number);
    expect(id).toBe(`${group}-${String(number).padStart(2, '0')}`);
    expect(text).toMatch(/^[A-Z].*\.$/);
  }
  expect(next.size).toBe(23);
  expect(requirements).toHaveLength(287);
});
