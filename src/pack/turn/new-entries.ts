// Owns what a turn adds to the conversation before the model is asked: what became of the calls it had requested, and
// the messages that are new.
//
// E1  What became of a call is told from the kernel's record; a host's message about a call that the kernel ran is
//     replaced by it, whatever it says.
// E2  Every call of the last answer is told exactly once before the next one: its outcome, that it waits, or that
//     nobody ran it. A call told as not run can no longer run: its request row is closed in the same commit.
// E3  A message of a host is never our own voice: roles beside user and tool are context, and only at the start.
import { RuntimeError } from '../../base/errors.ts';
import type { Caller } from '../../kernel/identity.ts';
import { APPROVAL_TOOL, verifyApprovalResolution } from '../approval-message.ts';
import type { PackDeps } from '../deps.ts';
import { fixedReport } from '../sessions/call-report.ts';
import type { CallReport } from '../sessions/call-report.ts';
import type { Entry } from '../sessions/conversation.ts';
import type { HeldSession, Sessions } from '../sessions/sessions.ts';
import { owed } from '../sessions/session.ts';
import type { CallState, RequestedCall } from '../sessions/session.ts';
import { bounded, toolContent } from '../untrusted.ts';
import type { TurnMessage } from './contract.ts';

type CallEntry = Extract<Entry, { from: 'call' }>;

export interface Told {
  callId: string;
  as: 'interim' | 'outcome';
  source: CallEntry['source'];
  /** The call is over without the kernel: the host says it ran it, or nobody did. */
  closed?: { by: 'host' | 'nobody'; call: RequestedCall };
}

export interface NewEntries {
  entries: Entry[];
  told: Told[];
  hasUserMessage: boolean;
  /** A result that a limit must not swallow. */
  tellsResult: boolean;
}

const NOT_EXECUTED = fixedReport('CANCELED', 'not_executed: nobody ran this call.');

function refuse(index: number, why: string, key = 'role'): never {
  const field = `/messages/${index}/${key}`;
  throw new RuntimeError('INVALID_INPUT', `${field}: ${why}`, { field });
}

function hostReport(message: TurnMessage): { content: string; isError: boolean } {
  return { content: toolContent({ success: true, data: bounded(message.content).text }), isError: false };
}

/** A session that was folded by an older program does not know the code. */
function refusedReport({ code = 'TOOL_NOT_FOUND' }: Extract<CallState, { at: 'refused' }>): CallReport {
  return fixedReport(code, 'This call was refused when it was requested; it has not run.');
}

async function tellCall(
  sessions: Pick<Sessions, 'report'>,
  held: HeldSession,
  call: RequestedCall,
  reported: TurnMessage | undefined,
): Promise<{ entry: CallEntry; told: Told } | undefined> {
  const due = owed(call);
  if (due === 'nothing') return undefined;
  const base = { from: 'call' as const, callId: call.id, tool: call.tool, late: call.told !== 'nothing' };
  const { state } = call;
  switch (state.at) {
    case 'requested': {
      const by = reported === undefined ? 'nobody' : 'host';
      const source = reported === undefined ? 'pack' : 'host';
      const report = reported === undefined ? NOT_EXECUTED : hostReport(reported);
      return {
        entry: { source, ...base, ...report },
        told: { callId: call.id, as: 'outcome', source, closed: { by, call } },
      };
    }
    case 'refused': {
      return {
        entry: { source: 'pack', ...base, ...refusedReport(state) },
        told: { callId: call.id, as: 'outcome', source: 'pack' },
      };
    }
    case 'closed':
      return undefined;
    case 'running':
    case 'waiting':
    case 'denied':
    case 'finished':
    case 'settled':
    case 'replayed': {
      const report = await sessions.report(held, state.seq);
      return {
        entry: { source: 'kernel', record: state.seq, ...base, ...report },
        told: { callId: call.id, as: due, source: 'kernel' },
      };
    }
  }
}

async function unmatchedTool(
  deps: PackDeps,
  caller: Caller,
  sessionId: string | undefined,
  message: TurnMessage,
): Promise<Entry> {
  const { content, tool_name: toolName } = message;
  const named = toolName === undefined ? {} : { toolName };
  const plain = {
    from: 'host',
    role: 'tool',
    content: bounded(content).text,
    ...named,
    verified: false,
  } as const;
  if (toolName !== APPROVAL_TOOL || sessionId === undefined) return plain;
  const owner = { tenant: caller.tenant, principal: caller.principal, sessionId };
  const checked = await verifyApprovalResolution(deps.kernel, owner, message);
  return checked.ok
    ? { ...plain, content: JSON.stringify({ approval: checked.approval }), verified: true }
    : plain;
}

const NO_REPORTS: ReadonlyMap<string, TurnMessage> = new Map();

/** Which tool message speaks of which call; the rest belong to no call. */
function matched(
  messages: readonly TurnMessage[],
  held: HeldSession | undefined,
): ReadonlyMap<string, TurnMessage> {
  if (held === undefined || !messages.some((one) => one.role === 'tool')) return NO_REPORTS;
  const found = new Map<string, TurnMessage>();
  const known = new Set(held.state.calls.map((call) => call.id));
  for (const message of messages) {
    const id = message.role === 'tool' ? message.tool_call_id : undefined;
    if (id !== undefined && known.has(id) && !found.has(id)) found.set(id, message);
  }
  return found;
}

async function tellCalls(
  sessions: Pick<Sessions, 'report'>,
  held: HeldSession,
  reports: ReadonlyMap<string, TurnMessage>,
): Promise<{ entry: CallEntry; told: Told }[]> {
  const telling: { entry: CallEntry; told: Told }[] = [];
  for (const call of held.state.calls) {
    if (owed(call) === 'nothing') continue;
    const one = await tellCall(sessions, held, call, reports.get(call.id));
    if (one !== undefined) telling.push(one);
  }
  return telling;
}

/** A managed session exists before its first turn; what it was started with is said in that turn. */
function isBeforeFirstTurn({ state }: HeldSession): boolean {
  return state.managed !== undefined && state.turnCount === 0;
}

async function hostEntries(
  deps: PackDeps,
  at: { caller: Caller; held: HeldSession | undefined; reports: ReadonlyMap<string, TurnMessage> },
  messages: readonly TurnMessage[],
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const [index, message] of messages.entries()) {
    const { role, content, tool_call_id: callId } = message;
    if (role === 'tool') {
      if (callId !== undefined && at.reports.has(callId)) continue; // E1
      entries.push(await unmatchedTool(deps, at.caller, at.held?.state.facts.id, message));
    } else if (role !== 'user' && at.held !== undefined && !isBeforeFirstTurn(at.held)) {
      refuse(index, 'an existing session takes user and tool messages only'); // E3
    } else {
      entries.push({ from: 'host', role, content });
    }
  }
  return entries;
}

/** What this turn adds. Throws INVALID_INPUT for a message that may not come now. */
export async function newEntries(
  { deps, sessions }: { deps: PackDeps; sessions: Pick<Sessions, 'report'> },
  caller: Caller,
  held: HeldSession | undefined,
  messages: readonly TurnMessage[],
): Promise<NewEntries> {
  const reports = matched(messages, held);
  const telling = held === undefined ? [] : await tellCalls(sessions, held, reports);
  const said = await hostEntries(deps, { caller, held, reports }, messages);
  const told = telling.map((one) => one.told);
  const tellsResult = told.some((one) => one.closed?.by !== 'nobody');
  if (said.length === 0 && !tellsResult && held?.state.unseen !== true) {
    throw new RuntimeError('INVALID_INPUT', '/messages: there is nothing that the model has not seen', {
      field: '/messages',
    });
  }
  return {
    entries: [...telling.map((one) => one.entry), ...said],
    told,
    hasUserMessage: messages.some((one) => one.role === 'user'),
    tellsResult,
  };
}
