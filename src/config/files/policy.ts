// Owns policy.yaml: its words and defaults. Names of tools are as written here; linking resolves them.
import { z } from 'zod';
import {
  approver,
  approverOf,
  closed,
  host,
  label,
  plainId,
  present,
  record,
  refused,
  toolName,
  toolNames,
  whole,
} from '../shape.ts';
import type {
  Budget,
  CallFailure,
  Consequence,
  KernelRule,
  Policy,
  PolicyLayer,
  PolicyRule,
  Verdict,
} from '../types.ts';
import { defineFile } from './file.ts';
import type { ConfigFile } from './file.ts';
import { scope } from './scope.ts';

export interface CapabilityDecision {
  decision: Verdict;
  approver?: string;
  onDeny: Consequence;
}

/** A policy with tools as written, before the sandbox root and the digest are known. */
export interface PolicyPart extends Omit<Policy, 'digest' | 'sandbox'> {
  pathTemplate: string;
  /** policy.capabilities, by tool as written. */
  decisions: ReadonlyMap<string, CapabilityDecision>;
}

const verdict = z.enum(['allow', 'deny', 'approval_required']);
const tightening = z.enum(['deny', 'approval_required'], {
  error: (issue) =>
    issue.input === 'allow' ? 'allow has no effect in a lane or task: lower layers only tighten' : undefined,
});
const consequence = z.enum(['tell_model', 'end_run']);
const onDeny = consequence
  .default('tell_model')
  .describe('tell_model: the model reads the refusal and goes on. end_run: the run is over.');

const when = z
  .string()
  .max(2000)
  .refine((text) => text.trim() !== '', {
    error: 'must not be empty; leave it out if the rule always matches',
  })
  .refine((text) => !/\bmatches\s*\(/.test(text), {
    error:
      'must not call matches(): regular expressions can take unbounded time; use ==, startsWith, endsWith or contains',
  })
  .describe('CEL over args, identity, session, history and tool. Absent: always.');

function ruleOf<D extends z.ZodType<Verdict>>(
  decision: D,
): z.ZodObject<
  {
    id: z.ZodString;
    tools: z.ZodUnion<readonly [z.ZodLiteral<'*'>, z.ZodArray<z.ZodString>]>;
    when: z.ZodOptional<typeof when>;
    decision: D;
    reason: z.ZodOptional<z.ZodString>;
    on_deny: typeof onDeny;
    approver: z.ZodOptional<z.ZodString>;
    rememberable: z.ZodOptional<z.ZodNever>;
    trigger: z.ZodOptional<z.ZodNever>;
  },
  z.core.$strict
> {
  return closed({
    id: plainId.describe('Named in every decision this rule takes part in.'),
    tools: z
      .union([z.literal('*'), z.array(toolName).min(1).max(2000)], {
        error: (issue) =>
          issue.input === undefined ? undefined : "must be '*' or a list of at least one tool name",
      })
      .describe("Tools this rule looks at; '*' for all."),
    when: when.optional(),
    decision,
    reason: label.optional().describe('What people and the model read. Default: names the rule.'),
    on_deny: onDeny,
    approver: approver.optional().describe('principal, other, or a role; with approval_required.'),
    rememberable: refused(
      'rememberable is not supported yet: an answer is for the call that it was asked for',
    ),
    trigger: refused('trigger is not supported yet: every rule is judged at a tool call'),
  });
}

const lower = {
  scopes: z.array(scope).max(200).optional().describe('Absent: does not narrow. Empty: nothing.'),
  rules: z.array(ruleOf(tightening)).max(1000).default([]),
  default_decision: refused(
    'default_decision may stand in the workspace layer only: lower layers only tighten',
  ),
  allow_loosening: refused('allow_loosening is not supported: lower layers only tighten'),
};

const limits = {
  max_iterations: whole(1, 1_000_000).optional().describe('Model turns.'),
  max_tokens: whole(1, 1_000_000_000).optional().describe('Tokens in and out.'),
  max_calls: whole(1, 1_000_000).optional().describe('Tool calls that ran.'),
  max_cost_usd: z.number().positive().max(1_000_000).optional().describe('Needs runtime.prices.'),
  max_effects: whole(0, 1_000_000).optional().describe('Writing calls that were not refused.'),
  max_wall_seconds: whole(1, 31_536_000).optional().describe('Time since the session began.'),
};
const windowed = closed({
  ...limits,
  max_wall_seconds: refused(
    'has no effect on a window: the time counts from the beginning of a session; it may stand in loop_budget itself',
  ),
  window_seconds: whole(1, 31_536_000).default(3600),
});

const told = consequence.optional();
const onKernelDeny: Record<KernelRule, typeof told> = {
  run_precheck: told,
  tool_registry: told,
  inventory: told,
  tool_pin: told,
  scope_boundary: told,
  url_allowlist: told,
  sandbox_path: told,
  arg_schema: told,
  intent: told,
  cycle_detection: told,
  loop_budget: told,
  kernel_error: told,
};
const onFailure: Record<CallFailure, typeof told> = { retry_exhaustion: told, catalogued_unhandled: told };

const attestation = z.enum(['client', 'same_user', 'credential']);

const policy = closed({
  version: label.describe('Yours; `config check` and `config print` show it beside the digest.'),
  tool_registry: closed({
    allowed: toolNames.describe('A tool that is not here is denied.'),
    denied: toolNames.describe('Denied before anything else is asked.'),
  }),
  url_allowlist: z
    .array(host)
    .max(2000)
    .describe("Hosts or origins that URL arguments may name; `notes:` for a server's own names of things."),
  sandbox: closed({
    path_template: z
      .string()
      .min(1)
      .max(1000)
      .describe('{workspace}, ${NAME:-fallback}; must end up absolute.'),
  }),
  arg_schema_enforcement: z.enum(['strict', 'off']),
  loop_budget: closed({
    ...limits,
    max_iterations: limits.max_iterations.unwrap().default(10),
    max_tokens: limits.max_tokens.unwrap().default(50_000),
    per_principal: windowed
      .optional()
      .describe('Over all sessions of a principal, in windows of fixed length.'),
    per_tenant: windowed.optional().describe('Over all sessions of a tenant, in windows of fixed length.'),
  }),
  cycle_detection: closed({
    max_repeats: whole(1, 1000).default(3).describe('The call after so many equal ones is denied.'),
    window_seconds: whole(1, 86_400).default(600),
  }),
  retry: closed({
    max_retries: whole(0, 10).default(3),
    backoff_base_ms: whole(1, 60_000).default(100),
    backoff_cap_ms: whole(1, 600_000).default(2000),
  }),
  on_deny: closed(onKernelDeny)
    .optional()
    .describe('What a denial by a rule of the kernel does to its run; tell_model where it is not named.'),
  on_failure: closed(onFailure)
    .optional()
    .describe('What a call that failed for good does to its run; tell_model where it is not named.'),
  run_precheck: closed({
    require_tenant: z.boolean().default(true),
    deny_if_principal_missing: z.boolean().default(true),
  }).prefault({}),
  memory_write: refused('memory_write is not supported yet: nothing keeps a memory that it could hold back'),
  execution: closed({
    allow_network_access: z
      .array(z.enum(['restricted', 'brokered', 'full']))
      .default([])
      .describe('Classes of network_access that may run; none always may.'),
  }).prefault({}),
  attestation: closed({
    low: attestation.default('client'),
    medium: attestation.default('client'),
    high: attestation.default('same_user'),
    critical: attestation.default('credential'),
  })
    .prefault({})
    .describe('The least proof an answer to an approval must bring, by risk.'),
  capabilities: z
    .record(toolName, closed({ decision: verdict, approver: approver.optional(), on_deny: onDeny }))
    .default({})
    .describe('One decision per tool; each becomes the workspace rule capability.<name>.'),
  workspace: closed({
    default_decision: verdict.default('deny').describe('What a call gets that no rule matches.'),
    scopes: lower.scopes,
    rules: z.array(ruleOf(verdict)).max(1000).default([]),
    allow_loosening: lower.allow_loosening,
  }).prefault({}),
  lanes: z.record(plainId, closed(lower)).default({}).describe('Named lines of work.'),
  tasks: closed({ 'agent-session': closed(lower).optional() })
    .prefault({})
    .describe('agent-session, the only task of this version, is what a session executes.'),
});

type RawPolicy = z.output<typeof policy>;
type RawRule = RawPolicy['workspace']['rules'][number];

function buildRule(raw: RawRule): PolicyRule {
  return present({
    id: raw.id,
    tools: raw.tools,
    when: raw.when,
    decision: raw.decision,
    reason: raw.reason ?? `Rule ${raw.id} says ${raw.decision}.`,
    onDeny: raw.on_deny,
    approver: raw.approver === undefined ? undefined : approverOf(raw.approver),
    rememberable: false,
  });
}

function buildLayer(
  level: PolicyLayer['level'],
  name: string,
  raw: Pick<RawPolicy['workspace'], 'scopes' | 'rules'> | undefined,
): PolicyLayer {
  return present({ level, name, scopes: raw?.scopes, rules: (raw?.rules ?? []).map(buildRule) });
}

function buildBudget(raw: z.output<typeof windowed> | RawPolicy['loop_budget']): Budget {
  return present({
    maxIterations: raw.max_iterations,
    maxTokens: raw.max_tokens,
    maxCalls: raw.max_calls,
    maxCostUsd: raw.max_cost_usd,
    maxEffects: raw.max_effects,
    maxWallSeconds: raw.max_wall_seconds,
  });
}

function buildWindow(
  raw: z.output<typeof windowed> | undefined,
): (Budget & { windowSeconds: number }) | undefined {
  return raw === undefined ? undefined : { ...buildBudget(raw), windowSeconds: raw.window_seconds };
}

function buildLayers(
  level: 'lane' | 'task',
  always: string,
  raw: Partial<RawPolicy['lanes']>,
): Record<string, PolicyLayer> {
  const layers = Object.entries(raw).map(([name, one]) => [name, buildLayer(level, name, one)] as const);
  return record([[always, buildLayer(level, always, undefined)], ...layers]);
}

function consequences({ on_deny, on_failure }: RawPolicy): Pick<Policy, 'onDeny' | 'onFailure'> {
  return present({
    onDeny: on_deny === undefined ? undefined : present(on_deny),
    onFailure: on_failure === undefined ? undefined : present(on_failure),
  });
}

function build(raw: RawPolicy): PolicyPart {
  const decisions = Object.entries(raw.capabilities).map(([name, one]) => {
    const asked = one.approver === undefined ? undefined : approverOf(one.approver);
    return [name, present({ decision: one.decision, approver: asked, onDeny: one.on_deny })] as const;
  });
  return {
    version: raw.version,
    registry: raw.tool_registry,
    urlAllowlist: raw.url_allowlist,
    pathTemplate: raw.sandbox.path_template,
    argSchemaEnforcement: raw.arg_schema_enforcement,
    loopBudget: {
      ...buildBudget(raw.loop_budget),
      ...present({
        perPrincipal: buildWindow(raw.loop_budget.per_principal),
        perTenant: buildWindow(raw.loop_budget.per_tenant),
      }),
    },
    cycle: {
      maxRepeats: raw.cycle_detection.max_repeats,
      windowSeconds: raw.cycle_detection.window_seconds,
    },
    retry: {
      maxRetries: raw.retry.max_retries,
      backoffBaseMs: raw.retry.backoff_base_ms,
      backoffCapMs: raw.retry.backoff_cap_ms,
    },
    ...consequences(raw),
    precheck: {
      requireTenant: raw.run_precheck.require_tenant,
      denyIfPrincipalMissing: raw.run_precheck.deny_if_principal_missing,
    },
    execution: { allowNetworkAccess: raw.execution.allow_network_access },
    attestation: raw.attestation,
    defaultDecision: raw.workspace.default_decision,
    workspace: buildLayer('workspace', 'workspace', raw.workspace),
    lanes: buildLayers('lane', 'default', raw.lanes),
    tasks: buildLayers('task', 'agent-session', raw.tasks),
    decisions: new Map(decisions),
  };
}

export const policyFile: ConfigFile<PolicyPart> = defineFile('policy.yaml', true, closed({ policy }), (raw) =>
  build(raw.policy),
);
