// Owns the tool `agent:execute-turn`: one governed model turn.
import type { TurnFailure, TurnOutput } from '../../pack/turn/contract.ts';
import { errorText } from '../errors.ts';
import { structuredResult } from '../results.ts';
import { closed, ERROR_VIEW, orError, TEXT } from './schemas.ts';
import { agentTool } from './tool.ts';
import type { AgentTool } from './tool.ts';
import { TURN_INPUT, TURN_OUTPUT } from './turn-shape.ts';

const failure = closed({ error: ERROR_VIEW, session_id: TEXT, run_id: TEXT, trace_id: TEXT }, [
  'session_id',
  'run_id',
  'trace_id',
]);

function sentence(turn: TurnOutput | TurnFailure): string {
  if ('error' in turn) return errorText(turn.error);
  const asked = (turn.requested_tools ?? []).map(
    (tool) =>
      `The model asks for ${tool.name} (${tool.decision.decision}); run it with agent:call-tool, ` +
      `session_id ${turn.session_id}, tool_call_id ${tool.tool_call_id}.`,
  );
  const said = turn.assistant_message === '' ? [] : [turn.assistant_message];
  return [...said, ...asked].join('\n') || `The turn ended with ${turn.status}.`;
}

export const executeTurn: AgentTool = agentTool({
  id: 'agent:execute-turn',
  sets: ['turn'],
  audience: 'everybody',
  title: 'Run one governed model turn',
  description:
    'Sends the conversation to the configured model under policy and answers with a normalized reply, tool request, ' +
    'completion or escalation. A requested tool has not run: run it with agent:call-tool.',
  annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: true },
  input: TURN_INPUT,
  output: orError(TURN_OUTPUT, failure),
  async run(turn, { runtime, caller, io }) {
    const answer = await runtime.executeTurn(caller, turn, io);
    const result = structuredResult(answer, sentence(answer));
    return 'error' in answer ? { ...result, isError: true } : result;
  },
});
