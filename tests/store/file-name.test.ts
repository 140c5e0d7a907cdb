// Owns the proof that any id makes one safe file name of its own.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { safeFileName } from '../../src/store/file-name.ts';

test('plain ids stay readable, others are escaped', () => {
  expect(safeFileName('ses_01h-x')).toBe('ses_01h-x');
  expect(safeFileName('../a')).toBe('~2e~2e~2fa');
  expect(safeFileName('A')).toBe('~41');
  expect(safeFileName('nul')).toBe('~6eul');
  expect(safeFileName('')).toBe('~');
  expect(safeFileName('x'.repeat(500))).toHaveLength(160);
});

test('different ids give different safe names, even where case is not told apart', () => {
  const id = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ minLength: 150, maxLength: 200 }));
  fc.assert(
    fc.property(id, id, (a, b) => {
      const [left, right] = [safeFileName(a), safeFileName(b)];
      expect(left).toMatch(/^[a-z0-9_~-]{1,160}$/);
      if (a !== b) expect(left.toLowerCase()).not.toBe(right.toLowerCase());
    }),
  );
});
