// Owns the tool `agent:call-tool`: runs exactly the tool that a turn requested. Arguments come from the record.
import { z } from 'zod';
import type { CallToolInput } from '../../runtime/contract.ts';
import { answerResult } from '../results.ts';
import { BOOL, closed, DECISION_VIEW, ERROR_VIEW, list, oneOf, OPEN, orError, TEXT } from './schemas.ts';
import { agentTool } from './tool.ts';
import type { AgentTool } from './tool.ts';

const input: z.ZodType<CallToolInput> = z.strictObject({
  session_id: z.string().min(1),
  tool_call_id: z.string().min(1).describe('As the turn gave it.'),
  approval_id: z.exactOptional(z.string().min(1)),
  resume_token: z
    .exactOptional(z.string().min(1))
    .describe('Of the answer before this one; good once, for this call.'),
});

const output = closed(
  {
    status: oneOf(
      'done',
      'tool_error',
      'denied',
      'approval_required',
      'input_required',
      'permitted',
      'unknown',
      'expired',
      'canceled',
    ),
    decision: DECISION_VIEW,
    result: closed({ content: list(OPEN), structured: OPEN, replayed: BOOL }, ['structured']),
    approval: closed(
      { approval_id: TEXT, action_digest: TEXT, answer_by: TEXT, use_by: TEXT, answer_at: list(TEXT) },
      ['use_by'],
    ),
    input: closed(
      {
        input_id: TEXT,
        server: TEXT,
        mode: oneOf('form', 'url', 'sampling', 'roots'),
        message: TEXT,
        requested_schema: OPEN,
        url: TEXT,
        answer_by: TEXT,
      },
      ['requested_schema', 'url'],
    ),
    capability_session_id: TEXT,
    expiry: closed(
      {
        expired_capability_session_id: TEXT,
        capability_session_id: TEXT,
        cause: TEXT,
        resumed: list(TEXT),
        must_retry: list(TEXT),
      },
      ['capability_session_id'],
    ),
    resume_token: TEXT,
    error: ERROR_VIEW,
    on_failure: oneOf('end_run'),
    receipt_ids: list(TEXT),
    side_effect_status: oneOf('not_executed', 'applied', 'side_effect_unknown', 'partial_side_effect'),
    tool: TEXT,
    tool_call_id: TEXT,
    session_id: TEXT,
    run_id: TEXT,
    trace_id: TEXT,
  },
  ['result', 'approval', 'input', 'capability_session_id', 'expiry', 'resume_token', 'error', 'on_failure'],
);

export const callTool: AgentTool = agentTool({
  id: 'agent:call-tool',
  sets: ['turn'],
  audience: 'everybody',
  title: 'Run a requested tool',
  description:
    'Runs the tool that a turn of this session requested, with the arguments on record, under policy. When a person ' +
    'has to approve first, the answer says where; repeat the call afterwards.',
  annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: true },
  input,
  output: orError(output),
  async run(asked, { runtime, caller, io, governed }) {
    const { resume_token: _, ...handle } = asked;
    const outcome = await governed({
      tool: 'agent:call-tool',
      args: asked,
      // A token is spent by the first run; what comes after it within this call is the same call.
      run: (again) => runtime.callTool(caller, again === undefined ? asked : handle, io),
    });
    return outcome.kind === 'ask' ? outcome.result : answerResult(outcome.answer, outcome.note);
  },
});
