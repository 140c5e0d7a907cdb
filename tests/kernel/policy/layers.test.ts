// Owns the proof of how the layers of a policy file combine, from the file to the decision.
import { expect } from 'vitest';
import { createGate } from '../../../src/kernel/policy/gate.ts';
import { load, refusal, swap } from '../../config/fixture.ts';
import { verifies } from '../../e2e/verifies.ts';
import { input } from './fixtures.ts';

const LAYERS = ['workspace', 'lane', 'task'] as const;
const VERDICTS = ['deny', 'approval_required', 'allow'] as const; // strictest first
const TOOL = 'desk:search_docs';
const QUERY = { type: 'object', properties: { query: { type: 'string' } } };

type Says = `${(typeof LAYERS)[number]} ${(typeof VERDICTS)[number]}`;

/** A rule for every verdict that the layer may hold, each awake when the query names it. */
function rulesOf(layer: string, verdicts: readonly string[], indent: string): string {
  const rules = verdicts.map(
    (one) =>
      `${indent}  - { id: ${layer}-${one}, tools: [search_docs], when: 'args.query.contains("${layer} ${one};")', decision: ${one} }\n`,
  );
  return `${indent}rules:\n${rules.join('')}`;
}

/** The bundled policy with its layers written last to first, so that their order in the file cannot be what counts. */
function layered(text: string, byDefault: string): string {
  const lower = (layer: string): string => rulesOf(layer, ['approval_required', 'deny'], '      ');
  const undecided = swap('    search_docs: { decision: allow }\n', '')(text);
  return [
    undecided.slice(0, undecided.indexOf('  workspace:\n')),
    `  tasks:\n    agent-session:\n${lower('task')}`,
    `  lanes:\n    default:\n${lower('lane')}`,
    `  workspace:\n    default_decision: ${byDefault}\n`,
    rulesOf('workspace', ['allow', 'approval_required', 'deny'], '    '),
  ].join('');
}

async function decider(byDefault: string): Promise<(says: Says[]) => string> {
  const config = await load({ 'policy.yaml': (text) => layered(text, byDefault) });
  const gate = createGate(config);
  await gate.prepare({ inputSchema: QUERY });
  const capability = config.capabilities[TOOL]!;
  const session = { id: 'ses_1', lane: 'default', task: 'agent-session', intent: 'triage' };
  return (says) => {
    const args = { query: says.map((one) => `${one};`).join(' ') };
    const { verdict, layer } = gate.decide(
      input({ tool: TOOL, capability, args, inputSchema: QUERY, session }),
    );
    return `${layer} ${verdict}`;
  };
}

function subsets<T>(of: readonly T[]): T[][] {
  return of.reduce<T[][]>((all, one) => [...all, ...all.map((before) => [...before, one])], [[]]);
}

/** The strictest of what is said, by the first layer that says it; the default speaks where the workspace is silent. */
function expected(says: readonly Says[], byDefault: string): string | undefined {
  const isSilent = !says.some((one) => one.startsWith('workspace'));
  const all: readonly string[] = isSilent ? [...says, `workspace ${byDefault}`] : says;
  const ranked = VERDICTS.flatMap((verdict) => LAYERS.map((layer) => `${layer} ${verdict}`));
  return ranked.find((one) => all.includes(one));
}

async function expectRefused(edit: [from: string, to: string], path: string, message: string): Promise<void> {
  const { problems } = await refusal({ 'policy.yaml': swap(edit[0], edit[1]) });
  expect(problems).toMatchObject([{ file: 'policy.yaml', path, message }]);
}

verifies(
  ['PO-05'],
  'workspace, lane and task speak in this order, a deny sticks, deny beats approval beats allow, and what would loosen does not load',
  async () => {
    const lower: Says[][] = subsets([
      'lane deny',
      'lane approval_required',
      'task deny',
      'task approval_required',
    ]);
    const upper: Says[][] = subsets(['workspace allow', 'workspace approval_required', 'workspace deny']);
    for (const byDefault of VERDICTS) {
      const at = await decider(byDefault);
      for (const says of upper.flatMap((one) => lower.map((two) => [...one, ...two]))) {
        expect(at(says), `${says.join(', ')} over ${byDefault}`).toBe(expected(says, byDefault));
      }
    }

    const only = 'default_decision may stand in the workspace layer only: lower layers only tighten';
    const unsupported = 'allow_loosening is not supported: lower layers only tighten';
    const weak = 'allow has no effect in a lane or task: lower layers only tighten';
    for (const [layer, head] of [
      ['lanes/default', '    default:\n'],
      ['tasks/agent-session', '    agent-session:\n'],
    ] as const) {
      const at = `/policy/${layer}`;
      const rule = `${head}      rules: [{ id: open, tools: '*', decision: allow }]`;
      await expectRefused([`${head}      rules: []`, rule], `${at}/rules/0/decision`, weak);
      const byDefault = `${head}      default_decision: approval_required\n`;
      await expectRefused([head, byDefault], `${at}/default_decision`, only);
      await expectRefused(
        [head, `${head}      allow_loosening: true\n`],
        `${at}/allow_loosening`,
        unsupported,
      );
    }
    const workspace = '    default_decision: deny\n';
    const loosened = `${workspace}    allow_loosening: true\n`;
    await expectRefused([workspace, loosened], '/policy/workspace/allow_loosening', unsupported);
  },
);
