import { expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { edit, journal, json, place, run } from './harness.ts';
import { openScreen } from './screen.ts';

verifies(
  { partial: ['AP-04', 'AP-18'] },
  'a person at a terminal reads what was asked, approves with a note, and the call runs once',
  async () => {
    const at = await place();
    const { approvalId, call, rig } = await journal(at, { args: { amount: 12, to: 'Ada\u202eevil' } });
    const screen = await openScreen(at, ['approvals', 'resolve', approvalId]);
    const asked = await screen.shows('Your answer');
    expect(asked).toContain('Tool:       pay  (risk high)');
    expect(asked).toContain('amount = 12');
    expect(asked).toContain('Ada\\u{202e}evil');
    await screen.keys('Down', 'Enter');
    await screen.shows('A note for the record');
    await screen.keys('looks fine', 'Enter');
    expect(await screen.shows(/EXIT:\d/)).toContain('EXIT:0');

    const shown = await json(at, ['approvals', 'show', approvalId]);
    expect(shown.state).toMatchObject({
      status: 'approved',
      resolution_note: 'looks fine',
      answered_by: { attestation: 'same_user', channel: 'terminal' },
    });
    const done = await call('pay', { amount: 12, to: 'Ada\u202eevil' });
    expect(done.status).toBe('done');
    expect(rig.effects.filter((one) => one.capability.id === 'pay')).toHaveLength(1);
  },
);

test('a rejection is recorded, and the call is denied', async () => {
  const at = await place();
  const { approvalId, call, rig } = await journal(at);
  const screen = await openScreen(at, [
    'approvals',
    'resolve',
    approvalId,
    '--decision',
    'reject',
    '--note',
    'no',
  ]);
  await screen.shows('Your answer');
  await screen.keys('Enter');
  await screen.shows('A note for the record');
  await screen.keys('Enter');
  expect(await screen.shows(/EXIT:\d/)).toContain('EXIT:0');
  expect((await call('pay', { amount: 12, to: 'Ada' })).status).toBe('denied');
  expect(rig.effects.filter((one) => one.capability.id === 'pay')).toEqual([]);
});

test('leaving without an answer leaves it pending, and the attempt is recorded', async () => {
  const at = await place();
  const { approvalId } = await journal(at);
  const screen = await openScreen(at, ['approvals', 'resolve', approvalId]);
  await screen.shows('Your answer');
  await screen.keys('C-c');
  await screen.shows(/EXIT:\d/);
  const shown = await json(at, ['approvals', 'show', approvalId]);
  expect(shown.state).toMatchObject({ status: 'pending', deliveries: [{ kind: 'withdrawn' }] });
});

test('without a terminal nothing is answered, whatever flags are given', async () => {
  const at = await place();
  const { approvalId } = await journal(at);
  const args = ['approvals', 'resolve', approvalId, '--decision', 'approve', '--note', 'by script'];
  const ran = await run(at, args, { input: 'y\n\n\n' });
  expect(ran.code).toBe(3);
  expect(ran.err).toContain('APPROVER_NOT_ALLOWED');
  const shown = await json(at, ['approvals', 'show', approvalId]);
  expect(shown.state).toMatchObject({ status: 'pending', deliveries: [] });
});

test('input from a file or a pipe is nobody, even where a person could read the question', async () => {
  const at = await place();
  const { approvalId } = await journal(at);
  for (const redirect of ['< /dev/null', '2> /dev/null > /dev/null']) {
    const screen = await openScreen(at, ['approvals', 'resolve', approvalId], redirect);
    expect(await screen.shows(/EXIT:\d/)).toContain('EXIT:3');
  }
});

test('an untrusted configuration answers nothing, because it says who may answer', async () => {
  const at = await place();
  const { approvalId } = await journal(at);
  await run(at, ['init']);
  await edit(at, 'configs/identity.yaml', ['roles: [operator, manager]', 'roles: [admin]']);
  const screen = await openScreen(at, ['approvals', 'resolve', approvalId]);
  const text = await screen.shows(/EXIT:\d/);
  expect(text).toContain('EXIT:3');
  expect(text).toContain('WORKSPACE_NOT_TRUSTED');
});

test('an unknown approval and one that is over say so', async () => {
  const at = await place();
  const { approvalId } = await journal(at, { now: Date.UTC(2026, 0, 1) });
  const unknown = await openScreen(at, ['approvals', 'resolve', 'apr_nobody']);
  const first = await unknown.shows(/EXIT:\d/);
  expect(first).toContain('Approval request not found: apr_nobody');
  expect(first).toContain('EXIT:4');
  const late = await openScreen(at, ['approvals', 'resolve', approvalId]);
  const second = await late.shows(/EXIT:\d/);
  expect(second).toContain(`Approval request is not pending: ${approvalId}`);
  expect(second).toContain('EXIT:3');
});

test('a pending approval whose time is up is listed as expired', async () => {
  const at = await place();
  const { approvalId } = await journal(at, { now: Date.UTC(2026, 0, 1) });
  const pending = await json(at, ['approvals', 'list', '--status', 'pending']);
  expect(pending.items).toEqual([]);
  const all = await json(at, ['approvals', 'list']);
  expect(all.items).toMatchObject([{ approval_id: approvalId, status: 'expired' }]);
});

test('an approval that should have been answered by now is marked in the list', async () => {
  const at = await place();
  const marked = async (): Promise<boolean> => (await run(at, ['approvals', 'list'])).out.includes('overdue');
  await journal(at);
  expect(await marked()).toBe(false);
  const late = await place();
  await journal(late, { now: Date.now() - 2 * 60_000, overdueAfter: 1 });
  const { out } = await run(late, ['approvals', 'list', '--status', 'pending']);
  expect(out).toMatch(/^apr_\S+ +pending, overdue {2,}\S/m);
});

test('a status that no approval can have is refused, and `all` is no filter', async () => {
  const at = await place();
  const { approvalId } = await journal(at);
  const wrong = await run(at, ['approvals', 'list', '--status', 'pendng']);
  expect(wrong.code).toBe(2);
  expect(wrong.err).toContain('--status: no approval has the status pendng; known: pending, approved,');
  expect(wrong.err).toContain('removed, all');
  for (const kind of ['requests', 'sessions', 'capability-sessions']) {
    const other = await run(at, [kind, 'list', '--status', 'pendng']);
    expect([other.code, other.err]).toEqual([2, expect.stringContaining('known: ') as string]);
  }
  expect((await json(at, ['requests', 'list', '--status', 'removed'])).items).toEqual([]);
  expect((await json(at, ['approvals', 'list', '--status', 'all'])).items).toMatchObject([
    { approval_id: approvalId },
  ]);
});
