// The whole gate with a hundred rules over twenty tools, against one evaluation of the expression that decides.
import { Environment } from '@marcbachmann/cel-js';
import { createGate } from '../../dist/kernel/policy/gate.js';
import { figure, interleave } from '../lib/measure.mjs';
import { loadPlace, makePlace } from '../lib/place.mjs';
import { CALLER } from '../lib/runtime.mjs';

const TOOLS = 20;
const PER_TOOL = 5;

const schema = {
  type: 'object',
  properties: { text: { type: 'string' }, amount: { type: 'integer' } },
  required: ['text', 'amount'],
  additionalProperties: false,
};

const matching = (at) => `args.amount > ${at + 500} && identity.principal == "os:bench"`;

function configured() {
  const capabilities = {};
  const rules = [];
  for (let tool = 0; tool < TOOLS; tool++) {
    capabilities[`tool${tool}`] = {
      description: 'A tool.',
      owner: 'bench',
      mode: 'read',
      transport: 'in_process',
      tool_principal: 'svc-bench',
      risk_tier: 'low',
      network_access: 'none',
      input_schema: schema,
    };
    for (let at = 0; at < PER_TOOL; at++) {
      rules.push({
        id: `rule-${tool}-${at}`,
        tools: [`tool${tool}`],
        when: at === PER_TOOL - 1 ? matching(tool) : `args.text.startsWith("never-${at}")`,
        decision: 'deny',
        reason: 'A rule of the bench.',
      });
    }
  }
  return { capabilities, rules };
}

function inputOf(config, tool) {
  return {
    tool,
    args: { text: 'x'.repeat(180), amount: 900 },
    caller: CALLER,
    delegation: { mode: 'platform_owned', delegatedPrincipalId: '', delegatedScope: '' },
    agentId: config.agent.id,
    session: { id: 'ses_bench', lane: 'default', task: 'agent-session' },
    capability: config.capabilities[tool],
    inputSchema: schema,
    pin: { state: 'declared', digest: 'sha256:bench' },
    paths: [],
    history: {
      repeats: 0,
      session: { iterations: 1, tokens: 1, calls: 1, costUsd: 0, effects: 0, wallSeconds: 1 },
    },
  };
}

/** Microseconds of one of `count` works in a row. */
function micros(count, work) {
  const begun = performance.now();
  for (let at = 0; at < count; at++) work();
  return ((performance.now() - begun) * 1000) / count;
}

/** Evaluations of the floor for one decision of ours: a round of either then takes as long, and is cut short as seldom. */
const PER_DECISION = 8;

export async function run({ rounds = 200, warmup = 400, decisions = 250 } = {}) {
  const place = makePlace(configured());
  try {
    const config = await loadPlace(place);
    const gate = createGate(config);
    await gate.prepare({ inputSchema: schema });
    const input = inputOf(config, 'tool7');
    const program = new Environment({ unlistedVariablesAreDyn: true }).parse(matching(7));
    const variables = { args: { ...input.args, amount: 900n }, identity: CALLER };
    const decision = gate.decide(input);
    if (!decision.aliases.includes('rule-7-4') || program(variables) !== true) {
      throw new Error(`another rule decided: ${JSON.stringify(decision)}`);
    }
    const times = await interleave(rounds, warmup, {
      ours: async () => micros(decisions, () => gate.decide(input)),
      bare: async () => micros(decisions * PER_DECISION, () => program(variables)),
    });
    return [figure('policy-decision', 'us', times.ours, times.bare)];
  } finally {
    place.dispose();
  }
}
