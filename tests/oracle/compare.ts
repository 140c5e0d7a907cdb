// Owns the comparison: the same seeded calls to the gate and to the oracle, and a count of what was met.
import { createGate } from '../../src/kernel/policy/gate.ts';
import { sampleConfig } from '../kernel/sample-config.ts';
import { isDisputed, makeCall, poisoned } from './generate-calls.ts';
import { makeWorld, type World } from './generate.ts';
import { LAYERS, oracleDecide, ORDER, type OracleAnswer, type OLayerName, type ORuleId } from './oracle.ts';
import { Dice } from './random.ts';
import type { OInput } from './shapes.ts';

type Config = Parameters<typeof createGate>[0];
type Gate = ReturnType<typeof createGate>;
type Kind = { verdict: 'deny' | 'approval_required'; ruleId: ORuleId; layers: readonly OLayerName[] };

/** Every way in which a rule can speak, and the layers in whose name it does. */
const SPEECH: readonly Kind[] = [
  ...ORDER.filter(
    (ruleId) => !['intent', 'capability_rule', 'cycle_detection', 'loop_budget'].includes(ruleId),
  ).map((ruleId): Kind => ({
    verdict: 'deny',
    ruleId,
    layers: ruleId === 'scope_boundary' ? ['kernel', 'lane', 'task'] : ['kernel'],
  })),
  { verdict: 'deny', ruleId: 'intent', layers: ['intent'] },
  { verdict: 'deny', ruleId: 'capability_rule', layers: ['workspace', 'lane', 'task'] },
  { verdict: 'deny', ruleId: 'cycle_detection', layers: ['session'] },
  { verdict: 'deny', ruleId: 'loop_budget', layers: ['session', 'principal', 'tenant'] },
  { verdict: 'approval_required', ruleId: 'intent', layers: ['intent'] },
  {
    verdict: 'approval_required',
    ruleId: 'capability_rule',
    layers: ['workspace', 'lane', 'task', 'kernel'],
  },
];

const verdictRank = { deny: 0, approval_required: 1 } as const;
function place(verdict: Kind['verdict'], ruleId: ORuleId, layer: OLayerName): number {
  return verdictRank[verdict] * 10_000 + ORDER.indexOf(ruleId) * 100 + LAYERS.indexOf(layer);
}

/** Pairs of deciding layer and strictest other that the speech table allows; the rest with the reason. */
export function pairs(): { reachable: string[]; unreachable: Map<string, string> } {
  const voices = SPEECH.flatMap(({ verdict, ruleId, layers }) =>
    layers.map((layer) => ({ verdict, ruleId, layer, place: place(verdict, ruleId, layer) })),
  );
  const reachable: string[] = ['allow none × none'];
  const unreachable = new Map<string, string>();
  for (const verdict of ['deny', 'approval_required'] as const) {
    for (const deciding of LAYERS) {
      const first = voices.filter((voice) => voice.verdict === verdict && voice.layer === deciding);
      if (first.length === 0) {
        unreachable.set(
          `${verdict} ${deciding} × any`,
          `no rule speaks ${verdict} in the name of ${deciding}`,
        );
        continue;
      }
      reachable.push(`${verdict} ${deciding} × none`);
      for (const other of LAYERS) {
        const cell = `${verdict} ${deciding} × ${other}`;
        const follows = first.some((one) =>
          voices.some(
            (voice) =>
              voice.layer === other &&
              voice.place > one.place &&
              !(voice.ruleId === 'intent' && one.ruleId === 'intent'),
          ),
        );
        if (follows) reachable.push(cell);
        else if (deciding === 'intent' && other === 'intent') {
          unreachable.set(cell, 'a session has one intent, and that denies or asks, never both');
        } else unreachable.set(cell, `nothing that ${other} says comes after anything ${deciding} says`);
      }
    }
  }
  return { reachable, unreachable };
}

/** Rule × verdict of the deciding answer. */
export function ruleCells(): string[] {
  return ['allow capability_rule', ...SPEECH.map(({ verdict, ruleId }) => `${verdict} ${ruleId}`)];
}

function cellsOf({ verdict, ruleId, findings }: OracleAnswer): [pair: string, rule: string] {
  const [first, second] = findings;
  return [`${verdict} ${first?.layer ?? 'none'} × ${second?.layer ?? 'none'}`, `${verdict} ${ruleId}`];
}

export interface OracleReport {
  seed: number;
  decisions: number;
  worlds: number;
  disputed: number;
  verdicts: Map<string, number>;
  rules: Map<string, number>;
  pairs: Map<string, number>;
  /** Verdict or rule differs. */
  disagreements: string[];
  wrongAllows: string[];
  /** Same answer, but the other denials are not those that the oracle found. */
  othersDiffer: string[];
  /** What is said of the run and of the tool before the arguments are known does not go with the decision. */
  reachDiffers: string[];
}

function count(map: Map<string, number>, key: string): number {
  const now = (map.get(key) ?? 0) + 1;
  map.set(key, now);
  return now;
}

const CALLS_PER_WORLD = 400;
const TRIES = 10;
const REACH_EVERY = 4;

function gateConfig({ config }: World): Config {
  const base = sampleConfig();
  return {
    ...base,
    directory: config.directory,
    agent: { ...base.agent, ...config.agent },
    capabilities: config.capabilities,
    policy: { ...base.policy, ...config.policy },
    intents: config.intents,
  };
}

function described(
  world: World,
  input: OInput,
  oracle: OracleAnswer,
  gate: ReturnType<Gate['decide']>,
): string {
  const { capability, inputSchema, ...rest } = input;
  const { lanes, tasks, ...policy } = world.config.policy;
  const lane = lanes[input.session.lane];
  const task = tasks[input.session.task];
  const show = (value: unknown): string =>
    JSON.stringify(value, (_, one: unknown) =>
      typeof one === 'number' && !Number.isFinite(one) ? String(one) : one,
    );
  const found = oracle.findings.map((one) => `${one.ruleId}:${one.layer}:${one.verdict}`).join(', ');
  const others = gate.others.map((one) => `${one.ruleId}:${one.layer}:${one.verdict}`).join(', ');
  return [
    `oracle ${oracle.verdict} ${oracle.ruleId} [${found}]; gate ${gate.verdict} ${gate.ruleId} [${others}]`,
    `  reasons ${gate.reasons.join(' | ')}`,
    `  input ${show(rest)}`,
    `  tool ${show(capability)} schema ${show(inputSchema)}`,
    `  policy ${show({ ...policy, lane, task })} directory ${world.config.directory}`,
  ].join('\n');
}

function denials(list: readonly { verdict: string; ruleId: string; layer: string }[]): string {
  const named = list.map((one) => `${one.verdict} ${one.ruleId} ${one.layer}`);
  return [...new Set(named)].sort().join();
}

function judge(gate: Gate, world: World, { given, plain, oracle }: Asked, report: OracleReport): void {
  const answer = gate.decide(given);
  const text = (): string => described(world, plain, oracle, answer);
  if (answer.verdict !== oracle.verdict || answer.ruleId !== oracle.ruleId) {
    report.disagreements.push(text());
    if (answer.verdict === 'allow') report.wrongAllows.push(text());
  } else if (plain.capability !== undefined && denials(answer.others) !== denials(oracle.findings))
    report.othersDiffer.push(text());
}

const BEFORE_ARGUMENTS: readonly ORuleId[] = [
  'run_precheck',
  'tool_registry',
  'inventory',
  'tool_pin',
  'scope_boundary',
  'intent',
];

/** A tool is reachable if some call of it may be, and not if every call of it is denied. */
function judgeReach(gate: Gate, world: World, { given, plain, oracle }: Asked, report: OracleReport): void {
  if (given !== plain) return; // poisoned
  const denied = oracle.findings.filter((one) => one.verdict === 'deny').map((one) => one.ruleId);
  const began = gate.precheck(given).verdict === 'allow';
  const { reachable } = gate.reach(given);
  const isNever = denied.some((ruleId) => BEFORE_ARGUMENTS.includes(ruleId));
  if (began !== denied.includes('run_precheck') && reachable !== isNever) return;
  if (!reachable && !isNever && denied.includes('capability_rule')) return; // by a rule without a condition
  const said = `the run may ${began ? '' : 'not '}begin, the tool is ${reachable ? '' : 'not '}reachable`;
  report.reachDiffers.push(`${said}; ${described(world, plain, oracle, gate.decide(given))}`);
}

interface Asked {
  given: OInput;
  /** The same without poison, to show it. */
  plain: OInput;
  oracle: OracleAnswer;
}

const REACHABLE: readonly string[] = pairs().reachable;

/** Mostly the two layers of a pair that is not well filled yet. */
function aimAt(dice: Dice, report: OracleReport, full: number): string[] | undefined {
  if (dice.chance(0.25)) return undefined;
  const thin = REACHABLE.filter((cell) => (report.pairs.get(cell) ?? 0) < full);
  if (thin.length === 0) return undefined;
  return dice.pick(thin).replace(/^\w+ /, '').split(' × ');
}

/** A fresh call, tried again while its cells are already well filled. */
function nextCall(dice: Dice, world: World, report: OracleReport, full: number): Asked {
  for (let attempt = 1; ; attempt += 1) {
    const call = makeCall(dice, world, aimAt(dice, report, full));
    if (isDisputed(world.config, call.input)) {
      report.disputed += 1;
      continue;
    }
    const given = poisoned(call);
    const oracle = oracleDecide(world.config, given);
    const [pair, rule] = cellsOf(oracle);
    const thin = (report.pairs.get(pair) ?? 0) < full || (report.rules.get(rule) ?? 0) < full;
    if (thin || attempt >= TRIES) return { given, plain: call.input, oracle };
  }
}

export function isCaught({ disagreements, othersDiffer, reachDiffers }: OracleReport): boolean {
  return disagreements.length + othersDiffer.length + reachDiffers.length > 0;
}

/** `untilCaught`: ends at the first answer that differs. */
export async function runOracle({
  seed,
  count: total,
  untilCaught = false,
}: {
  seed: number;
  count: number;
  untilCaught?: boolean;
}): Promise<OracleReport> {
  const report: OracleReport = {
    seed,
    decisions: 0,
    worlds: 0,
    disputed: 0,
    verdicts: new Map(),
    rules: new Map(),
    pairs: new Map(),
    disagreements: [],
    wrongAllows: [],
    othersDiffer: [],
    reachDiffers: [],
  };
  const full = total / (REACHABLE.length * 1.2);
  const dice = new Dice(seed);
  while (report.decisions < total) {
    const world = makeWorld(seed * 1_000_003 + report.worlds);
    const gate = createGate(gateConfig(world));
    for (const inputSchema of world.schemas) await gate.prepare({ inputSchema });
    report.worlds += 1;
    for (let calls = 0; calls < CALLS_PER_WORLD && report.decisions < total; calls += 1) {
      const asked = nextCall(dice, world, report, full);
      judge(gate, world, asked, report);
      if (report.decisions % REACH_EVERY === 0) judgeReach(gate, world, asked, report);
      report.decisions += 1;
      const [pair, rule] = cellsOf(asked.oracle);
      count(report.pairs, pair);
      count(report.rules, rule);
      count(report.verdicts, asked.oracle.verdict);
      if (untilCaught && isCaught(report)) return report;
    }
  }
  return report;
}

/** Cells with fewer hits than asked, and pairs that were met although the table calls them unreachable. */
export function thinCells(report: OracleReport, least: number): string[] {
  const { reachable, unreachable } = pairs();
  const thin = [
    ...reachable.filter((cell) => (report.pairs.get(cell) ?? 0) < least),
    ...ruleCells().filter((cell) => (report.rules.get(cell) ?? 0) < least),
  ].map(
    (cell) => `${cell}: ${report.pairs.get(cell) ?? report.rules.get(cell) ?? 0} hits, fewer than ${least}`,
  );
  const met = [...report.pairs.keys()].filter((cell) => unreachable.has(cell));
  return [...thin, ...met.map((cell) => `${cell}: met, but listed as unreachable`)];
}

export function table(report: OracleReport): string {
  const rows = (map: Map<string, number>): string[] =>
    [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([cell, hits]) => `  ${cell.padEnd(46)}${hits}`);
  const { seed, decisions, worlds, disputed } = report;
  return [
    `seed ${seed}: ${decisions} decisions in ${worlds} configurations; ${disputed} candidates left out as disputed`,
    'decision',
    ...rows(report.verdicts),
    'decision, rule',
    ...rows(report.rules),
    'decision, deciding layer × strictest other',
    ...rows(report.pairs),
    'unreachable',
    ...[...pairs().unreachable].map(([cell, reason]) => `  ${cell.padEnd(46)}${reason}`),
    `${report.disagreements.length} disagreements, ${report.wrongAllows.length} wrong allows, ` +
      `${report.othersDiffer.length} with other lists of denials and demands, ` +
      `${report.reachDiffers.length} of reach`,
  ].join('\n');
}
