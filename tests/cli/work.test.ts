// Shows `sessions`, `workflows` and `worker` as their person uses them: the built command, from start to end.
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  answerAtTerminal,
  command,
  effects,
  eventually,
  reconfigured,
  servedPlace,
} from '../background/served.ts';
import type { ServedPlace } from '../background/served.ts';
import { verifies } from '../e2e/verifies.ts';
import { environment, MAIN } from './harness.ts';
import { openScreen } from './screen.ts';

type Doc = Record<string, unknown>;

async function done(at: ServedPlace, code: number, ...args: string[]): Promise<Doc> {
  const ran = await command(at, ...args, '--json');
  expect({ args, code: ran.code, err: ran.err }).toMatchObject({ args, code });
  return JSON.parse(ran.out === '' ? ran.err : ran.out) as Doc;
}

async function text(at: ServedPlace, ...args: string[]): Promise<string> {
  const ran = await command(at, ...args);
  expect({ args, code: ran.code, err: ran.err }).toMatchObject({ args, code: 0 });
  return ran.out;
}

async function workflowFile(at: ServedPlace, lines: readonly string[]): Promise<string> {
  const file = join(at.workspace, 'flow.yaml');
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
}

function nodeLines(id: string, say: string, more: readonly string[] = []): string[] {
  return [
    `  - id: ${id}`,
    `    execute_turn_input: { messages: [{ role: user, content: "${say}" }] }`,
    ...more.map((line) => `    ${line}`),
  ];
}

/** A worker until the test ends; `stop` asks it to, as Ctrl-C does, and resolves to its exit code. */
function startWorker(at: ServedPlace): { stop(): Promise<number | null>; said(): string } {
  const where = ['--workspace', at.workspace, '--config', at.config];
  const child = spawn(process.execPath, [MAIN, 'worker', ...where], { env: environment(at), stdio: 'pipe' });
  onTestFinished(() => void child.kill('SIGKILL'));
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => (said += part));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return {
    said: () => said,
    stop() {
      child.kill('SIGINT');
      return ended;
    },
  };
}

describe('sessions', () => {
  test('start, wait for a person, resume and show: each says what to type next', async () => {
    const at = await servedPlace();
    const started = await text(at, 'sessions', 'start', '--message', 'count a.');
    const [id = ''] = /ses_[0-9a-z]+/.exec(started) ?? [];
    const [approval = ''] = /apr_[0-9a-z]+/.exec(started) ?? [];
    expect(started).toContain('outcome    approval_required');
    expect(started).toContain(`agent-runtime approvals resolve ${approval}`);
    expect(started).toContain(`agent-runtime sessions resume ${id}`);
    expect(await done(at, 0, 'sessions', 'resume', id)).toMatchObject({ kind: 'approval_required' });

    await answerAtTerminal(at, approval, 'approve');
    expect(await text(at, 'sessions', 'resume', id)).toMatch(/said +It is counted\./);
    expect(await effects(at, 'a')).toHaveLength(1);
    const closed = await done(at, 3, 'sessions', 'resume', id);
    expect(closed).toMatchObject({ error: { code: 'SESSION_CLOSED' } });
    const shown = await text(at, 'sessions', 'show', id);
    expect(shown).toMatch(/invocation_ended {2,}outcome=waiting_approval/);
    const listed = await done(at, 0, 'sessions', 'list', '--status', 'completed');
    expect(listed).toMatchObject({ items: [{ session_id: id, status: 'completed' }] });
  });

  test('turns that are used up suspend, a message goes on, and a bad flag is named', async () => {
    const at = await servedPlace();
    const one = await done(at, 0, 'sessions', 'start', '--message', 'be quick.', '--max-turns', '1');
    expect(one).toMatchObject({ kind: 'suspended', turn_count: 1 });
    const two = await done(at, 0, 'sessions', 'resume', String(one.session_id), '--message', 'hello.');
    expect(two).toMatchObject({ kind: 'completed', final_turn: { assistant_message: 'Hello.' } });
    const wrong: [string[], number, string][] = [
      [['sessions', 'start'], 2, '--message TEXT or --input FILE'],
      [['sessions', 'start', '--message', 'x', '--max-turns', '0'], 2, '--max-turns must be 1 to 1000'],
      [['sessions', 'start', '--message', 'x', '--expires-at', '2027-02-30T00:00:00Z'], 2, 'expires_at'],
      [['sessions', 'resume', 'ses_nobody'], 4, 'Session not found'],
      [['sessions', 'cancel', 'ses_nobody'], 4, 'Session not found'],
    ];
    for (const [args, code, said] of wrong) {
      const ran = await command(at, ...args);
      expect({ args, code: ran.code }).toEqual({ args, code });
      expect(ran.err).toContain(said);
      expect(ran.err).toContain('what to do');
    }
  });

  verifies(
    { partial: ['QB-05'] },
    'one that waits is canceled: its approval is revoked and nothing of it runs',
    async () => {
      const at = await servedPlace();
      const { session_id: id, pending_request_id: approval } = await done(
        at,
        0,
        ...['sessions', 'start', '--message', 'count a.'],
      );
      expect(await text(at, 'sessions', 'cancel', String(id), '--reason', 'wrong one')).toContain(
        'is canceled',
      );
      expect(await done(at, 0, 'approvals', 'show', String(approval))).toMatchObject({
        state: { status: 'revoked' },
      });
      expect(await done(at, 3, 'sessions', 'resume', String(id))).toMatchObject({
        error: { code: 'SESSION_CLOSED', message: expect.stringContaining('wrong one') as string },
      });
    },
  );
});

describe('workflows', () => {
  test('a file that is not UTF-8 is refused, and one with a mark at its beginning is read', async () => {
    const at = await servedPlace();
    const file = await workflowFile(at, ['nodes:', ...nodeLines('a', 'Grüße.')]);
    const whole = await readFile(file, 'utf8');
    await writeFile(file, Buffer.from(whole, 'latin1'));
    expect(await done(at, 2, 'workflows', 'check', file)).toMatchObject({
      error: { code: 'INVALID_INPUT', message: `The file ${file} is not UTF-8 text.` },
    });
    const input = join(at.workspace, 'turn.json');
    await writeFile(input, `\uFEFF${JSON.stringify({ messages: [{ role: 'user', content: 'finish.' }] })}`);
    expect(await done(at, 0, 'sessions', 'start', '--input', input)).toMatchObject({ kind: 'completed' });
  });

  test('check names every problem with its place, and nothing is started', async () => {
    const at = await servedPlace();
    const file = await workflowFile(at, [
      'nodes:',
      ...nodeLines('a', 'hello.', ['wake_at: 2027-02-30T00:00:00Z']),
      ...nodeLines('a', 'hello.', ['depends_on: [nobody]']),
    ]);
    for (const verb of ['check', 'run']) {
      const ran = await command(at, 'workflows', verb, file);
      expect(ran.code).toBe(2);
      expect(ran.err).toContain('3 problems; nothing was started');
      expect(ran.err).toMatch(/flow\.yaml:4:\d+/);
      expect(ran.err).toContain('nobody');
    }
    expect(await done(at, 0, 'sessions', 'list')).toEqual({ items: [] });
  });

  verifies(
    { partial: ['DA-01'] },
    'a node in a mode of authorization that there is not is named by check, with its field',
    async () => {
      const at = await servedPlace();
      const turn = '{ messages: [{ role: user, content: "hello." }], authorization: { mode: root } }';
      const file = await workflowFile(at, ['nodes:', '  - id: a', `    execute_turn_input: ${turn}`]);
      const ran = await command(at, 'workflows', 'check', file);
      expect(ran.code).toBe(2);
      expect(ran.err).toContain('/nodes/0/execute_turn_input/authorization/mode');
      expect(ran.err).toContain('Authorization mode is not supported: root');
    },
  );

  test('an intent or a model that the configuration does not have is named before anything starts', async () => {
    const at = await servedPlace();
    const turn = '{ messages: [{ role: user, content: "finish." }], intent: nobody, model_profile: nothing }';
    const file = await workflowFile(at, ['nodes:', '  - id: a', `    execute_turn_input: ${turn}`]);
    for (const verb of ['check', 'run']) {
      const { code, err } = await command(at, 'workflows', verb, file);
      expect(code).toBe(2);
      expect(err).toContain('/nodes/0/execute_turn_input/intent: is not an intent of runtime.yaml');
      expect(err).toContain(
        '/nodes/0/execute_turn_input/model_profile: is not a model profile of runtime.yaml',
      );
    }
    expect(await done(at, 0, 'sessions', 'list')).toEqual({ items: [] });
    const right = await workflowFile(at, ['nodes:', ...nodeLines('a', 'finish.')]);
    expect(await text(at, 'workflows', 'check', right)).toBe('It can run: one node, a.\n');
  });

  test('work is resumed as what it is, also by a worker, and the refusal says what it is', async () => {
    const at = await servedPlace();
    const file = await workflowFile(at, ['nodes:', ...nodeLines('a', 'count a.')]);
    const { session_id: workflow } = await done(at, 0, 'workflows', 'run', file);
    const { session_id: session } = await done(at, 0, 'sessions', 'start', '--message', 'count b.');
    for (const more of [[], ['--background']]) {
      const asSession = await command(at, 'sessions', 'resume', String(workflow), ...more);
      expect(asSession).toMatchObject({ code: 4 });
      expect(asSession.err).toContain(`${String(workflow)} is a workflow, not a session`);
      const asWorkflow = await command(at, 'workflows', 'resume', String(session), ...more);
      expect(asWorkflow).toMatchObject({ code: 4 });
      expect(asWorkflow.err).toContain(`${String(session)} is a session, not a workflow`);
    }
    expect(await done(at, 0, 'workflows', 'resume', String(workflow))).toMatchObject({
      kind: 'approval_required',
    });
  });

  test('run, show, graph and resume a branch that waited for a person, and cancel another', async () => {
    const at = await servedPlace();
    const file = await workflowFile(at, [
      'nodes:',
      ...nodeLines('asks', 'count a.'),
      ...nodeLines('beside', 'finish.'),
      ...nodeLines('after', 'finish.', ['depends_on: [asks, beside]']),
    ]);
    expect(await text(at, 'workflows', 'check', file)).toContain('It can run: 3 nodes, asks, beside, after.');
    const run = await done(at, 0, 'workflows', 'run', file);
    expect(run).toMatchObject({ kind: 'approval_required', node_id: 'asks', completed_node_ids: ['beside'] });
    const id = String(run.session_id);
    const shown = await text(at, 'workflows', 'show', id);
    expect(shown).toMatch(new RegExp(`asks +waiting_approval +approval ${String(run.pending_request_id)}`));
    expect(shown).toMatch(/after +pending/);
    expect(await text(at, 'workflows', 'graph', id)).toMatch(/^(graph|flowchart) /);
    expect(await done(at, 0, 'workflows', 'graph', id)).toMatchObject({
      status: 'waiting_approval',
      edges: [
        { from: 'asks', to: 'after' },
        { from: 'beside', to: 'after' },
      ],
    });

    await answerAtTerminal(at, String(run.pending_request_id), 'approve');
    const ended = await done(at, 0, 'workflows', 'resume', id);
    expect(ended).toMatchObject({ kind: 'completed', completed_node_ids: ['asks', 'beside', 'after'] });
    expect(await effects(at, 'a')).toHaveLength(1);

    const other = await done(at, 0, 'workflows', 'run', file);
    const otherId = String(other.session_id);
    expect(await text(at, 'workflows', 'cancel', otherId)).toContain(`${otherId} is canceled`);
    expect(await done(at, 3, 'workflows', 'resume', otherId)).toMatchObject({
      error: { code: 'SESSION_CLOSED' },
    });
  });
});

describe('worker', () => {
  verifies(
    { partial: ['QB-01', 'QB-09'] },
    'carries out what was queued and what is due, and ends when it is told to',
    async () => {
      const at = await servedPlace();
      const wake = new Date(Date.now() + 1500).toISOString();
      const file = await workflowFile(at, ['nodes:', ...nodeLines('later', 'finish.', [`wake_at: ${wake}`])]);
      const queued = await done(at, 0, 'sessions', 'start', '--message', 'count b.', '--background');
      expect(queued).toMatchObject({ kind: 'queued', position: 0 });
      const timed = await done(at, 0, 'workflows', 'run', file, '--background');
      const worker = startWorker(at);
      const listed = (status: string): Promise<string[]> =>
        done(at, 0, 'sessions', 'list', '--status', status).then(({ items }) =>
          (items as Doc[]).map((one) => String(one.session_id)),
        );
      await eventually('the session waits', async () =>
        (await listed('waiting_approval')).includes(String(queued.session_id)),
      );
      expect(worker.said()).toContain('Working in');
      const [item] = (await done(at, 0, 'approvals', 'list')).items as Doc[];
      await answerAtTerminal(at, String(item?.approval_id), 'approve');
      await eventually('both have ended', async () => {
        const completed = await listed('completed');
        return [queued, timed].every(({ session_id: id }) => completed.includes(String(id)));
      });
      expect(await effects(at, 'b')).toHaveLength(1);
      expect(await worker.stop()).toBe(0);
    },
    120_000,
  );
});

test('a worker carries on what whoever holds a token has queued', async () => {
  const at = await servedPlace();
  const alice = await reconfigured(at, 'of-alice', { principal: 'alice' });
  const queued = await done(alice, 0, 'sessions', 'start', '--message', 'finish.', '--background');
  expect(queued).toMatchObject({ kind: 'queued' });
  await done(at, 0, 'tokens', 'add', '--principal', 'alice', '--tenant', 'local');
  const worker = startWorker(at);
  const session = String(queued.session_id);
  await eventually('it has ended', async () => {
    const { state } = await done(alice, 0, 'sessions', 'show', session);
    return (state as Doc).status === 'completed';
  });
  expect(await worker.stop()).toBe(0);
}, 60_000);

test('at a terminal a long run shows its steps, and Ctrl-C leaves it so that it can be resumed', async () => {
  const at = await servedPlace();
  const where = ['--workspace', at.workspace, '--config', at.config];
  const screen = await openScreen(at, ['sessions', 'start', '--message', 'report.', ...where]);
  const shown = await screen.shows('step 3');
  expect(shown).toContain('… step 3');
  await screen.keys('C-c');
  const ended = await screen.shows(/EXIT:\d/);
  expect(ended).toContain('EXIT:0');
  expect(ended).toContain('outcome  suspended');
  expect(ended).toMatch(/go on: +agent-runtime sessions resume ses_/);
});
