import { expect, test } from 'vitest';
import { GROUPS, TOP } from '../../src/cli/tree.ts';
import type { Leaf } from '../../src/cli/leaf.ts';
import type { Attestation } from '../../src/config/types.ts';
import type { Approval, Delivery } from '../../src/kernel/approvals/approval.ts';
import { KERNEL_RECORDS } from '../../src/kernel/evidence/records.ts';
import { PACK_RECORDS } from '../../src/pack/records.ts';
import type { TurnStatus } from '../../src/pack/turn/contract.ts';
import { documents, quoted, read, table } from './read.ts';

// The compiler refuses a list that misses a member or has one too many.
const STATES = {
  turn: { reply: 1, tool_request: 1, complete: 1, escalate: 1 } satisfies Record<TurnStatus, 1>,
  approval: {
    pending: 1,
    approved: 1,
    rejected: 1,
    expired: 1,
    revoked: 1,
    consumed: 1,
  } satisfies Record<Approval['state'], 1>,
  delivery: {
    answered: 1,
    declined_by_client: 1,
    not_shown: 1,
    timed_out: 1,
    withdrawn: 1,
  } satisfies Record<Delivery['kind'], 1>,
  attestation: { client: 1, same_user: 1, credential: 1 } satisfies Record<Attestation, 1>,
};

test('the glossary gives each of these words the states that the code gives it', () => {
  const lines = read('docs/glossary.md').split('\n');
  for (const [word, states] of Object.entries(STATES)) {
    const line = lines.find((one) => one.startsWith(`| ${word} `)) ?? '';
    const named = quoted(line).filter((name) => !name.includes('/'));
    expect([...new Set(named)].sort(), word).toEqual(Object.keys(states).sort());
  }
});

test('what is durable when is told in records that exist', () => {
  const known: readonly string[] = [...KERNEL_RECORDS, ...PACK_RECORDS];
  const told = table(read('ARCHITECTURE.md'), 'moment').flatMap(([, before = '']) => quoted(before));
  const records = told.filter((name) => /^[a-z_]+$/.test(name));
  expect(records.length).toBeGreaterThan(5);
  for (const name of records) expect(known).toContain(name);
});

test('what the page calls not yet there is neither a command nor a flag', () => {
  const [, said = ''] = /Not yet: ([^.]*)\./.exec(read('README.md').replaceAll('\n', ' ')) ?? [];
  const words = new Set(said.toLowerCase().match(/[a-z]+/g));
  expect(words.size).toBeGreaterThan(0);
  const leaves = [...TOP, ...Object.values(GROUPS).flatMap((group) => group.leaves)];
  const flags = leaves.flatMap(({ options = [] }) => options.map((one) => one.name()));
  const there = [...leaves.map(({ name }) => name.split(' ')[0] ?? ''), ...Object.keys(GROUPS), ...flags];
  expect(there.filter((name) => words.has(name))).toEqual([]);
});

/** Every command line in a document: what follows `agent-runtime` in code, up to what is no word or flag. */
function commandLines(path: string): string[] {
  const code = read(path).match(/^```[\s\S]*?^```|`[^`\n]+`/gm) ?? [];
  return code.flatMap((text) =>
    [...text.matchAll(/(?:^|[`$ ]|npx )agent-runtime ([a-z][^`\n#]*)/gm)].map(([, line = '']) => line.trim()),
  );
}

function leafOf([first = '', second = '']: readonly string[]): Leaf | undefined {
  const named = (leaves: readonly Leaf[], name: string): Leaf | undefined =>
    leaves.find((leaf) => leaf.name.split(' ')[0] === name);
  return named(TOP, first) ?? named(GROUPS[first]?.leaves ?? [], second);
}

test('every command line in the documents is one that the program has', () => {
  const common = ['--workspace', '--config', '--json', '--help'];
  const lines = documents().flatMap((path) => commandLines(path).map((line) => ({ path, line })));
  expect(lines.length).toBeGreaterThan(20);
  for (const { path, line } of lines) {
    const leaf = leafOf(line.split(/\s+/));
    expect(leaf, `${path}: ${line}`).toBeDefined();
    const flags = [...(leaf?.options ?? []).map((one) => one.long), ...common];
    for (const [flag] of line.matchAll(/(?<=\s)--[a-z-]+/g))
      expect(flags, `${path}: ${line}`).toContain(flag);
  }
});
