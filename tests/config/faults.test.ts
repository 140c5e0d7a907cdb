// Every fault a configuration can have, with its file, line, column, path and sentence.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseToolList } from '../../src/capabilities/definitions.ts';
import { verifies } from '../e2e/verifies.ts';
import { model } from './fault.ts';
import { CATALOG_FAULTS } from './faults-catalog.ts';
import { SANDBOX_FAULTS } from './faults-sandbox.ts';
import { POLICY_FAULTS } from './faults-policy.ts';
import { BUNDLED, load, locate, refusal, swap } from './fixture.ts';

describe('a fault', () => {
  for (const one of [...CATALOG_FAULTS, ...POLICY_FAULTS, ...SANDBOX_FAULTS]) {
    test(`of ${one.file}: ${one.name}`, async () => {
      const edited = swap(one.from, one.to)(await readFile(join(BUNDLED, one.file), 'utf8'));
      const { problems } = await refusal({ [one.file]: edited });
      expect(problems).toContainEqual({
        file: one.file,
        ...locate(edited, one.at),
        path: one.path,
        message: one.message,
      });
    });
  }
});

describe('faults together', () => {
  verifies(['CV-06'], 'stop the start with file, place, pointer and sentence, all at once', async () => {
    const { error, problems } = await refusal({
      'agent.yaml': swap('  id: support-triage-ref\n', ''),
      'policy.yaml': (text) =>
        swap('enforcement: strict', 'enforcement: lax')(swap('max_repeats: 3', 'max_repeat: 3')(text)),
      'runtime.yaml': swap('default_model: demo', 'default_model: nothing'),
      'approvals.yaml': '',
    });
    expect(error.code).toBe('CONFIGURATION_ERROR');
    expect(problems.map((p) => `${p.file} ${p.path} ${p.message}`)).toEqual([
      'agent.yaml /agent/id is required',
      expect.stringMatching(
        /^approvals\.yaml \/ Config at \/.*approvals\.yaml must be a mapping at the top level$/,
      ),
      'policy.yaml /policy/arg_schema_enforcement must be "strict" or "off"',
      'policy.yaml /policy/cycle_detection/max_repeat unknown key "max_repeat"; did you mean "max_repeats"?',
      'runtime.yaml /agent_runtime/default_model "nothing" is not a name of models',
    ]);
    expect(error.message).toBe('agent.yaml:4:1 /agent/id: is required (and 4 more)');
    expect(error.details).toMatchObject({ field: '/agent/id', count: 5 });
  });

  verifies(
    { partial: ['CV-01'] },
    'refuse every key that a schema does not know, at every level',
    async () => {
      for (const [file, from] of [
        ['agent.yaml', '  display_name:'],
        ['capabilities.yaml', '    owner: knowledge_platform'],
        ['policy.yaml', '    max_iterations: 10'],
        ['runtime.yaml', '    resumable_runs: true'],
        ['servers.yaml', '    era: auto'],
        ['identity.yaml', '    tenant: local'],
        ['memory.yaml', '  seed_records: []'],
        ['approvals.yaml', '  escalation_sla_minutes: 30'],
        ['runtime-controls.yaml', '  on_expiry: cancel_run'],
      ] as const) {
        const indent = /^ */.exec(from)?.[0] ?? '';
        const { problems } = await refusal({ [file]: swap(from, `${indent}zzzzzzz: 1\n${from}`) });
        expect(problems, file).toHaveLength(1);
        expect(problems[0]).toMatchObject({ file, message: 'unknown key "zzzzzzz"' });
      }
    },
  );

  test('are counted in full and reported up to two hundred', async () => {
    const many = Array.from({ length: 500 }, (_, at) => `  - tool_${at}`).join('\n');
    const { error, problems } = await refusal({ 'agent.yaml': (text) => `${text}${many}\n` });
    expect(problems).toHaveLength(200);
    expect(error.details['count']).toBe(500);
  });
});

describe('a policy that denies nothing', () => {
  const open = swap('default_decision: deny', 'default_decision: allow');
  const noRule = (text: string): string =>
    text
      .replace(/ {6}- id: no-env-files[\s\S]*?(?= {6}#)/, '')
      .replace('    rules:\n      #', '    rules: []\n      #');
  const message =
    'allows every call and nothing is denied; add a workspace rule with decision deny or a name to tool_registry.denied';

  test('is refused when the default allows', async () => {
    const { problems } = await refusal({ 'policy.yaml': (text) => noRule(open(text)) });
    expect(problems).toMatchObject([{ path: '/policy/workspace/default_decision', message }]);
  });

  test('is refused when one rule allows every tool without condition', async () => {
    const rule = "    rules: [{ id: all, tools: '*', decision: allow }]\n      #";
    const { problems } = await refusal({
      'policy.yaml': (text) => swap('    rules: []\n      #', rule)(noRule(text)),
    });
    expect(problems).toMatchObject([{ path: '/policy/workspace/rules/0', message }]);
  });

  test('is accepted once something is denied', async () => {
    expect((await load({ 'policy.yaml': open })).policy.defaultDecision).toBe('allow');
    const denied = await load({
      'policy.yaml': (text) => swap('denied: []', 'denied: [write_file]')(noRule(open(text))),
    });
    expect(denied.policy.registry.denied).toEqual(['files:write_file']);
  });
});

describe('rules across files', () => {
  test('a tool of an intent must be in the inventory', async () => {
    const { problems } = await refusal({ 'agent.yaml': swap('  - read_doc\n', '') });
    expect(problems).toEqual([
      {
        file: 'runtime.yaml',
        ...locate(await readFile(join(BUNDLED, 'runtime.yaml'), 'utf8'), 'read_doc, get_ticket]'),
        path: '/agent_runtime/intents/triage/allow_tools/1',
        message: '"read_doc" is not in approved_capabilities of agent.yaml',
      },
    ]);
  });

  test('an intent and an inventory may use canonical ids', async () => {
    const config = await load({
      'agent.yaml': swap('  - read_doc\n', '  - desk:read_doc\n'),
      'runtime.yaml': swap('allow_tools: [search_docs', 'allow_tools: [desk:search_docs'),
    });
    expect(config.intents['triage']?.allowTools[0]).toBe('desk:search_docs');
    expect(config.agent.approvedCapabilities[1]).toBe('desk:read_doc');
  });

  verifies(
    { partial: ['CI-09'] },
    'network access needs egress, and policy must list its class',
    async () => {
      const noEgress = await refusal({
        'capabilities.yaml': swap('    allowed_egress: [tickets.internal]\n    approval', '    approval'),
      });
      expect(noEgress.problems[0]?.message).toBe('network_access brokered needs a non-empty allowed_egress');
      const notListed = await refusal({ 'policy.yaml': swap('[restricted, brokered]', '[restricted]') });
      expect(notListed.problems.map((p) => p.path)).toEqual([
        '/capabilities/create_ticket/network_access',
        '/capabilities/get_ticket/network_access',
      ]);
    },
  );

  verifies(
    { partial: ['CI-07'] },
    'one tool is registered once, and no two share a portable name',
    async () => {
      const entry = (name: string, server: string, tool: string): string =>
        `  ${name}:\n    { owner: o, mode: read, transport: mcp_stdio, server: ${server}, tool: ${tool}, tool_principal: p, risk_tier: low, network_access: none }\n`;
      const { problems } = await refusal({
        'capabilities.yaml': (text) =>
          `${text}${entry('one', 'a_b', 'c')}${entry('two', 'a', 'b_c')}${entry('three', 'a', 'd-e')}${entry('four', 'a', 'd_e')}`,
        'servers.yaml': (text) =>
          `${text}  a_b: { transport: stdio, command: x }\n  a: { transport: stdio, command: x }\n`,
      });
      expect(problems).toMatchObject([
        { path: '/capabilities/two', message: 'a:b_c and a_b:c have the same portable name a_b_c' },
        { path: '/capabilities/four', message: 'a:d_e and a:d-e have the same portable name a_d_e' },
      ]);
    },
  );

  verifies(
    ['PO-12'],
    'no tool starts without a schema of its arguments: declared here by us, or by the server whose tool is pinned',
    async () => {
      const tool = (transport: string, schema: string): string =>
        `  own:\n    { owner: o, mode: read, transport: ${transport}, ${schema}tool_principal: p, risk_tier: low, network_access: none }\n`;
      for (const transport of ['in_process', 'host']) {
        const { error, problems } = await refusal({
          'capabilities.yaml': (text) => text + tool(transport, ''),
        });
        expect(error.code).toBe('CONFIGURATION_ERROR');
        expect(problems).toMatchObject([
          {
            path: '/capabilities/own',
            message: `input_schema is required: no server declares the arguments of a ${transport} tool`,
          },
        ]);
        const config = await load({
          'capabilities.yaml': (text) => text + tool(transport, 'input_schema: { type: object }, '),
        });
        expect(config.policy.argSchemaEnforcement).toBe('strict');
        expect(config.capabilities['own']?.inputSchema).toEqual({ type: 'object' });
      }
      const listed = parseToolList([{ name: 'bare' }, { name: 'whole', inputSchema: { type: 'object' } }]);
      expect(listed.tools.map(({ name }) => name)).toEqual(['whole']);
      expect(listed.refused).toEqual([
        { name: 'bare', why: expect.stringContaining('it has no inputSchema') as string },
      ]);
    },
  );

  test('a tool of ours cannot be imitated', async () => {
    const host =
      '  agent_execute_turn:\n    { owner: o, mode: read, transport: host, input_schema: { type: object }, tool_principal: p, risk_tier: low, network_access: none }\n';
    const { problems } = await refusal({ 'capabilities.yaml': (text) => text + host });
    expect(problems[0]?.message).toBe(
      'agent_execute_turn begins with agent_, which is reserved for our own tools',
    );
  });

  test('a rule id stands once in all layers', async () => {
    const lane = "    default:\n      rules: [{ id: no-env-files, tools: '*', decision: deny }]";
    const { problems } = await refusal({ 'policy.yaml': swap('    default:\n      rules: []', lane) });
    expect(problems).toMatchObject([
      {
        path: '/policy/lanes/default/rules/0/id',
        message: '"no-env-files" is already the id of a rule in workspace workspace',
      },
    ]);
  });

  test('a cost limit needs a price for every model that costs', async () => {
    const models = (text: string): string =>
      swap(...model('      { provider: openai_compatible, model: big, api_key_env: K, base_url_env: U }\n'))(
        text,
      );
    const policy = swap('max_tokens: 50000', 'max_tokens: 50000\n    max_cost_usd: 1.5');
    const { problems } = await refusal({ 'policy.yaml': policy, 'runtime.yaml': models });
    expect(problems).toMatchObject([
      {
        path: '/policy/loop_budget/max_cost_usd',
        message: 'cannot be kept: runtime.prices has no price for the model big',
      },
    ]);
    const price = 'prices: { big: { input_per_million_usd: 1, output_per_million_usd: 2 } }';
    const config = await load({
      'policy.yaml': policy,
      'runtime.yaml': (text) => swap('prices: {}', price)(models(text)),
    });
    expect(config.policy.loopBudget.maxCostUsd).toBe(1.5);
  });

  verifies(
    ['CV-03'],
    'a model must exist and know its URL; a missing variable is no fault of the file',
    async () => {
      const real = swap(
        ...model(
          '      { provider: messages_compatible, model: m, api_key_env: NOT_SET, base_url_env: NOT_SET_EITHER }\n',
        ),
      );
      const config = await load({ 'runtime.yaml': real });
      expect(config.models.profiles['main']).toEqual({
        name: 'main',
        provider: 'messages_compatible',
        model: 'm',
        apiKeyEnv: 'NOT_SET',
        baseUrlEnv: 'NOT_SET_EITHER',
        deadlineMs: 60000,
        maxResponseBytes: 4194304,
        maxOutputTokens: 4096,
        maxRetries: 2,
      });
      expect(config.models.profiles['toString']).toBeUndefined();
      for (const [edit, path] of [
        [['default_model: demo', 'default_model: demo2'], '/agent_runtime/default_model'],
        [
          model('      { provider: openai_compatible, model: m, api_key_env: K }\n'),
          '/agent_runtime/models/main',
        ],
        [['  limits:\n', '  extra: 1\n  limits:\n'], '/agent_runtime/extra'],
      ] as const) {
        const { problems } = await refusal({ 'runtime.yaml': swap(edit[0], edit[1]) });
        expect(problems).toMatchObject([{ file: 'runtime.yaml', path }]);
      }
    },
  );

  verifies(['CV-04'], 'all seven blocks of the policy are required and their keys are read', async () => {
    for (const block of [
      'tool_registry',
      'url_allowlist',
      'sandbox',
      'arg_schema_enforcement',
      'loop_budget',
      'cycle_detection',
      'retry',
    ]) {
      const { problems } = await refusal({
        'policy.yaml': (text) => text.replace(new RegExp(`^  ${block}:.*\\n(?:(?: {4}.*)?\\n)*`, 'm'), ''),
      });
      expect(problems, block).toContainEqual(
        expect.objectContaining({ path: `/policy/${block}`, message: 'is required' }),
      );
    }
    const { policy } = await load({
      'policy.yaml': (text) =>
        swap(
          'max_retries: 3',
          'max_retries: 1',
        )(
          swap(
            'max_repeats: 3',
            'max_repeats: 5',
          )(
            swap(
              'max_tokens: 50000',
              'max_tokens: 7\n    per_tenant: { max_calls: 9 }',
            )(swap('arg_schema_enforcement: strict', 'arg_schema_enforcement: off')(text)),
          ),
        ),
    });
    expect(policy).toMatchObject({
      argSchemaEnforcement: 'off',
      loopBudget: { maxIterations: 10, maxTokens: 7, perTenant: { maxCalls: 9, windowSeconds: 3600 } },
      cycle: { maxRepeats: 5, windowSeconds: 600 },
      retry: { maxRetries: 1, backoffBaseMs: 100, backoffCapMs: 2000 },
      urlAllowlist: ['https://docs.internal', 'https://tickets.internal'],
    });
  });
});
