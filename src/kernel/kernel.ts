// Owns the one door: `kernel.call` is the only function through which a tool can run. It reads aloud as
// parse → decide → approval → start receipt → execute → outcome receipt.
//
// K1  Nothing runs unless the start receipt has been committed (no record, no effect).
// K2  An approval is spent in the same commit as the start receipt, so before the effect and at most once.
// K3  A call id runs at most once: its request row is created or moved by compare-and-set in the start commit.
// K4  A start without an outcome that nobody runs any more is `unknown`, for ever; it is never run again.
// K5  Deciding is repeated when anything it relied on changed before the commit.
// K6  An exception on the way to a decision is a recorded deny.
import { RuntimeError } from '../base/errors.ts';
import { cutName } from '../base/text.ts';
import type { Commit, CounterMove, Guard } from '../store/contract.ts';
import { reservedBy, write } from './admitted.ts';
import type { Admitted, Basis, Started } from './admitted.ts';
import type { Held } from './approvals/approvals.ts';
import { controlsKey, isSameWindow, moves, repeatMove, repeatsIn } from './budgets/counters.ts';
import type { CallRequest, CallResult, CallTool } from './call.ts';
import type { DoorDeps, KernelDeps, LostConnection } from './deps.ts';
import { knownCall, NEW } from './known-call.ts';
import { repeatedByOthers, unreachable, usedUp } from './late-denial.ts';
import { answerFor, openApproval } from './open-approval.ts';
import { again, answer, nothingRan } from './round.ts';
import type { Round } from './round.ts';
import { attempt } from './execution/attempts.ts';
import type { CallIo, Execution } from './execution/executor.ts';
import { reservationRow } from './execution/idempotency.ts';
import { checkReservation } from './reservation.ts';
import { denial, start } from './evidence/receipts.ts';
import type { Receipt, Start } from './evidence/receipts.ts';
import { commitOutcome } from './outcome.ts';
import { asApproved } from './policy/configured-rules.ts';
import type { Decision } from './policy/decision.ts';
import { parseArgs, prepareCall } from './prepare.ts';
import type { PreparedCall } from './prepare.ts';
import { isFromBefore, withdrawApproval, withdrawLost } from './withdrawn.ts';
import { withoutSecrets } from './without-secrets.ts';

// Each round another writer won a race on this very call, approval or key; more than a few means something is wrong.
const MAX_ROUNDS = 8;

/** The kernel's door over its ports. Holds nothing but the calls of this process. */
export function createCall(deps: DoorDeps): CallTool {
  return async (given, io) => {
    const request = named(deps, given);
    const running = deps.calls.running(request);
    if (running !== undefined) {
      const joined = await running.result;
      if (running.series !== io.series) await running.series?.settled(); // it may have been answered before it was on disk
      return joined;
    }
    return deps.calls.run(request, runRounds(deps, request, io), io.series);
  };
}

/** What no capability is called somebody made up: in records it stands like any text from outside. */
function named({ config, redactor }: DoorDeps, request: CallRequest): CallRequest {
  if (Object.hasOwn(config.capabilities, request.tool)) return request;
  return { ...request, tool: cutName(redactor.text(request.tool)) };
}

async function runRounds(deps: DoorDeps, request: CallRequest, io: CallIo): Promise<CallResult> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    // K3 holds for a new id too: one that was used before is refused by its start commit, and then looked up.
    const isKnownNew = round === 0 && request.isNew === true;
    const outcome = await oneRound(deps, request, io, isKnownNew);
    if (outcome.kind === 'answer') return outcome.result;
  }
  throw new RuntimeError('CONFLICT', undefined, { tool_call_id: request.toolCallId });
}

async function oneRound(
  deps: DoorDeps,
  request: CallRequest,
  io: CallIo,
  isKnownNew: boolean,
): Promise<Round> {
  const known = isKnownNew ? NEW : await knownCall(deps, request, io.series);
  if (known.kind === 'answer') return answer(known.result);
  const basis: Basis = { rowVersion: known.rowVersion, after: io.series };
  const args = parseArgs(request.args);
  const prepared = await prepareCall(deps, request, args);
  if (!prepared.ok) return refuse(deps, { request, args }, prepared.decision, basis);
  const { call } = prepared;
  if (call.grantedDigest !== undefined) await withdrawApproval(deps, call, call.grantedDigest());
  const { decision, lost } = await decide(deps, call);
  if (decision.verdict === 'deny') return refuse(deps, call, decision, basis);

  const reserved = await checkReservation(deps, call, decision, basis);
  if (reserved.kind !== 'free') return reserved;

  const word = await wordFor(deps, { call, decision, lost, waitsFor: known.waitsFor, basis });
  if (word.kind !== 'word') return word;
  const { held } = word;
  const executor = deps.executors.find((one) =>
    one.transports.includes(call.capability?.transport ?? 'host'),
  );
  if (executor === undefined || call.capability === undefined) {
    return refuse(deps, call, unreachable(deps.config, decision), basis);
  }
  const allowed = held === undefined ? decision : asApproved(decision, call.capability);
  const admitted: Admitted = { call, decision: allowed, executor, held, lost: lost?.id, reserved, ...basis };
  return runAdmitted(deps, admitted, io);
}

interface Decided {
  decision: Decision;
  /** The connection that must not be built anew without a word for it. */
  lost: LostConnection | undefined;
}

async function decide(deps: KernelDeps, call: PreparedCall): Promise<Decided> {
  const decision = withoutSecrets(deps.redactor, deps.gate.decide(call.input));
  const server = call.capability?.server;
  if (decision.verdict === 'deny' || server === undefined) return { decision, lost: undefined };
  const lost = await deps.lostConnection?.(call.request.context, server);
  return { decision: lost === undefined ? decision : asksToReinitialize(call, decision), lost };
}

interface Asking extends Decided {
  call: PreparedCall;
  waitsFor: string | undefined;
  basis: Basis;
}

/** The word of a person where the decision asks for one, or the answer to a call that has none. */
async function wordFor(
  deps: KernelDeps,
  { call, decision, lost, waitsFor, basis }: Asking,
): Promise<{ kind: 'word'; held: Held | undefined } | Round> {
  if (decision.verdict !== 'approval_required') return { kind: 'word', held: undefined };
  const standing = await answerFor(deps, call, waitsFor);
  if (standing !== undefined && isFromBefore(lost, standing)) {
    await withdrawLost(deps, standing);
    return again();
  }
  if (standing?.approval.state === 'approved') return { kind: 'word', held: standing };
  return openApproval(deps, { call, decision, standing, ...basis, waitsFor });
}

/** What policy allows is asked for too, and what it asks for says this beside its own reasons. */
function asksToReinitialize({ capability }: PreparedCall, decision: Decision): Decision {
  const server = capability?.server ?? '';
  const why = `the connection to ${server} was lost, and a person has to agree before it is built anew`;
  return { ...decision, verdict: 'approval_required', reasons: [why, ...decision.reasons] };
}

/** A person's word, and the lost connection that it was asked for with. */
function approvedIn({ held, lost }: Admitted): Pick<Execution, 'approved'> {
  if (held === undefined) return {};
  return { approved: lost === undefined ? {} : { reinitializes: lost } };
}

async function refuse(
  deps: KernelDeps,
  call: Pick<PreparedCall, 'request' | 'args'>,
  decision: Decision,
  { rowVersion: version, after }: Basis,
): Promise<Round> {
  const of: Receipt = { request: call.request, at: deps.clock.now() };
  const args = deps.redactor.object(call.args).value;
  const denied = denial(of, decision, args, expectedVersion(version));
  const done = await deps.store.commit({ ...denied, after });
  if (!done.ok) return again();
  return answer({ ...nothingRan(decision, call.request.toolCallId), status: 'denied' });
}

async function runAdmitted(deps: DoorDeps, admitted: Admitted, io: CallIo): Promise<Round> {
  const started = await commitStart(deps, admitted);
  if (started.kind !== 'started') return started;
  const { call, executor } = admitted;
  const { capability } = call;
  if (capability === undefined) return again();
  const pin = call.input.pin;
  const tried = await attempt(
    executor,
    {
      capability,
      args: call.args,
      context: call.request.context,
      callId: call.request.toolCallId,
      outputBytes: capability.outputBytes,
      ...(admitted.reserved.key === undefined ? {} : { idempotencyKey: admitted.reserved.key.id }),
      ...(pin.state === 'pinned' ? { pinDigest: pin.digest } : {}),
      ...approvedIn(admitted),
      ...(admitted.held !== undefined || call.request.resumed === true ? { resumes: true } : {}),
    },
    io,
    { retry: deps.config.policy.retry, clock: deps.clock },
  );
  return answer(await commitOutcome(deps, admitted, started.start, { tried, series: io.series }));
}

function admittedMoves(deps: KernelDeps, call: PreparedCall, now: number): CounterMove[] {
  const adds = { calls: 1, effects: call.capability?.mode === 'write' ? 1 : 0 };
  return moves(deps.config.policy, call.counted, now, adds);
}

interface StartCommit {
  commit: Commit;
  receiptId: string;
}

/** Where rules look back: every start is counted, and one that was decided by the past holds only if none came between. */
function orderOf({ ordered }: PreparedCall): { moves: CounterMove[]; guards: Guard[] } {
  if (ordered === undefined) return { moves: [], guards: [] };
  const guards = ordered.is === undefined ? [] : [{ key: ordered.key, is: ordered.is }];
  return { moves: [{ key: ordered.key, add: 1 }], guards };
}

/** K1-K3 in one transaction: the start receipt, the spent approval, the reserved key, the counters. */
function startCommit(deps: KernelDeps, admitted: Admitted, at: number): StartCommit {
  const { call, held, reserved } = admitted;
  const of: Receipt = { request: call.request, at };
  const facts = startFacts(deps, admitted);
  const begun = start(of, call, facts, expectedVersion(admitted.rowVersion));
  const spent = held === undefined ? {} : deps.approvals.spending(held, call.request.toolCallId, at);
  const reservation =
    reserved.key === undefined
      ? []
      : [
          reservationRow(
            reserved.key,
            'in_progress',
            reservedBy(deps, call, at, 0),
            expectedVersion(reserved.version),
          ),
        ];
  const repeat = repeatMove(call.repeated, deps.config.policy.cycle, at);
  const order = orderOf(call);
  return {
    receiptId: facts.receiptId,
    commit: {
      appends: [...(begun.appends ?? []), ...(spent.appends ?? [])],
      rows: [...(begun.rows ?? []), ...(spent.rows ?? []), ...reservation],
      counters: [...admittedMoves(deps, call, at), repeat.move, ...order.moves],
      guards: [
        { key: controlsKey(call.counted.tenant), is: call.controls },
        ...repeat.guards,
        ...order.guards,
      ],
      after: admitted.after,
    },
  };
}

function startFacts(deps: KernelDeps, admitted: Admitted): Start {
  const { call, decision, held, reserved } = admitted;
  const shown = deps.redactor.object(call.args);
  return {
    receiptId: deps.ids.next('rcp'),
    instance: deps.instance,
    decision,
    redactedArgs: shown.value,
    redactedFields: shown.fields,
    executionMode: executionMode(call),
    toolPrincipal: call.capability?.toolPrincipal ?? '',
    runtimePrincipal: deps.config.agent.runtimePrincipal,
    ...(held === undefined ? {} : { approvalId: held.approval.subject.approvalId }),
    ...(reserved.key === undefined ? {} : { idempotencyKey: reserved.key.id }),
  };
}

function expectedVersion(version: number | undefined): 'absent' | { version: number } {
  return version === undefined ? 'absent' : { version };
}

async function commitStart(
  deps: KernelDeps,
  admitted: Admitted,
): Promise<{ kind: 'started'; start: Started } | Round> {
  const { held } = admitted;
  // Its time may have passed since it was found: then it is asked for anew.
  const at = deps.clock.now();
  if (held?.approval.state === 'approved' && !(at < held.approval.useBy)) return again();
  const { commit, receiptId } = startCommit(deps, admitted, at);
  const done = await write(deps, commit);
  if (done.ok) {
    const seq = done.heads[0]?.seq ?? 0;
    return { kind: 'started', start: { at, monotonic: deps.clock.monotonic(), receiptId, seq } };
  }
  if (done.refused !== 'counter') return again(); // K5
  const { decision, call } = admitted;
  if (done.key !== call.repeated.key)
    return refuse(deps, call, usedUp(deps.config, decision, done), admitted);
  if (!isSameWindow(done.value, call.repeated.value)) return again();
  const repeats = repeatsIn(done.value, at, deps.config.policy.cycle.windowSeconds);
  return refuse(deps, call, repeatedByOthers(deps.config, decision, repeats), admitted);
}

function executionMode(call: PreparedCall): 'in-process' | 'subprocess' | 'remote' | 'host' {
  switch (call.capability?.transport) {
    case 'mcp_stdio':
      return 'subprocess';
    case 'mcp_http':
      return 'remote';
    case 'in_process':
      return 'in-process';
    case 'host':
    case undefined:
      return 'host';
  }
}
