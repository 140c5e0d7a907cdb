import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sha256 } from '../../src/base/digest.ts';
import { verifies } from '../e2e/verifies.ts';
import { SESSION } from '../kernel/rig.ts';
import { journal, json, MAIN, place, run, RUN } from './harness.ts';
import type { Place } from './harness.ts';

/** The lines of an export, and where they lie. */
async function exported(at: Place): Promise<{ path: string; lines: string[]; manifest: string }> {
  const out = join(at.workspace, 'out');
  await json(at, ['evidence', 'export', '--session', SESSION, '--out', out]);
  const path = join(out, 'evidence.jsonl');
  return { path, lines: (await readFile(path, 'utf8')).split('\n'), manifest: join(out, 'manifest.json') };
}

async function verifyText(
  at: Place,
  lines: readonly string[],
  code: number,
): Promise<Record<string, unknown>> {
  const path = join(at.workspace, 'changed.jsonl');
  await writeFile(path, lines.join('\n'));
  return json(at, ['evidence', 'verify', '--file', path], code);
}

test('a whole journal verifies, and without an anchor its completeness is unknown', async () => {
  const at = await place();
  await journal(at);
  const report = await json(at, ['evidence', 'verify']);
  expect(report).toMatchObject({ ok: true, completeness: 'unknown', bad: [], missing: [] });
  expect(report.records).toBeGreaterThan(3);
  const text = await run(at, ['evidence', 'verify']);
  expect(text.out).toContain('completeness: unknown');
});

test('a saved head finds a journal that was cut', async () => {
  const at = await place();
  const { call } = await journal(at);
  const head = join(at.state, 'head.json');
  await json(at, ['evidence', 'verify', '--save-head', head]);
  expect((await stat(head)).mode & 0o777).toBe(0o600);
  expect(await json(at, ['evidence', 'verify', '--anchor', head])).toMatchObject({
    completeness: 'verified',
  });
  await call('look', { q: 2 });
  expect(await json(at, ['evidence', 'verify', '--anchor', head])).toMatchObject({
    completeness: 'verified',
  });
  // Another journal with the same session, but fewer records.
  const cut = await place();
  await journal(cut);
  await json(at, ['evidence', 'verify', '--save-head', head]);
  const report = await json(cut, ['evidence', 'verify', '--anchor', head], 1);
  expect(report).toMatchObject({ ok: false, completeness: 'cut' });
  expect(report.missing).toEqual(
    expect.arrayContaining([expect.objectContaining({ chain: `local/session/${SESSION}` })]),
  );
});

test.skipIf(process.platform === 'win32')(
  'saved heads outlive new ones for which there is no room',
  async () => {
    const at = await place();
    await journal(at);
    const { path } = await exported(at);
    const head = join(at.state, 'head.json');
    await json(at, ['evidence', 'verify', '--file', path, '--save-head', head]);
    const before = await readFile(head, 'utf8');
    const limited = 'ulimit -f 0; exec "$0" "$@"';
    const words = [MAIN, 'evidence', 'verify', '--file', path, '--save-head', head];
    const child = spawn('sh', ['-c', limited, process.execPath, ...words], { stdio: 'ignore' });
    expect((await once(child, 'close'))[0]).not.toBe(0);
    expect(await readFile(head, 'utf8')).toBe(before);
    expect((await readdir(at.state)).filter((name) => name.startsWith('head.json'))).toEqual(['head.json']);
  },
);

verifies(
  { partial: ['EV-04'] },
  'an export and its manifest agree, for a session and for a run',
  async () => {
    const at = await place();
    await journal(at);
    const { path, lines, manifest } = await exported(at);
    const told = JSON.parse(await readFile(manifest, 'utf8')) as {
      records: number;
      heads: { seq: number }[];
      files: { name: string; sha256: string; bytes: number }[];
    };
    const bytes = await readFile(path);
    expect(told.records).toBe(lines.length - 1);
    expect(told.heads.reduce((sum, head) => sum + head.seq, 0)).toBe(told.records);
    expect(told.heads).toHaveLength(2); // the session and its approval
    expect(told.files).toEqual([{ name: 'evidence.jsonl', bytes: bytes.length, sha256: sha256(bytes) }]);
    expect(await json(at, ['evidence', 'verify', '--file', path, '--anchor', manifest])).toMatchObject({
      ok: true,
      completeness: 'verified',
    });
    const run = await json(at, ['evidence', 'export', '--run', RUN, '--out', join(at.workspace, 'run')]);
    expect(run).toMatchObject({ run_id: RUN, session_id: SESSION, records: told.records });
  },
);

verifies(
  ['EV-10'],
  'an export is checked whole: its signature, its files and its records, and each fault has a code',
  async () => {
    const at = await place();
    await journal(at);
    const { path, lines, manifest } = await exported(at);
    const codes = async (code: number, ...more: string[]): Promise<string[]> => {
      const said = await json(at, ['evidence', 'verify', '--manifest', manifest, ...more], code);
      const found = [...(said.faults as { code: string }[]), ...(said.bad as { code: string }[])];
      expect(said.ok).toBe(code === 0);
      return found.map((one) => one.code);
    };
    expect(await codes(0)).toEqual([]);
    const text = await readFile(manifest, 'utf8');
    const told = JSON.parse(text) as Record<string, unknown> & { files: object[] };
    const change = (over: object): Promise<void> => writeFile(manifest, JSON.stringify({ ...told, ...over }));

    await change({ records: 1 });
    expect(await codes(1)).toEqual(['manifest_signature']);
    await change({ signature: undefined });
    expect(await codes(1)).toEqual(['manifest_unsigned']);
    const [file] = told.files;
    await change({ files: [{ ...file, name: '../out/evidence.jsonl' }] });
    expect(await codes(1)).toEqual([
      ...['manifest_signature', 'artifact_outside_root', 'missing_required_artifact'],
    ]);
    await writeFile(manifest, text);
    await writeFile(path, lines.with(1, lines[1]!.replace('"type":"', '"type":"x')).join('\n'));
    expect(await codes(1)).toEqual(['sha256_mismatch', 'hash']);
    await writeFile(path, lines.with(1, 'x').join('\n'));
    expect(await codes(1)).toEqual(['sha256_mismatch', 'unreadable_line']);
    await rm(path);
    expect(await codes(1)).toEqual(['missing_required_artifact']);
    await writeFile(path, lines.join('\n'));
    expect(await codes(0)).toEqual([]);

    const elsewhere = { ...at, state: join(at.state, '..', 'other') };
    const unknown = await json(elsewhere, ['evidence', 'verify', '--manifest', manifest], 1);
    expect(unknown.faults).toMatchObject([{ code: 'manifest_unknown_key' }]);
    const key = join(at.workspace, 'key.pem');
    await writeFile(key, (await run(at, ['evidence', 'key'])).out);
    await json(elsewhere, ['evidence', 'verify', '--manifest', manifest, '--public-key', key]);
    expect((await run(at, ['evidence', 'verify', '--manifest', manifest, '--file', path])).code).toBe(2);
  },
  60_000,
);

test('an export never writes over anything, and leaves no half of itself', async () => {
  const at = await place();
  await journal(at);
  const { path } = await exported(at);
  const before = await readFile(path, 'utf8');
  const again = await run(at, [
    'evidence',
    'export',
    '--session',
    SESSION,
    '--out',
    join(at.workspace, 'out'),
  ]);
  expect(again.code).toBe(2);
  expect(await readFile(path, 'utf8')).toBe(before);
  const unknown = await run(at, [
    'evidence',
    'export',
    '--session',
    'ses_x',
    '--out',
    join(at.workspace, 'no'),
  ]);
  expect(unknown.code).toBe(4);
  await expect(stat(join(at.workspace, 'no'))).rejects.toThrow('ENOENT');
});

test('an empty folder is filled, also through a link, and stays the folder that it was', async () => {
  const at = await place();
  await journal(at);
  const [folder, link] = [join(at.workspace, 'mounted'), join(at.workspace, 'out')];
  await mkdir(folder);
  await symlink(folder, link);
  const { ino } = await stat(folder);
  await json(at, ['evidence', 'export', '--session', SESSION, '--out', link]);
  expect((await readdir(folder)).sort()).toEqual(['evidence.jsonl', 'manifest.json']);
  expect((await stat(folder)).ino).toBe(ino);
});

test('a changed, swapped, inserted or dropped line is found, and its record named', async () => {
  const at = await place();
  await journal(at);
  const { lines } = await exported(at);
  const session = `local/session/${SESSION}`;
  const flipped = lines.with(1, lines[1]!.replace('"type":"', '"type":"x'));
  expect(await verifyText(at, flipped, 1)).toMatchObject({
    bad: [{ chain: session, seq: 2, fault: 'hash' }],
  });
  const swapped = lines.with(1, lines[2]!).with(2, lines[1]!);
  expect(await verifyText(at, swapped, 1)).toMatchObject({
    bad: [{ chain: session, seq: 2, fault: 'order' }],
  });
  const dropped = lines.toSpliced(1, 1);
  expect(await verifyText(at, dropped, 1)).toMatchObject({
    bad: [{ chain: session, seq: 2, fault: 'order' }],
  });
  const doubled = lines.toSpliced(1, 0, lines[0]!);
  expect(await verifyText(at, doubled, 1)).toMatchObject({
    bad: [{ chain: session, seq: 2, fault: 'order' }],
  });
  const spaced = lines.with(1, ` ${lines[1]!}`);
  const report = await verifyText(at, spaced, 1);
  expect(report).toMatchObject({ bad: [{ chain: session, seq: 2 }] });
  expect((report.bad as { fault: string }[])[0]?.fault).toContain('line 2');
});

test('whoever exports is told of the key that was made to sign with, once', async () => {
  const at = await place();
  await journal(at);
  const file = join(at.state, 'keys', 'checkpoints.pem');
  const said = async (out: string): Promise<boolean> => {
    const { code, err } = await run(at, ['evidence', 'export', '--session', SESSION, '--out', out]);
    expect(code).toBe(0);
    return err.includes(`A key to sign with was made: ${file}.`);
  };
  expect([await said('first'), await said('second')]).toEqual([true, false]);
});

test('a cut tail of an export is found against its manifest only', async () => {
  const at = await place();
  await journal(at);
  const { lines, manifest } = await exported(at);
  const path = join(at.workspace, 'cut.jsonl');
  await writeFile(path, lines.slice(0, -2).join('\n'));
  expect(await json(at, ['evidence', 'verify', '--file', path])).toMatchObject({ completeness: 'unknown' });
  expect(await json(at, ['evidence', 'verify', '--file', path, '--anchor', manifest], 1)).toMatchObject({
    completeness: 'cut',
  });
});

test('requests and sessions are listed and shown with their links', async () => {
  const at = await place();
  await journal(at);
  const { items = [] } = await json(at, ['requests', 'list', '--session', SESSION]);
  expect(items.map((one) => one.status).sort()).toEqual(['denied', 'done', 'waiting_approval']);
  const denied = await json(at, ['requests', 'list', '--status', 'denied']);
  expect(denied.items).toMatchObject([{ tool: 'nowhere' }]);
  const id = String(denied.items?.[0]?.request_id);
  const shown = await json(at, ['requests', 'show', id]);
  expect(shown).toMatchObject({ kind: 'request', id, links: { session_id: SESSION } });
  expect(shown.decisions).toMatchObject([{ decision: 'deny' }]);
  const text = await run(at, ['requests', 'show', id]);
  expect(text.out).toContain('decision=deny');
  expect(await json(at, ['sessions', 'show', SESSION])).toMatchObject({ kind: 'session' });
});

test('what is shown of a call that failed says by which code', async () => {
  const at = await place();
  const { rig, call } = await journal(at);
  rig.tool.run = () => Promise.reject(new TypeError('broken'));
  await call('look', { q: 9 });
  const { items = [] } = await json(at, ['requests', 'list', '--status', 'tool_error']);
  const text = await run(at, ['requests', 'show', String(items[0]?.request_id)]);
  expect(text.out).toContain('error_code=TOOL_EXECUTION_FAILED');
});

test('what came from outside cannot write to the terminal', async () => {
  const at = await place();
  const evil = 'x\u001b[2J\u202e\u0007\n\ty';
  const { approvalId } = await journal(at, { args: { [evil]: evil } });
  for (const args of [
    ['approvals', 'show', approvalId],
    ['approvals', 'list'],
    ['requests', 'list'],
  ]) {
    for (const format of [[], ['--json']]) {
      const { out, err } = await run(at, [...args, ...format]);
      for (const char of ['\u001b', '\u202e', '\u0007']) expect(out + err).not.toContain(char);
    }
  }
  const shown = await json(at, ['approvals', 'show', approvalId]);
  expect((shown.state as { arguments: unknown }).arguments).toEqual({ [evil]: evil });
});
