// Owns runtime.yaml: how runs are carried out, and the pack's models, intents and limits.
import { z } from 'zod';
import type { ModelProfile } from '../../providers/contract.ts';
import { closed, envName, plainId, present, prose, record, refused, toolNames, whole } from '../shape.ts';
import type { Intent, RuntimeSettings, TurnLimits } from '../types.ts';
import { defineFile } from './file.ts';
import type { ConfigFile } from './file.ts';
import { buildHttp, httpBlock } from './http.ts';

export interface PackPart {
  defaultModel: string;
  /** By name; `script` as written, relative to the configuration directory. */
  models: ReadonlyMap<string, ModelProfile>;
  intents: ReadonlyMap<string, Intent>;
  limits: TurnLimits;
}

/** What runtime.yaml may switch off for capability sessions. */
export interface SessionSwitches {
  trackIds: boolean;
  progress: boolean;
  reinitialize: boolean;
}

export interface RuntimePart {
  settings: RuntimeSettings;
  sessions: SessionSwitches;
  /** Absent: no model at all; turns then answer that none is configured. */
  pack?: PackPart;
}

const NO_SWITCH = 'has no effect: every call passes the same gate and this cannot be turned off';

const price = closed({
  input_per_million_usd: z.number().min(0).max(1_000_000),
  output_per_million_usd: z.number().min(0).max(1_000_000),
});

const modelId = z.string().regex(/^[\x21-\x7e]{1,200}$/, { error: 'must be a model id without blanks' });

const runtime = closed({
  max_tool_hops: whole(1, 1000).default(3).describe('Tool calls in a row without a word from the user.'),
  require_trace_id: z
    .literal(true, { error: 'false is not supported: nothing runs without a trace id' })
    .default(true)
    .describe('Nothing runs without a trace id.'),
  background: closed({
    enabled: z
      .boolean()
      .default(true)
      .describe('Whether runs may be put into the queue; what is in it, or due, is seen to either way.'),
    resumable_runs: z
      .literal(true, { error: 'false is not supported: a run whose process ended goes on where it stood' })
      .default(true)
      .describe('A run whose process ended goes on where it stood.'),
    allow_cancel: z.boolean().default(true),
    max_queued: whole(1, 200)
      .default(100)
      .describe('Runs that may wait in the queue of one tenant; one more is refused.'),
    max_running: whole(1, 64).default(4).describe('Background runs that one process carries out at a time.'),
  }).prefault({}),
  gateway: closed({
    intent: plainId.optional().describe('The intent of calls that arrive without a session.'),
  }).prefault({}),
  elicitation_wait_ms: whole(1000, 50_000)
    .default(25_000)
    .describe('How long one question to a client is waited for.'),
  max_calls_in_flight: whole(1, 10_000).default(64),
  max_line_bytes: whole(1024, 256 * 1024 * 1024).default(10_485_760),
  http: httpBlock,
  prices: z.record(modelId, price).default({}).describe('Dollars per million tokens, by model id.'),
  redaction: closed({
    fields: z
      .array(z.string().min(1).max(100))
      .max(200)
      .default(['password', 'secret', 'token', 'api_key', 'authorization'])
      .describe('Values of these fields never reach evidence.'),
    patterns: z
      .array(z.string().min(1).max(500))
      .max(100)
      .default([])
      .describe('Nor does text that fits these patterns.'),
  }).prefault({}),
  default_model: refused('default_model belongs to agent_runtime.default_model'),
  enable_background_updates: refused(
    'enable_background_updates is not supported yet: use background.enabled',
  ),
  policy: refused(`policy.precheck_required ${NO_SWITCH}; run_precheck in policy.yaml says what is required`),
  telemetry: refused('telemetry.emit_structured_events has no effect: every record is structured'),
  execution: refused(`execution.gateway_required ${NO_SWITCH}`),
  // The same switches as in runtime-controls.yaml; what either file switches off is off.
  capability_sessions: closed({
    track_session_ids: z.boolean().default(true),
    emit_progress_events: z.boolean().default(true),
    support_reinit_on_expiry: z.boolean().default(true),
  }).prefault({}),
});

const bounds = {
  deadline_ms: whole(100, 3_600_000).default(60_000).describe('Whole call, retries included.'),
  max_response_bytes: whole(1024, 256 * 1024 * 1024).default(4_194_304),
  max_output_tokens: whole(1, 1_000_000).default(4096),
  max_retries: whole(0, 10).default(2),
};

function isBaseUrl(text: string): boolean {
  try {
    const url = new URL(text);
    const isWeb = url.protocol === 'https:' || url.protocol === 'http:';
    return isWeb && url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  } catch {
    return false;
  }
}

const baseUrl = z
  .string()
  .max(2000)
  .refine(isBaseUrl, { error: 'must be an http or https URL without user, query or fragment' });

const remote = {
  model: modelId,
  api_key_env: envName.describe('The variable that holds the key; never the key.'),
  base_url: baseUrl.optional(),
  base_url_env: envName.optional().describe('The variable that holds the base URL.'),
  ...bounds,
  script: refused('script is for provider scripted'),
  api_key: refused('api_key must not be written here: name the variable that holds it in api_key_env'),
};

const model = z.discriminatedUnion('provider', [
  closed({ provider: z.literal('openai_compatible'), ...remote }),
  closed({ provider: z.literal('messages_compatible'), ...remote }),
  closed({
    provider: z.literal('scripted'),
    model: modelId,
    script: z
      .string()
      .max(500)
      .regex(/^(?!\/|[A-Za-z]:)(?!.*\\)(?!(?:.*\/)?\.\.?(?:\/|$)).+\.ya?ml$/, {
        error: 'must be a .yaml path inside the configuration directory',
      })
      .describe('Relative to the configuration directory.'),
    ...bounds,
    api_key_env: refused('api_key_env has no effect on a scripted model'),
    base_url: refused('base_url has no effect on a scripted model'),
    base_url_env: refused('base_url_env has no effect on a scripted model'),
  }),
]);

const intent = closed({
  description: prose,
  allow_tools: toolNames,
  approval_required_tools: toolNames.default([]).describe('Allowed too, but each call asks.'),
});

const pack = closed({
  default_model: plainId.describe('A name of models.'),
  models: z.record(plainId, model),
  intents: z.record(plainId, intent).default({}),
  limits: closed({
    max_turns_per_session: whole(1, 100_000).default(12),
    max_tool_calls_per_session: whole(1, 100_000).default(6),
    max_input_bytes: whole(1, 64 * 1024 * 1024).default(65_536),
  }).prefault({}),
});

const schema = closed({ runtime: runtime.prefault({}), agent_runtime: pack.optional() });

function buildModel(name: string, raw: z.output<typeof model>): ModelProfile {
  const limits = {
    deadlineMs: raw.deadline_ms,
    maxResponseBytes: raw.max_response_bytes,
    maxOutputTokens: raw.max_output_tokens,
    maxRetries: raw.max_retries,
  };
  if (raw.provider === 'scripted') {
    return { name, provider: raw.provider, model: raw.model, script: raw.script, ...limits };
  }
  return present({
    name,
    provider: raw.provider,
    model: raw.model,
    apiKeyEnv: raw.api_key_env,
    baseUrl: raw.base_url,
    baseUrlEnv: raw.base_url_env,
    ...limits,
  });
}

function buildIntent(id: string, raw: z.output<typeof intent>): Intent {
  return {
    id,
    description: raw.description,
    allowTools: raw.allow_tools,
    approvalRequiredTools: raw.approval_required_tools,
  };
}

function buildSettings(raw: z.output<typeof runtime>): RuntimeSettings {
  const prices = Object.entries(raw.prices).map(([id, one]) => {
    const both = {
      inputPerMillionUsd: one.input_per_million_usd,
      outputPerMillionUsd: one.output_per_million_usd,
    };
    return [id, both] as const;
  });
  return present({
    maxToolHops: raw.max_tool_hops,
    background: {
      enabled: raw.background.enabled,
      allowCancel: raw.background.allow_cancel,
      maxQueued: raw.background.max_queued,
      maxRunning: raw.background.max_running,
    },
    gatewayIntent: raw.gateway.intent,
    elicitationWaitMs: raw.elicitation_wait_ms,
    maxCallsInFlight: raw.max_calls_in_flight,
    maxLineBytes: raw.max_line_bytes,
    http: buildHttp(raw.http),
    prices: record(prices),
    redaction: raw.redaction,
  });
}

function buildPack(raw: z.output<typeof pack>): PackPart {
  return {
    defaultModel: raw.default_model,
    models: new Map(Object.entries(raw.models).map(([name, one]) => [name, buildModel(name, one)])),
    intents: new Map(Object.entries(raw.intents).map(([id, one]) => [id, buildIntent(id, one)])),
    limits: {
      maxTurnsPerSession: raw.limits.max_turns_per_session,
      maxToolCallsPerSession: raw.limits.max_tool_calls_per_session,
      maxInputBytes: raw.limits.max_input_bytes,
    },
  };
}

export const runtimeFile: ConfigFile<RuntimePart> = defineFile('runtime.yaml', false, schema, (raw) =>
  present({
    settings: buildSettings(raw.runtime),
    sessions: {
      trackIds: raw.runtime.capability_sessions.track_session_ids,
      progress: raw.runtime.capability_sessions.emit_progress_events,
      reinitialize: raw.runtime.capability_sessions.support_reinit_on_expiry,
    },
    pack: raw.agent_runtime === undefined ? undefined : buildPack(raw.agent_runtime),
  }),
);
