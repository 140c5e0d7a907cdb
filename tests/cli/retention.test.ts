// Shows what an operator takes out of the journal for good: payloads with every readable copy, and whole chains under a
// signed segment, from which `evidence verify` goes on and without which it names the damage.
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import Database from 'libsql';
import { expect, test } from 'vitest';
import { sessionCopyFiles } from '../../src/store/documents/session-copies.ts';
import { verifies } from '../e2e/verifies.ts';
import { SESSION } from '../kernel/rig.ts';
import { journal, json, place, run } from './harness.ts';
import type { Place } from './harness.ts';

/** A journal whose one session has ended, with a readable copy, and nobody at it. */
async function ended(
  args?: Record<string, unknown>,
  also: readonly string[] = [],
): Promise<Place & { copy: string; database: string }> {
  const at = await place();
  const { store } = await journal(at, args === undefined ? {} : { args });
  const { version: _version, ...row } = (await store.row('session', 'local', SESSION))!;
  await store.commit({ rows: [{ row: { ...row, status: 'completed' } }] });
  for (const id of also) {
    const chain = { tenant: 'local', aggregate: 'session', id } as const;
    await store.commit({
      appends: [{ chain, when: { seq: 0 }, type: 'session_started', at: row.updatedAt, evidence: {} }],
      rows: [{ row: { ...row, id, status: 'completed' } }],
    });
  }
  await store.close();
  const state = join(at.workspace, '.agent-runtime');
  const copy = sessionCopyFiles(join(state, 'workflow')).pathOf(SESSION);
  await mkdir(join(state, 'workflow'), { recursive: true });
  await writeFile(copy, '{"messages":["a secret"]}');
  return { ...at, copy, database: join(state, 'runtime.db') };
}

/** The files beside the journal, and itself, whose bytes hold the word. */
async function holding({ database }: { database: string }, word: string): Promise<string[]> {
  const files = await readdir(dirname(database), { withFileTypes: true });
  const found: string[] = [];
  for (const file of files.filter((one) => one.isFile())) {
    if ((await readFile(join(dirname(database), file.name))).includes(word)) found.push(file.name);
  }
  return found;
}

function change(path: string, ...statements: string[]): void {
  const db = new Database(path);
  for (const statement of statements) db.prepare(statement).run([]);
  db.close();
}

const LONG = 60_000;

const OF_SESSION = `cid = (SELECT cid FROM chains WHERE aggregate = 'session' AND id = '${SESSION}')`;

verifies(
  { partial: ['QB-06'] },
  'ended work is removed under signed segments, and verification goes on from them',
  async () => {
    const at = await ended();
    const head = join(at.state, 'head.json');
    const before = await json(at, ['evidence', 'verify', '--save-head', head]);
    expect(await json(at, ['evidence', 'remove', '--older-than', '1'])).toMatchObject({ items: [] });
    const asked = await json(at, ['evidence', 'remove', '--session', SESSION]);
    expect(asked).toMatchObject({ removed: false, items: [{ id: SESSION, status: 'completed' }] });
    expect((await json(at, ['evidence', 'verify'])).records).toBe(before.records);
    expect(existsSync(at.copy)).toBe(true);

    const done = await json(at, ['evidence', 'remove', '--session', SESSION, '--yes']);
    expect(done).toMatchObject({ removed: true, sessions: 1, chains: 2 });
    expect(existsSync(at.copy)).toBe(false);
    const after = await json(at, ['evidence', 'verify', '--anchor', head]);
    expect(after).toMatchObject({ ok: true, completeness: 'verified', removed: done.records });
    expect(after.records).toBe(Number(before.records) - Number(done.records) + 2);
    const { items } = await json(at, ['sessions', 'list']);
    expect(items).toMatchObject([{ session_id: SESSION, status: 'removed' }]);
    // Nor is a call or an approval of it shown as if there were more of it than that.
    const calls = await json(at, ['requests', 'list']);
    const approvals = await json(at, ['approvals', 'list']);
    for (const { items: left, kind } of [
      { ...calls, kind: 'request' },
      { ...approvals, kind: 'approval' },
    ]) {
      expect((left as unknown[]).length).toBeGreaterThan(0);
      for (const one of left as Record<string, unknown>[]) {
        expect(one).toMatchObject({ status: 'removed', removed_at: expect.any(String) as string });
        expect(one).not.toHaveProperty('tool');
        const found = await json(at, [`${kind}s`, 'show', String(one[`${kind}_id`])]);
        expect(found).toMatchObject({ state: { status: 'removed' }, timeline: [] });
      }
    }
    expect((await run(at, ['evidence', 'remove', '--session', SESSION, '--yes'])).code).toBe(5);
    const out = join(at.workspace, 'out');
    const empty = await run(at, ['evidence', 'export', '--session', SESSION, '--out', out]);
    expect(empty).toMatchObject({ code: 5, err: expect.stringContaining('were removed') as string });
    expect(existsSync(out)).toBe(false);
    const elsewhere = { ...at, state: join(at.state, '..', 'other') };
    const unknown = await json(elsewhere, ['evidence', 'verify'], 1);
    expect(JSON.stringify(unknown.bad)).toContain('segment unknown_key');
    const key = join(at.workspace, 'key.pem');
    await writeFile(key, (await run(at, ['evidence', 'key'])).out);
    await json(elsewhere, ['evidence', 'verify', '--public-key', key]);
    await writeFile(key, 'no key');
    expect((await run(elsewhere, ['evidence', 'verify', '--public-key', key])).code).toBe(2);
  },
  LONG,
);

test(
  'records that are gone without a segment, or under one that was made up, are damage',
  async () => {
    const at = await ended();
    change(at.database, `DELETE FROM records WHERE ${OF_SESSION} AND seq <= 2`);
    const cut = await json(at, ['evidence', 'verify'], 1);
    expect(cut.bad).toContainEqual(expect.objectContaining({ chain: `local/session/${SESSION}`, seq: 1 }));
    const hash = `(SELECT json_extract(header, '$.prev') FROM records WHERE ${OF_SESSION} AND seq = 3)`;
    const body = `json_object('through', 2, 'hash', ${hash})`;
    change(
      at.database,
      `INSERT INTO read_rows VALUES ('segment', 'local', 'session/${SESSION}', 'workspace', 'closed', NULL, 0, 1, ${body})`,
    );
    const forged = await json(at, ['evidence', 'verify'], 1);
    expect(forged.bad).toEqual([
      { chain: `local/session/${SESSION}`, seq: 1, code: 'missing', fault: 'missing' },
    ]);
  },
  LONG,
);

test(
  'work that goes on is not removed, and a damaged chain is not signed for',
  async () => {
    const at = await place();
    const { store } = await journal(at);
    await store.close();
    expect((await run(at, ['evidence', 'remove', '--session', SESSION, '--yes'])).code).toBe(5);
    expect((await run(at, ['evidence', 'remove'])).code).toBe(2);
    const broken = await ended(undefined, ['ses_sound', 'ses_whole']);
    change(broken.database, `UPDATE records SET evidence = '{"n":1}' WHERE ${OF_SESSION} AND seq = 1`);
    const refused = await run(broken, ['evidence', 'remove', '--session', SESSION, '--yes']);
    expect(refused.err).toContain('damaged');
    // It keeps no other work from being removed.
    const done = await json(broken, ['evidence', 'remove', '--older-than', '0', '--yes'], 1);
    expect(done).toMatchObject({ sessions: 2, chains: 2, kept: [{ id: SESSION, code: 'STORE_CORRUPT' }] });
    const { items } = await json(broken, ['sessions', 'list']);
    expect(items?.map(({ session_id: id, status }) => [id, status]).sort()).toEqual(
      [
        ['ses_sound', 'removed'],
        ['ses_whole', 'removed'],
        [SESSION, 'completed'],
      ].sort(),
    );
    const verdict = await json(broken, ['evidence', 'verify'], 1);
    expect(JSON.stringify(verdict.bad)).toContain(`local/session/${SESSION}`);
  },
  LONG,
);

verifies(
  { partial: ['QB-06'] },
  'erasing a session takes every word of it and its readable copy, and the records still verify',
  async () => {
    const at = await ended({ to: 'Ada Lovelace' });
    expect(await holding(at, 'Lovelace')).toEqual(['runtime.db']);
    expect(await json(at, ['sessions', 'erase', SESSION])).toMatchObject({ erased: false });
    expect(existsSync(at.copy)).toBe(true);
    const done = await json(at, ['sessions', 'erase', SESSION, '--yes', '--reason', 'asked for']);
    expect(done).toMatchObject({ erased: true, sessions: 1, chains: 2 });
    expect(existsSync(at.copy)).toBe(false);
    expect(await holding(at, 'Lovelace')).toEqual([]);
    expect(await json(at, ['evidence', 'verify'])).toMatchObject({
      ok: true,
      erased: done.records,
      removed: 0,
    });
    expect((await run(at, ['sessions', 'erase', 'ses_x', '--yes'])).code).toBe(4);
    // What nobody had answered when its session ended can be answered no more.
    expect(await json(at, ['approvals', 'list'])).toMatchObject({
      items: [{ status: 'revoked', arguments: {} }],
    });
  },
  LONG,
);

test(
  'an erased session is exported whole, its approvals with it',
  async () => {
    const at = await ended();
    const before = join(at.workspace, 'before');
    const { heads } = await json(at, ['evidence', 'export', '--session', SESSION, '--out', before]);
    expect(heads).toHaveLength(2);
    await json(at, ['sessions', 'erase', SESSION, '--yes']);
    const after = join(at.workspace, 'after');
    const told = await json(at, ['evidence', 'export', '--session', SESSION, '--out', after]);
    // Each chain ends with the record of its erasure, which says what is gone.
    expect(told).toMatchObject({ chains: 2, erased: Number(told.records) - 2 });
    const longer = (heads as { seq: number }[]).map(
      ({ seq }) => expect.objectContaining({ seq: seq + 1 }) as unknown,
    );
    expect(told.heads).toEqual(longer);
    const anchored = ['--file', join(after, 'evidence.jsonl'), '--anchor', join(before, 'manifest.json')];
    expect(await json(at, ['evidence', 'verify', ...anchored])).toMatchObject({ completeness: 'verified' });
  },
  LONG,
);
