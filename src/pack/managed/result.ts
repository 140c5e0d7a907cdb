// Owns what a run of a managed session answers: how it ended, and what the session has said and done so far.
import { RuntimeError } from '../../base/errors.ts';
import type { Entry } from '../sessions/conversation.ts';
import type { RequestedTool, TurnMessage, TurnOutput } from '../turn/contract.ts';
import type { ManagedProgress, ManagedResult } from './contract.ts';
import { untakenMessages } from './inputs.ts';
import { statusOf } from './room.ts';
import type { ManagedHeld, ManagedRoom } from './room.ts';
import type { Ending, ManagedState } from './state.ts';
import type { Transcript } from './transcript.ts';

function toMessage(entry: Entry): TurnMessage {
  switch (entry.from) {
    case 'host':
      return {
        role: entry.role,
        content: entry.content,
        ...('toolName' in entry ? { tool_name: entry.toolName } : {}),
      };
    case 'model':
      return { role: 'assistant', content: entry.content };
    case 'call':
      return { role: 'tool', content: entry.content, tool_name: entry.tool, tool_call_id: entry.callId };
  }
}

/** What the session said and did so far, over all its invocations. */
export async function progressOf(
  room: ManagedRoom,
  at: ManagedHeld,
  transcript: Transcript,
): Promise<ManagedProgress> {
  const { held, state } = at;
  const said = await room.sessions.conversation(held);
  const unsaid = await untakenMessages(room.deps.store, held).catch(() => []);
  return {
    session_id: state.facts.id,
    run_id: (state.run ?? state.lastRun)?.runId ?? transcript.runId,
    status: statusOf(at),
    messages: [...said.entries.map(toMessage), ...unsaid],
    history: [...transcript.history],
    turn_count: state.turnCount,
    tool_call_count: state.callCount,
  };
}

function finalTurn(transcript: Transcript, sessionId: string): TurnOutput {
  if (transcript.lastTurn !== undefined) return transcript.lastTurn;
  throw new RuntimeError('NOT_FOUND', 'The last turn of this session has been erased.', {
    session_id: sessionId,
  });
}

/** The call that waits, as the model asked for it. */
function requestedTool(at: ManagedHeld, transcript: Transcript, callId: string): RequestedTool {
  const entry = transcript.history.find((one) => one.tool_call_id === callId);
  const asked = entry?.turn_output.requested_tools?.find((one) => one.tool_call_id === callId);
  if (asked !== undefined) return asked;
  const call = at.state.calls.find((one) => one.id === callId);
  const decision = {
    decision: 'approval_required',
    rule_id: '',
    layer: '',
    reasons: [],
    policy_digest: '',
  } as const;
  return { name: call?.tool ?? '', input: {}, tool_call_id: callId, decision: { ...decision, reasons: [] } };
}

/** The state of a session between two runs, as the ending that it came from. */
export function endingOfState(managed: ManagedState): Ending | undefined {
  switch (managed.status) {
    case 'suspended': {
      const { why, reason, callId } = managed;
      return { as: 'suspended', why, reason, ...(callId === undefined ? {} : { callId }) };
    }
    case 'waiting_approval':
      return { as: 'waiting_approval', requestId: managed.requestId, callId: managed.callId };
    case 'error':
      return { as: 'error', stage: managed.stage, error: managed.error };
    case 'completed':
      return { as: 'completed' };
    case 'queued':
    case 'active':
    case 'canceled':
    case 'expired':
      return undefined;
  }
}

function endedResult(
  at: ManagedHeld,
  transcript: Transcript,
  progress: ManagedProgress,
  ending: Ending,
): ManagedResult {
  const { lastTurn } = transcript;
  const last = lastTurn === undefined ? {} : { last_turn: lastTurn };
  switch (ending.as) {
    case 'completed':
      return { ...progress, kind: 'completed', final_turn: finalTurn(transcript, progress.session_id) };
    case 'suspended':
      return ending.why === 'reply' || ending.why === 'escalated'
        ? { ...progress, kind: 'completed', final_turn: finalTurn(transcript, progress.session_id) }
        : { ...progress, kind: 'suspended', why: ending.why, reason: ending.reason, ...last };
    case 'waiting_approval':
      return {
        ...progress,
        kind: 'approval_required',
        pending_request_id: ending.requestId,
        requested_tool: requestedTool(at, transcript, ending.callId),
        ...last,
      };
    case 'error':
      return { ...progress, kind: 'error', stage: ending.stage, error: ending.error, ...last };
  }
}

/** The answer for a session whose state says how it stands; undefined while a run is under way. */
export function resultOf(
  at: ManagedHeld,
  transcript: Transcript,
  progress: ManagedProgress,
): ManagedResult | undefined {
  const { managed } = at;
  if (managed.status === 'canceled' || managed.status === 'expired') {
    return { ...progress, kind: managed.status, reason: managed.reason };
  }
  const isClosed = progress.status === 'completed'; // by a turn, whatever its run came to say of it
  const ending = isClosed ? ({ as: 'completed' } as const) : endingOfState(managed);
  return ending === undefined ? undefined : endedResult(at, transcript, progress, ending);
}
