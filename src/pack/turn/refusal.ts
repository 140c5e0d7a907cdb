// Owns the record of a turn that was refused before a provider was asked: one commit, on the session's chain where the
// caller has one, else on the caller's own.
import type { RuntimeError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import { NO_DELEGATION } from '../../kernel/identity.ts';
import type { Caller, RunContext } from '../../kernel/identity.ts';
import { contextFacts } from '../../kernel/evidence/records.ts';
import type { ChainKey, Commit } from '../../store/contract.ts';
import type { PackDeps } from '../deps.ts';
import { TASK_TYPE } from '../records.ts';
import type { HeldSession } from '../sessions/sessions.ts';
import type { TurnFailure } from './contract.ts';
import { plain } from './outcome-commit.ts';

/** Stands in for a name that nobody gave; no identity can have it, because of the brackets. */
const NOBODY = '[none]';

function named(text: string): string {
  return text.trim() === '' ? NOBODY : text;
}

function refusedContext(deps: PackDeps, caller: Caller, held: HeldSession | undefined): RunContext {
  const state = held?.state;
  return {
    caller,
    agentId: deps.config.agent.id,
    sessionId: state?.facts.id ?? '',
    runId: state?.run?.runId ?? deps.ids.next('run'),
    traceId: state?.run?.traceId ?? deps.ids.next('trace'),
    taskType: TASK_TYPE,
    delegation: state?.facts.delegation ?? NO_DELEGATION,
  };
}

function refusalCommit(
  deps: PackDeps,
  context: RunContext,
  held: HeldSession | undefined,
  error: RuntimeError,
): Commit {
  const at = deps.clock.now();
  const tenant = named(context.caller.tenant);
  const principal = named(context.caller.principal);
  const own: ChainKey = { tenant, aggregate: 'principal', id: principal };
  const view = error.view();
  const shown = deps.kernel.redact({ message: view.message, details: plain(view.details) });
  const status = view.code === 'POLICY_DENIED' || view.code === 'SCOPE_DENIED' ? 'denied' : 'failed';
  const facts: JsonObject = contextFacts(context);
  const evidence = { ...facts, status, code: view.code, retryable: view.retryable, provider_call_count: 0 };
  const { runId } = context;
  const body = { ...facts, code: view.code, last_turn_status: 'refused' };
  // A refusal inside a run that goes on leaves that run's row alone.
  const isOwnRun = held?.state.run === undefined;
  return {
    appends: [
      {
        chain: held?.chain ?? own,
        when: { epoch: 0 },
        type: 'turn_refused',
        at,
        evidence: { ...evidence, ...shown.value },
      },
    ],
    rows: isOwnRun
      ? [
          {
            row: {
              kind: 'run',
              tenant,
              id: runId,
              principal,
              status,
              updatedAt: at,
              body,
              ...(held === undefined ? {} : { ref: held.state.facts.id }),
            },
          },
        ]
      : [],
  };
}

/** Records the refusal and gives it back as the turn's answer. */
export async function refuseTurn(
  deps: PackDeps,
  caller: Caller,
  held: HeldSession | undefined,
  error: RuntimeError,
): Promise<TurnFailure> {
  const context = refusedContext(deps, caller, held);
  await deps.store.commit(refusalCommit(deps, context, held, error));
  const { details, ...view } = error.view();
  return {
    error: { ...view, details: { provider_call_count: 0, ...details } },
    ...(held === undefined ? {} : { session_id: held.state.facts.id }),
    run_id: context.runId,
    trace_id: context.traceId,
  };
}
