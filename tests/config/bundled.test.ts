// The example that ships: it loads, it says what is promised, and its schemas are the generated ones.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { jsonSchemas, schemaFileName, schemaText, writeSchemas } from '../../src/config/schemas.ts';
import { loadConfig } from '../../src/config/load.ts';
import { verifies } from '../e2e/verifies.ts';
import { BUNDLED, directoryWith, load, options, PACKAGE_ROOT } from './fixture.ts';

describe('the bundled example', () => {
  verifies(['CI-04'], 'is the support-triage agent with its two promised capabilities', async () => {
    const config = await loadConfig(options(BUNDLED));
    expect(config.agent).toMatchObject({
      id: 'support-triage-ref',
      ownerTeam: 'agent_platform',
      runtimePrincipal: 'svc-support-triage-ref',
    });
    expect(config.agent.approvedCapabilities).toEqual([
      'desk:search_docs',
      'desk:read_doc',
      'desk:get_ticket',
      'desk:create_ticket',
      'files:read_text_file',
      'files:list_directory',
      'files:write_file',
    ]);
    expect(config.capabilities['desk:search_docs']).toMatchObject({
      name: 'search_docs',
      owner: 'knowledge_platform',
      mode: 'read',
      toolPrincipal: 'svc-knowledge-reader',
      risk: 'low',
      networkAccess: 'restricted',
      allowedEgress: ['docs.internal'],
      approval: 'none',
    });
    expect(config.capabilities['desk:create_ticket']).toMatchObject({
      name: 'create_ticket',
      owner: 'support_platform',
      mode: 'write',
      toolPrincipal: 'svc-ticket-writer',
      risk: 'high',
      networkAccess: 'brokered',
      allowedEgress: ['tickets.internal'],
      approval: { approver: 'role:manager' },
      idempotency: { keyRequired: true, argument: 'idempotency_key' },
    });
  });

  verifies(
    { partial: ['CI-01'] },
    'gives a capability every field, with ten seconds as its time limit',
    async () => {
      const config = await load({
        'capabilities.yaml': (text) =>
          text.replace(/\n *timeout_seconds: 10/, '').replace(/\n *output_bytes: .*/, ''),
      });
      expect(config.capabilities['desk:search_docs']).toEqual({
        name: 'search_docs',
        id: 'desk:search_docs',
        description: 'Search the support documentation.',
        owner: 'knowledge_platform',
        mode: 'read',
        permission: 'read',
        version: '1.0.0',
        pack: 'desk',
        transport: 'mcp_stdio',
        server: 'desk',
        tool: 'search_docs',
        timeoutSeconds: 10,
        outputBytes: 1048576,
        toolPrincipal: 'svc-knowledge-reader',
        risk: 'low',
        class: 'plain',
        networkAccess: 'restricted',
        allowedEgress: ['docs.internal'],
        approval: 'none',
        idempotency: { keyRequired: false, idempotent: true },
        scopes: [{ type: 'network', posture: 'allowlist', entries: ['docs.internal'] }],
        pathArguments: [],
        urlArguments: [],
        expose: true,
        sandboxed: false,
      });
    },
  );

  verifies({ partial: ['CI-02'] }, 'gives the agent identity all five fields', async () => {
    const { agent } = await load();
    expect(Object.keys(agent).sort()).toEqual([
      'approvedCapabilities',
      'displayName',
      'id',
      'ownerTeam',
      'runtimePrincipal',
    ]);
  });

  test('turns policy.capabilities into workspace rules with canonical ids and an approver', async () => {
    const { policy } = await load();
    expect(policy.defaultDecision).toBe('deny');
    expect(policy.workspace.rules.map((rule) => [rule.id, rule.tools, rule.decision, rule.approver])).toEqual(
      [
        ['capability.search_docs', ['desk:search_docs'], 'allow', undefined],
        ['capability.read_doc', ['desk:read_doc'], 'allow', undefined],
        ['capability.get_ticket', ['desk:get_ticket'], 'allow', undefined],
        ['capability.read_file', ['files:read_text_file'], 'allow', undefined],
        ['capability.list_directory', ['files:list_directory'], 'allow', undefined],
        ['capability.create_ticket', ['desk:create_ticket'], 'approval_required', 'role:manager'],
        ['capability.write_file', ['files:write_file'], 'approval_required', 'principal'],
        ['no-env-files', ['files:read_text_file', 'files:write_file'], 'deny', undefined],
      ],
    );
    expect(Object.keys(policy.lanes)).toEqual(['default']);
    expect(Object.keys(policy.tasks)).toEqual(['agent-session']);
  });

  test('has a scripted model, whose script exists, and the intent triage', async () => {
    const config = await loadConfig(options(BUNDLED));
    const demo = config.models.profiles['demo'];
    expect(config.models.default).toBe('demo');
    expect(demo).toMatchObject({ provider: 'scripted', script: join(BUNDLED, 'scripts/support.yaml') });
    const script = parse(await readFile(demo?.script ?? '', 'utf8')) as { version: number; turns: unknown[] };
    expect(script.version).toBe(1);
    expect(script.turns).toHaveLength(6);
    expect(config.intents['triage']).toMatchObject({
      allowTools: ['desk:search_docs', 'desk:read_doc', 'desk:get_ticket'],
      approvalRequiredTools: ['desk:create_ticket'],
    });
    expect(config.runtime.gatewayIntent).toBe('triage');
    expect(config.limits).toEqual({
      maxTurnsPerSession: 12,
      maxToolCallsPerSession: 6,
      maxInputBytes: 65536,
    });
  });

  test('starts its servers from this package and from an installed module', async () => {
    const { servers, policy } = await loadConfig(options(BUNDLED));
    expect(policy.sandbox.root).toBe('/work/space/sandbox');
    expect(servers['desk']?.args).toEqual([
      join(PACKAGE_ROOT, 'dist/testing/servers/desk.js'),
      '--db',
      '/work/space/desk.db',
    ]);
    expect(servers['files']?.args).toEqual([
      join(PACKAGE_ROOT, 'node_modules/@modelcontextprotocol/server-filesystem/dist/index.js'),
      '/work/space/sandbox',
    ]);
  });

  test('loads where the module is not installed: the server is configured with where it would be', async () => {
    const { servers } = await loadConfig({ ...options(BUNDLED), packageRoot: '/nowhere/package' });
    expect(servers['files']?.args[0]).toBe(
      '/nowhere/package/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js',
    );
  });

  test('shows every default: leaving any file with only defaults out changes nothing', async () => {
    const whole = await load();
    const without = await load({ 'approvals.yaml': undefined, 'runtime-controls.yaml': undefined });
    expect(without.digest).toBe(whole.digest);
    expect(without.controls).toEqual(whole.controls);
    expect(without.approvals).toEqual(whole.approvals);
  });
});

describe('the JSON Schemas', () => {
  test('are the committed ones, byte for byte, and no other file lies beside them', async () => {
    const expected = Object.entries(jsonSchemas()).map(([file, schema]) => [
      schemaFileName(file),
      schemaText(schema),
    ]);
    for (const [name, text] of expected) {
      expect(await readFile(join(BUNDLED, 'schema', name ?? ''), 'utf8'), name).toBe(text);
    }
    const present = await readdir(join(BUNDLED, 'schema'));
    expect(present.sort()).toEqual(expected.map(([name]) => name).sort());
  });

  test('validate the bundled files, and refuse a key they do not know', async () => {
    for (const [file, schema] of Object.entries(jsonSchemas())) {
      const validate = new Ajv2020({ strict: true, logger: false, strictTypes: false }).compile(schema);
      const value = parse(await readFile(join(BUNDLED, file), 'utf8')) as Record<string, unknown>;
      expect(validate(value), `${file} ${JSON.stringify(validate.errors)}`).toBe(true);
      expect(validate({ ...value, unheard_of: 1 }), file).toBe(false);
    }
  });

  test('are named in the first line of each bundled file', async () => {
    for (const file of Object.keys(jsonSchemas())) {
      const [first] = (await readFile(join(BUNDLED, file), 'utf8')).split('\n');
      expect(first).toBe(`# yaml-language-server: $schema=./schema/${schemaFileName(file)}`);
    }
  });

  test('can be written to any directory', async () => {
    const directory = await directoryWith();
    const names = await writeSchemas(join(directory, 'new', 'schema'));
    expect(await readdir(join(directory, 'new', 'schema'))).toEqual([...names].sort());
  });
});
