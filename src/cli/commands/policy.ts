// Owns `policy decide` and `policy explain`: the kernel's gate asked without any effect.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { RuntimeError } from '../../base/errors.ts';
import { isObject } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { parseJson } from '../../base/strict-json.ts';
import { readHistory, repeatKey, repeatsIn } from '../../kernel/budgets/counters.ts';
import { canonicalJson } from '../../base/json.ts';
import { causeView, flip } from '../../kernel/policy/explain.ts';
import type { Flip } from '../../kernel/policy/explain.ts';
import type { Decision, DecisionInput } from '../../kernel/policy/decision.ts';
import { visibleRow } from '../../inspect/visible.ts';
import { createPasts } from '../../pack/sessions/past.ts';
import type { RuntimeConfig } from '../../config/types.ts';
import type { CallerOf } from '../../runtime/configured-callers.ts';
import { sessionFacts } from '../../runtime/session-facts.ts';
import { MAX_LINE_BYTES, parseCallLine } from '../calls/call-line.ts';
import type { CallLine } from '../calls/call-line.ts';
import { createDecider, decidedLine, refusedLine } from '../calls/decide.ts';
import type { DecidedLine, Decider } from '../calls/decide.ts';
import { readLines } from '../calls/lines.ts';
import type { Line } from '../calls/lines.ts';
import { createSink } from '../calls/sink.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { callersOf } from '../callers.ts';
import { tokensNow } from '../known-tokens.ts';
import { localCaller } from '../identity.ts';
import { withStore } from '../open-store.ts';
import { readDirectory } from '../pins.ts';
import type { PinOptions } from '../pins.ts';
import { cell, facts, safeJson } from '../print.ts';
import { loadAny } from '../trusted-config.ts';

export interface DecideOptions extends CommonOptions, PinOptions {
  calls: string;
}

async function openCalls(path: string): Promise<Readable> {
  if (path === '-') return process.stdin;
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() !== false) {
    throw new RuntimeError('NOT_FOUND', `There is no file of calls at ${path}.`, { file: path });
  }
  return createReadStream(path);
}

/** undefined: a line that is no call has no answer. */
async function answerTo(decider: Decider, line: Line): Promise<DecidedLine | undefined> {
  if (!line.ok) {
    return refusedLine({ id: null, field: 'line', why: line.why }, decider.policyDigest);
  }
  const parsed = parseCallLine(line.text);
  if (!parsed.ok) return refusedLine(parsed, decider.policyDigest);
  if ('call' in parsed) return decidedLine(parsed.call.id, await decider.decide(parsed.call));
  decider.hear(parsed.heard);
  return undefined;
}

function readable(line: DecidedLine): string {
  const { id, decision, rule_id: rule, layer, reason } = line;
  return [cell(id), decision, cell(rule), layer, cell(reason, 200)].join('  ');
}

export async function decidePolicy(context: Context, options: DecideOptions): Promise<Exit> {
  const { print } = context;
  const config = await loadAny(context);
  const source = await openCalls(options.calls);
  const { callerOf } = callersOf(context, config, { tokens: tokensNow(context, config) });
  const decider = await createDecider(config, await readDirectory(context, config, options), callerOf);
  const sink = createSink(process.stdout);
  const totals: Record<string, number> = { allow: 0, approval_required: 0, deny: 0 };
  for await (const line of readLines(source, MAX_LINE_BYTES)) {
    const answer = await answerTo(decider, line);
    if (answer === undefined) continue;
    totals[answer.decision] = (totals[answer.decision] ?? 0) + 1;
    if (!(await sink.line(print.json ? safeJson(answer) : readable(answer)))) break;
  }
  await sink.flush();
  print.remark(
    Object.entries(totals)
      .map(([decision, count]) => `${count} ${decision}`)
      .join(', '),
  );
  return EXIT.ok;
}

export interface ExplainOptions extends CommonOptions, PinOptions {
  arguments?: string;
  intent?: string;
  session?: string;
  principal?: string;
  tenant?: string;
}

function parseArguments(text: string | undefined): JsonObject {
  let value: JsonValue = {};
  try {
    if (text !== undefined) value = parseJson(text);
  } catch (error) {
    throw new RuntimeError('INVALID_INPUT', `--arguments: ${(error as Error).message}`);
  }
  if (isObject(value)) return value;
  throw new RuntimeError('INVALID_INPUT', '--arguments must be a JSON object.', { field: '/arguments' });
}

/** With a session of this workspace: whose it is, what it is bound to, and what it has really used. */
async function withSession(
  context: Context,
  known: { config: RuntimeConfig; callerOf: CallerOf },
  input: DecisionInput,
  call: CallLine,
): Promise<DecisionInput> {
  const { session: id } = call;
  if (id === undefined) return input;
  return withStore(context, async (store) => {
    const { config } = known;
    const asking = localCaller(config.identity);
    const row = await visibleRow(store, asking, 'session', id);
    const { session, ...facts } = sessionFacts(row, asking, known);
    const { startedAt, limits, ...bound } = session;
    const { tenant, principal } = facts.caller;
    const counted = { tenant, principal, sessionId: id, startedAt, limits };
    const now = context.clock.now();
    const count = await store.counter(repeatKey(counted, input.tool, canonicalJson(input.args)));
    const repeats = repeatsIn(count, now, config.policy.cycle.windowSeconds);
    const history = await readHistory(store, config.policy, counted, { now, repeats });
    const asked = call.intent === undefined ? {} : { intent: call.intent };
    const chain = { tenant, aggregate: 'session', id } as const;
    const past = input.past === undefined ? {} : { past: await createPasts(store, config)(chain) };
    const limited = limits === undefined ? {} : { limits };
    return {
      ...{ ...input, ...facts, ...past, ...limited, history },
      session: { ...input.session, ...bound, ...asked },
    };
  });
}

function explained(input: DecisionInput, decision: Decision, flips: Flip): JsonObject {
  const causes = flips.causes.map(causeView);
  const single = causes.find((_cause, index) => flips.causes[index] === flips.single);
  return {
    tool: input.tool,
    decision: decision.verdict,
    rule_id: decision.ruleId,
    layer: decision.layer,
    reasons: decision.reasons,
    aliases: decision.aliases,
    policy_digest: decision.policyDigest,
    pin: input.pin.state,
    intent: input.session.intent ?? null,
    lane: input.session.lane,
    principal: input.caller.principal,
    tenant: input.caller.tenant,
    ...(decision.approval === undefined ? {} : { approver: decision.approval.approver }),
    flip: single ?? null,
    causes,
  };
}

function flipText(flips: Flip): string[] {
  const { single, causes, verdict } = flips;
  if (verdict === 'allow') return ['Nothing stands against it.'];
  if (single !== undefined) {
    return [
      `Without ${single.ruleId} (${cell(single.source)}, layer ${single.layer}) it would be ${single.becomes}.`,
    ];
  }
  return [
    'No single change is enough; all of these stand against it:',
    ...causes.map((cause) => `  ${cause.ruleId} (${cell(cause.source)}): ${cell(cause.reason, 300)}`),
  ];
}

export async function explainPolicy(context: Context, tool: string, options: ExplainOptions): Promise<Exit> {
  const config = await loadAny(context);
  const { session, intent, principal, tenant } = options;
  if (session !== undefined && (principal ?? tenant) !== undefined) {
    throw new RuntimeError('USAGE', '--session says for whom: leave out --principal and --tenant.');
  }
  const { callerOf } = callersOf(context, config);
  const decider = await createDecider(config, await readDirectory(context, config, options), callerOf);
  const call: CallLine = {
    id: 'explain',
    tool,
    args: parseArguments(options.arguments),
    ...(session === undefined ? {} : { session }),
    ...(intent === undefined ? {} : { intent }),
    ...(principal === undefined ? {} : { principal }),
    ...(tenant === undefined ? {} : { tenant }),
  };
  const input = await withSession(context, { config, callerOf }, await decider.input(call), call);
  const decision = decider.gate.decide(input);
  const flips = flip(decider.gate, input);
  const told = explained(input, decision, flips);
  await context.print.result(told, () =>
    [
      facts([
        ['tool', input.tool],
        ['decision', decision.verdict],
        ['rule', `${decision.ruleId} (layer ${decision.layer})`],
        ['because', decision.reasons],
        ['policy', decision.policyDigest],
        ['for', `${input.caller.principal} in tenant ${input.caller.tenant}, lane ${input.session.lane}`],
        ['intent', input.session.intent],
      ]),
      ...flipText(flips),
    ].join('\n'),
  );
  return EXIT.ok;
}
