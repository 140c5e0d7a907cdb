import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readCitations } from '../../scripts/lib/citations.mjs';
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

test('a citation counts in a test and in a suite that tests share, not in a fixture or where the ids are listed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'citations-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const files = {
    'pack/turn.test.ts': "verifies(['TC-01'], 'whole', fn);",
    'providers/suite.ts':
      "if (x) verifies({ partial: ['TC-02'] }, 'a part', fn);\nverifies(['ZZ-01'], 'no id', fn);",
    'pack/kit.ts': "export const later = (ids) => verifies(ids, 'not literal', fn);",
    'pack/fixtures/sample.ts': "verifies(['TC-03'], 'a sample', fn);",
    'e2e/verifies.ts': "verifies(['TC-04'], 'an example', fn);",
    'e2e/requirements/turn.ts': "verifies(['TC-05'], 'an example', fn);",
    'notes.md': "verifies(['TC-06'], 'no code', fn);",
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const ids = requirements.map(({ id }) => id);
  expect(readCitations(folder, ids)).toEqual({
    proved: new Set(['TC-01']),
    partial: new Set(['TC-02']),
    faults: [
      'pack/kit.ts:1: verifies takes a literal list of ids',
      'providers/suite.ts:2: no requirement ZZ-01',
    ],
  });
});
