import { appendFile, chmod, mkdir, writeFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { edit, json, MAIN, place, run } from './harness.ts';

const GROUPS: Record<string, readonly string[]> = {
  '': ['serve', 'wrap', 'init', 'demo', 'trust', 'doctor', 'worker'],
  config: ['check', 'print', 'schema', 'reload'],
  policy: ['decide', 'explain'],
  approvals: ['list', 'show', 'resolve'],
  requests: ['list', 'show'],
  runs: ['show'],
  sessions: ['list', 'show', 'start', 'resume', 'cancel', 'snapshot', 'erase'],
  workflows: ['check', 'run', 'show', 'resume', 'cancel', 'graph'],
  capabilities: ['list', 'show', 'agent', 'pin'],
  evidence: ['verify', 'export', 'remove', 'key'],
  tokens: ['add', 'list', 'revoke'],
};

const COMMANDS = Object.entries(GROUPS).flatMap(([group, names]) =>
  names.map((name) => (group === '' ? [name] : [group, name])),
);

test('every command has help with a complete example of itself', async () => {
  const at = await place();
  const helps = await Promise.all(COMMANDS.map((words) => run(at, [...words, '--help'])));
  for (const [index, words] of COMMANDS.entries()) {
    const help = helps[index]!;
    expect({ words, code: help.code }).toEqual({ words, code: 0 });
    expect(help.out).toContain(`Example:\n  $ agent-runtime ${words.join(' ')}`);
    for (const flag of ['--workspace', '--config', '--json']) expect(help.out).toContain(flag);
  }
}, 60_000);

test('the tree of commands is the published one', async () => {
  const at = await place();
  for (const [group, names] of Object.entries(GROUPS)) {
    const help = await run(at, [...(group === '' ? [] : [group]), '--help']);
    const listed = [...help.out.matchAll(/^ {2}([a-z]+)(?= )/gm)].map(([, name]) => name!);
    const expected = group === '' ? [...names, ...Object.keys(GROUPS).slice(1)] : names;
    expect(listed.filter((name) => name !== 'help' && name !== 'exists')).toEqual(expected);
  }
});

test('a mistyped word is refused with the nearest one', async () => {
  const at = await place();
  const command = await run(at, ['serv']);
  expect(command).toMatchObject({ code: 2, out: '' });
  expect(command.err).toContain('Did you mean serve?');
  const nested = await run(at, ['approvals', 'lst']);
  expect(nested).toMatchObject({ code: 2, out: '' });
  expect(nested.err).toContain('Did you mean list?');
  const flag = await run(at, ['doctor', '--strt']);
  expect(flag.code).toBe(2);
  expect(flag.err).toContain('Did you mean --start?');
});

test('mistakes end with their code, a sentence and a remedy, and never with a stack', async () => {
  const at = await place();
  const cases: [string[], number, string][] = [
    [[], 2, 'Usage:'],
    [['approvals'], 2, 'Usage:'],
    [['serve', '--tools', 'everything'], 2, 'USAGE'],
    [['policy', 'decide'], 2, 'USAGE'],
    [['requests', 'list', '--limit', '0'], 2, 'USAGE: --limit must be 1 to 200.'],
    [['requests', 'list', '--limit', '1e2'], 2, 'USAGE: --limit must be 1 to 200.'],
    [['sessions', 'start', '--input', MAIN], 2, `INVALID_INPUT: ${MAIN}: the text is not JSON`],
    [['config', 'check', '--workspace', 'nowhere'], 4, 'NOT_FOUND'],
    [['config', 'print', '--config', 'nowhere'], 2, 'CONFIGURATION_ERROR'],
    [['policy', 'decide', '--calls', 'nowhere.jsonl'], 4, 'NOT_FOUND'],
    [['policy', 'explain', 'desk:read_doc', '--arguments', '[1]'], 2, 'INVALID_INPUT'],
    [['policy', 'explain', 'desk:read_doc', '--arguments', '{"a":1,"a":2}'], 2, 'INVALID_INPUT'],
    [['approvals', 'show', 'apr_1'], 4, 'NOT_FOUND'],
    [['capabilities', 'pin', 'nobody'], 4, 'NOT_FOUND'],
    [['evidence', 'verify'], 4, 'NOT_FOUND'],
    [['evidence', 'verify', '--anchor', 'nowhere'], 4, 'NOT_FOUND'],
    [['evidence', 'export', '--out', 'x'], 2, 'USAGE'],
  ];
  const runs = await Promise.all(cases.map(([args]) => run(at, args)));
  for (const [index, [args, code, text]] of cases.entries()) {
    const { code: ended, err, out } = runs[index]!;
    expect({ args, ended, out }).toEqual({ args, ended: code, out: '' });
    expect(err).toContain(text);
    if (text !== 'Usage:') expect(err).toContain('what to do: ');
    expect(err).not.toMatch(/\n\s+at |node:internal/);
  }
}, 60_000);

test('with --json an error is one JSON document on standard error', async () => {
  const at = await place();
  const { code, out, err } = await run(at, ['approvals', 'show', 'apr_1', '--json']);
  expect({ code, out }).toEqual({ code: 4, out: '' });
  expect(JSON.parse(err)).toMatchObject({ error: { code: 'NOT_FOUND', retryable: false } });
});

test('AGENT_RUNTIME_DEBUG=1 shows the stack on standard error', async () => {
  const at = await place();
  const { err } = await run(at, ['approvals', 'show', 'apr_1'], { env: { AGENT_RUNTIME_DEBUG: '1' } });
  expect(err).toMatch(/\n\s+at /);
});

test('a workflow is looked at without trust in the configuration, and nothing is made for it', async () => {
  const at = await place();
  await run(at, ['init']);
  await edit(at, 'configs/agent.yaml', ['support-triage-ref', 'other-agent']);
  expect((await run(at, ['workflows', 'cancel', 'ses_none'])).code).toBe(3);
  const before = await readdir(at.workspace, { recursive: true });
  for (const looks of ['show', 'graph']) {
    expect(await run(at, ['workflows', looks, 'ses_none'])).toMatchObject({ code: 4, out: '' });
  }
  expect(await readdir(at.workspace, { recursive: true })).toEqual(before);
});

test('every tool of the catalog is listed, however many there are', async () => {
  const at = await place();
  await run(at, ['init']);
  const more = Array.from(
    { length: 250 },
    (_, n) =>
      `  tool_${n}: { owner: bank, mode: read, transport: host, tool_principal: svc-bank, risk_tier: low, network_access: none, input_schema: { type: object } }\n`,
  );
  await appendFile(join(at.workspace, 'configs/capabilities.yaml'), more.join(''));
  const { items = [] } = await json(at, ['capabilities', 'list']);
  expect(items).toHaveLength(257);
});

test('looking at an empty workspace shows nothing and makes nothing', async () => {
  const at = await place();
  for (const kind of ['approvals', 'requests', 'sessions']) {
    expect(await json(at, [kind, 'list'])).toEqual({ items: [] });
  }
  const capabilities = await json(at, ['capabilities', 'list']);
  expect(capabilities.items).toHaveLength(7);
  expect(new Set(capabilities.items?.map((one) => one.pin))).toEqual(new Set(['unpinned']));
  for (const looks of ['show', 'graph']) {
    const { code, err } = await run(at, ['workflows', looks, 'ses_none']);
    expect({ looks, code }).toEqual({ looks, code: 4 });
    expect(err).toContain('has no journal yet');
  }
  await expect(chmod(join(at.workspace, '.agent-runtime'), 0o700)).rejects.toThrow('ENOENT');
});

verifies(
  ['CI-03'],
  'the agent is shown beside its catalog: what writes and where to, what asks and who, what needs a key, every field',
  async () => {
    const at = await place();
    await run(at, ['init']);
    await appendFile(
      join(at.workspace, 'configs/capabilities.yaml'),
      '  wire_money: { owner: bank, mode: write, transport: host, tool_principal: svc-bank, risk_tier: critical, network_access: none, input_schema: { type: object } }\n',
    );
    const shown = await json(at, ['capabilities', 'agent']);
    const { catalog_capabilities: catalog, ...told } = shown;
    const writes = ['desk:create_ticket', 'files:write_file', 'wire_money'];
    expect(told).toEqual({
      agent_id: 'support-triage-ref',
      display_name: 'Support Triage Reference Agent',
      owner_team: 'agent_platform',
      runtime_principal: 'svc-support-triage-ref',
      approved_capabilities: [
        'desk:search_docs',
        'desk:read_doc',
        'desk:get_ticket',
        'desk:create_ticket',
        'files:read_text_file',
        'files:list_directory',
        'files:write_file',
      ],
      catalog_capability_names: [
        'desk:create_ticket',
        'desk:get_ticket',
        'desk:read_doc',
        'desk:search_docs',
        'files:list_directory',
        'files:read_text_file',
        'files:write_file',
        'wire_money',
      ],
      write_capabilities: writes,
      write_capability_egress: {
        'desk:create_ticket': ['tickets.internal'],
        'files:write_file': [],
        wire_money: [],
      },
      approval_required_capabilities: writes,
      approval_required_capability_bindings: [
        {
          capability: 'desk:create_ticket',
          tool_principal: 'svc-ticket-writer',
          by: [
            'catalog: role:manager',
            'rule capability.create_ticket of workspace workspace',
            'intent triage',
          ],
        },
        {
          capability: 'files:write_file',
          tool_principal: 'svc-support-triage-ref',
          by: ['catalog: principal', 'rule capability.write_file of workspace workspace', 'intent notes'],
        },
        { capability: 'wire_money', tool_principal: 'svc-bank', by: ['critical risk'] },
      ],
      idempotency_required_capabilities: ['desk:create_ticket'],
      idempotency_required_capability_bindings: [
        {
          capability: 'desk:create_ticket',
          tool_principal: 'svc-ticket-writer',
          argument: 'idempotency_key',
        },
      ],
    });
    const each = catalog as Record<string, unknown>[];
    expect(each.map((one) => one['id'])).toEqual(told['catalog_capability_names']);
    expect(each[0]).toMatchObject({
      name: 'create_ticket',
      owner: 'support_platform',
      mode: 'write',
      transport: 'mcp_stdio',
      risk_tier: 'high',
      network_access: 'brokered',
      tool_principal: 'svc-ticket-writer',
      approval_required: true,
      idempotency_key_required: true,
      allowed_egress: ['tickets.internal'],
      in_inventory: true,
    });
    expect(each.at(-1)).toMatchObject({ name: 'wire_money', in_inventory: false });
    const text = await run(at, ['capabilities', 'agent']);
    expect(text.out).toMatch(/^agent_id +support-triage-ref$/m);

    await edit(at, 'configs/policy.yaml', ['default_decision: deny', 'default_decision: approval_required']);
    const { approval_required_capability_bindings: asking } = await json(at, ['capabilities', 'agent']);
    expect(asking).toContainEqual({
      capability: 'wire_money',
      tool_principal: 'svc-bank',
      by: ['critical risk', 'default of workspace workspace'],
    });
  },
);

test('doctor passes on a fresh workspace, and fails on a state directory that others can read', async () => {
  const at = await place();
  const fresh = await json(at, ['doctor']);
  expect(fresh.status).not.toBe('fail');
  expect((fresh.checks as { check: string }[]).map((one) => one.check)).toEqual(
    expect.arrayContaining(['node', 'sqlite', 'sandbox', 'state directory', 'trust', 'server desk']),
  );
  await mkdir(at.state, { mode: 0o755 });
  await chmod(at.state, 0o755);
  const open = await json(at, ['doctor'], 1);
  expect((open.checks as unknown[])[0]).toMatchObject({ check: 'state directory', status: 'fail' });
});

verifies(
  ['CI-05'],
  'doctor warns of a tool that is not approved, and fails where the pin file holds another tool than was agreed to',
  async () => {
    const at = await place();
    await run(at, ['init']);
    const inventoryIn = async (code: number): Promise<Record<string, unknown> | undefined> => {
      const { checks } = await json(at, ['doctor'], code);
      return (checks as Record<string, unknown>[]).find((one) => one['check'] === 'inventory');
    };
    expect(await inventoryIn(0)).toMatchObject({ status: 'ok', inventory: { has_drift: false } });
    await edit(at, 'configs/agent.yaml', ['  - get_ticket\n', '']);
    await edit(at, 'configs/runtime.yaml', ['read_doc, get_ticket]', 'read_doc]']);
    const { digest } = await json(at, ['config', 'check']);
    await json(at, ['trust', '--digest', String(digest)]);
    expect(await inventoryIn(0)).toMatchObject({
      status: 'warn',
      inventory: { has_drift: true, missing_from_inventory: ['desk:get_ticket'] },
    });
    await run(at, ['capabilities', 'pin', 'desk', '--yes']);
    await edit(at, '.agent-runtime/tools.lock.json', ['"query"', '"quarry"']);
    expect(await inventoryIn(1)).toMatchObject({ status: 'fail', inventory: { has_drift: true } });
  },
);

test('doctor names a server whose program is not there', async () => {
  const at = await place();
  await run(at, ['init']);
  const servers =
    'servers:\n  desk: { transport: stdio, command: no-such-program, args: [] }\n  files: { transport: stdio, command: node, args: [/nowhere/index.js] }\n';
  await writeFile(join(at.workspace, 'configs', 'servers.yaml'), servers);
  const report = await json(at, ['doctor'], 1);
  const failing = (report.checks as { check: string; status: string; detail: string }[]).filter(
    (one) => one.status === 'fail',
  );
  expect(failing.map((one) => one.check).sort()).toEqual(['server desk', 'server files', 'trust']);
  expect(failing.map((one) => one.detail).join()).toContain('no-such-program');
});

test('the state directory must lie outside the workspace', async () => {
  const at = await place();
  const inside = join(at.workspace, 'deep', 'state');
  const ran = await run(at, ['requests', 'list'], { env: { AGENT_RUNTIME_STATE: inside } });
  expect(ran.code).toBe(2);
  expect(ran.err).toContain('lies in the workspace');
});

test('flags beat the environment, the environment beats the default', async () => {
  const at = await place();
  const other = await place();
  await run(other, ['init']);
  const env = { AGENT_RUNTIME_WORKSPACE: other.workspace, AGENT_RUNTIME_CONFIG: '' };
  const byEnvironment = await run(at, ['config', 'check', '--json'], { env });
  expect(JSON.parse(byEnvironment.out)).toMatchObject({ directory: join(other.workspace, 'configs') });
  const byFlag = await run(at, ['config', 'check', '--json', '--workspace', at.workspace], { env });
  expect(JSON.parse(byFlag.out)).toMatchObject({ trust: 'bundled' });
  expect((JSON.parse(byFlag.out) as { directory: string }).directory).not.toContain(other.workspace);
});

test('--version prints the version and nothing else', async () => {
  const at = await place();
  expect(await run(at, ['--version'])).toMatchObject({ code: 0, out: '0.1.0\n', err: '' });
});
