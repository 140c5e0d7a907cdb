// Owns the three stories of the demo: what is asked of the runtime, and what must come of it. A story that goes otherwise
// than it promises fails the demo.
import { RuntimeError } from '../../base/errors.ts';
import type { CallAnswer } from '../../runtime/contract.ts';
import type { TurnFailure, TurnOutput } from '../../pack/turn/contract.ts';
import type { Host } from './host.ts';
import type { Teller } from './teller.ts';

export interface StoryResult {
  sessionId: string;
  answers: CallAnswer[];
}

interface Opening {
  ask: string;
  profile: string;
  /** Called when a call waits for a person somewhere else; resolves when it has been answered. */
  whenWaiting?: (answer: CallAnswer) => Promise<void>;
}

const MOST_TURNS = 12;

function isFailure(turn: TurnOutput | TurnFailure): turn is TurnFailure {
  return 'error' in turn;
}

async function runCalls(
  host: Host,
  teller: Teller,
  turn: TurnOutput,
  opening: Opening,
): Promise<CallAnswer[]> {
  const answers: CallAnswer[] = [];
  for (const requested of turn.requested_tools ?? []) {
    teller.requested(requested);
    let answer = await host.callTool(turn.session_id, requested.tool_call_id);
    teller.answered(answer);
    if (answer.status === 'approval_required' && opening.whenWaiting !== undefined) {
      await opening.whenWaiting(answer);
      answer = await host.callTool(turn.session_id, requested.tool_call_id);
      teller.answered(answer);
    }
    answers.push(answer);
  }
  return answers;
}

/** Drives one session from the first message to a terminal turn. */
export async function tell(host: Host, teller: Teller, opening: Opening): Promise<StoryResult> {
  teller.asked(opening.ask);
  const answers: CallAnswer[] = [];
  let input: Record<string, unknown> = {
    messages: [{ role: 'user', content: opening.ask }],
    intent: 'triage',
    model_profile: opening.profile,
  };
  for (let turns = 0; turns < MOST_TURNS; turns++) {
    const turn = await host.turn(input);
    if (isFailure(turn)) throw new RuntimeError(turn.error.code, turn.error.message, turn.error.details);
    teller.said(turn);
    if (turn.status !== 'tool_request') return { sessionId: turn.session_id, answers };
    answers.push(...(await runCalls(host, teller, turn, opening)));
    input = { session_id: turn.session_id, messages: [], model_profile: opening.profile };
  }
  throw new RuntimeError('AGENT_RUNTIME_LOOP_LIMIT_EXCEEDED');
}

/** Fails the demo unless the calls ended as the story promises. */
export function assertEnded(
  story: string,
  answers: readonly CallAnswer[],
  expected: readonly { status: CallAnswer['status']; rule?: string; replayed?: boolean }[],
): void {
  const seen = answers.map((one) => `${one.status} (${one.decision.rule_id})`).join(', ');
  const fits =
    answers.length === expected.length &&
    expected.every((want, at) => {
      const have = answers[at];
      return (
        have?.status === want.status &&
        (want.rule === undefined || have.decision.rule_id === want.rule) &&
        (want.replayed === undefined || have.result?.replayed === want.replayed)
      );
    });
  if (!fits)
    throw new RuntimeError('INTERNAL', `The story "${story}" ended otherwise than promised: ${seen}.`);
}
