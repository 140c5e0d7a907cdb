// Owns the error catalogue: every code the product can answer with, its sentence, what to do, and whether trying the
// same call again can help. docs/errors.md is checked against this table; the wire mapping lives in server/errors.ts.

export interface ErrorEntry {
  readonly sentence: string;
  readonly remedy: string;
  readonly retryable: boolean;
  /** Process exit code of a command that ends with it: 1 check, 2 usage, 3 refused by policy, 4 not found, 5 fault. */
  readonly exit: 1 | 2 | 3 | 4 | 5;
}

function entry(exit: ErrorEntry['exit'], retryable: boolean, sentence: string, remedy: string): ErrorEntry {
  return { sentence, remedy, retryable, exit };
}

/** Every code there is; docs/errors.md has the sentence, the remedy and the exit of each. */
export type ErrorCode =
  | 'INVALID_INPUT'
  | 'INVALID_OUTPUT'
  | 'NOT_FOUND'
  | 'TOOL_NOT_FOUND'
  | 'CONFLICT'
  | 'USAGE'
  | 'POLICY_DENIED'
  | 'SCOPE_DENIED'
  | 'APPROVAL_REQUIRED'
  | 'APPROVAL_NOT_PENDING'
  | 'APPROVER_NOT_ALLOWED'
  | 'TOOL_EXECUTION_FAILED'
  | 'TOOL_TIMEOUT'
  | 'OUTPUT_TOO_LARGE'
  | 'DOWNSTREAM_UNAVAILABLE'
  | 'CAPABILITY_SESSION_EXPIRED'
  | 'SIDE_EFFECT_UNKNOWN'
  | 'IDEMPOTENCY_CONFLICT'
  | 'SPEC_TAMPERED'
  | 'LIMIT_EXCEEDED'
  | 'MISSING_ENVIRONMENT'
  | 'CONFIGURATION_ERROR'
  | 'SESSION_CLOSED'
  | 'PROVIDER_AUTHENTICATION_FAILED'
  | 'PROVIDER_HTTP_ERROR'
  | 'PROVIDER_MALFORMED_RESPONSE'
  | 'PROVIDER_RATE_LIMITED'
  | 'PROVIDER_TRANSPORT_ERROR'
  | 'PROVIDER_TIMEOUT'
  | 'PROVIDER_UNSUPPORTED'
  | 'AGENT_RUNTIME_LOOP_LIMIT_EXCEEDED'
  | 'AGENT_RUNTIME_WORKFLOW_STALLED'
  | 'SUBPROCESS_SANDBOX_UNAVAILABLE'
  | 'SUBPROCESS_TRANSPORT_FAILED'
  | 'SUBPROCESS_EXIT_NONZERO'
  | 'SUBPROCESS_PROTOCOL_ERROR'
  | 'STORE_UNAVAILABLE'
  | 'STORE_CORRUPT'
  | 'STORE_FUTURE_VERSION'
  | 'WORKSPACE_NOT_TRUSTED'
  | 'RESTART_NEEDED'
  | 'TOO_BUSY'
  | 'CANCELED'
  | 'INTERNAL';

export const ERRORS: Readonly<Record<ErrorCode, ErrorEntry>> = {
  // input
  INVALID_INPUT: entry(
    2,
    false,
    'The input does not have the expected shape.',
    'Correct the field that details.field names and send it again.',
  ),
  INVALID_OUTPUT: entry(
    5,
    false,
    'A result did not have the shape this product promises.',
    'Report it with the run id; the raw result is in the sealed record.',
  ),
  NOT_FOUND: entry(
    4,
    false,
    'There is no such item for you.',
    'Check the path, or list the items you may see and use an id from there.',
  ),
  TOOL_NOT_FOUND: entry(
    4,
    false,
    'There is no such tool for you.',
    'List the tools; a tool may be quarantined, unlisted or of another server.',
  ),
  CONFLICT: entry(
    5,
    true,
    'Somebody else changed this at the same time.',
    'Read the current state and decide again.',
  ),
  USAGE: entry(2, false, 'The command was not understood.', 'Run it with --help.'),
  // kernel
  POLICY_DENIED: entry(
    3,
    false,
    'Policy does not allow this call.',
    'Read rule_id and reasons; `agent-runtime policy explain` shows what would change the answer.',
  ),
  SCOPE_DENIED: entry(
    3,
    false,
    'The call reaches further than the scopes in force.',
    'Compare scope_requested with scope_allowed; widen the workspace, lane or task scope on purpose.',
  ),
  APPROVAL_REQUIRED: entry(
    3,
    true,
    'A person has to approve this call first.',
    'Answer the approval that details.approval_id names, then repeat the call.',
  ),
  APPROVAL_NOT_PENDING: entry(
    3,
    false,
    'This approval has already been answered or has ended.',
    'List the pending approvals.',
  ),
  APPROVER_NOT_ALLOWED: entry(
    3,
    false,
    'This person or channel may not answer this approval.',
    'Answer it from the channel that the approval names under answer_at.',
  ),
  TOOL_EXECUTION_FAILED: entry(
    5,
    false,
    'The tool ran and failed.',
    'Read the recorded outcome; repeat only what is safe to repeat.',
  ),
  TOOL_TIMEOUT: entry(
    5,
    false,
    'The tool did not answer before its deadline.',
    'Whether it took effect is unknown; look at the downstream system before repeating it.',
  ),
  OUTPUT_TOO_LARGE: entry(
    5,
    false,
    'The tool answered with more than it may.',
    'Ask for less, or raise the limit of this capability.',
  ),
  DOWNSTREAM_UNAVAILABLE: entry(
    5,
    true,
    'The server of this tool cannot be reached.',
    'See `agent-runtime doctor`; the call was not made.',
  ),
  CAPABILITY_SESSION_EXPIRED: entry(
    5,
    false,
    'The connection to the server of this tool was lost, with what the server remembered of it.',
    'Nothing ran: repeat the same call, with the resume token where there is one.',
  ),
  SIDE_EFFECT_UNKNOWN: entry(
    5,
    false,
    'It is not known whether the call took effect.',
    'Look at the downstream system, then settle it; it is never repeated blindly.',
  ),
  IDEMPOTENCY_CONFLICT: entry(
    3,
    false,
    'This idempotency key was used with other arguments.',
    'Use a new key for a new action.',
  ),
  SPEC_TAMPERED: entry(
    3,
    false,
    'The pack or its pinned content is not what was pinned.',
    'Reinstall the pack, or pin the new content on purpose.',
  ),
  // turn
  LIMIT_EXCEEDED: entry(
    3,
    false,
    'A limit of this session is used up.',
    'details has the measured and the allowed value; start a new session or raise the limit in the configuration.',
  ),
  MISSING_ENVIRONMENT: entry(
    5,
    false,
    'An environment variable that this needs is not set.',
    'Set the variable that details.variable names and start again.',
  ),
  CONFIGURATION_ERROR: entry(
    2,
    false,
    'The configuration is not usable.',
    'Correct the file, line and key that the message names; `agent-runtime config check` shows all of them.',
  ),
  SESSION_CLOSED: entry(3, false, 'This session has ended.', 'Start a new session.'),
  // providers
  PROVIDER_AUTHENTICATION_FAILED: entry(
    5,
    false,
    'The model provider refused the credential.',
    'Check the key in the variable that the model profile names.',
  ),
  PROVIDER_HTTP_ERROR: entry(
    5,
    false,
    'The model provider answered with an error.',
    'details has the status; a 4xx is ours to correct, a 5xx is theirs.',
  ),
  PROVIDER_MALFORMED_RESPONSE: entry(
    5,
    false,
    'The model provider answered with something that is not a usable turn.',
    'Repeat the turn; if it stays, the model or endpoint does not fit this profile.',
  ),
  PROVIDER_RATE_LIMITED: entry(
    5,
    true,
    'The model provider asks us to slow down.',
    'Wait for details.retry_after_ms, then repeat the turn.',
  ),
  PROVIDER_TRANSPORT_ERROR: entry(
    5,
    true,
    'The model provider could not be reached.',
    'Check the network and the base URL, then repeat the turn.',
  ),
  PROVIDER_TIMEOUT: entry(
    5,
    true,
    'The model provider did not answer in time.',
    'Repeat the turn, or raise the deadline of the model profile.',
  ),
  PROVIDER_UNSUPPORTED: entry(
    2,
    false,
    'There is no such provider kind.',
    'Use openai_compatible, messages_compatible or scripted.',
  ),
  // loop
  AGENT_RUNTIME_LOOP_LIMIT_EXCEEDED: entry(
    3,
    false,
    'The loop used up its turns.',
    'Raise maxTurns, or resume the session.',
  ),
  AGENT_RUNTIME_WORKFLOW_STALLED: entry(
    5,
    false,
    'The workflow has unfinished nodes and nothing to run.',
    'Inspect the workflow; a dependency cannot be met.',
  ),
  // sandbox and capabilities
  SUBPROCESS_SANDBOX_UNAVAILABLE: entry(
    5,
    false,
    'The sandbox that this capability needs is not on this machine.',
    'Install it (see `agent-runtime doctor`), or run the capability where it is.',
  ),
  SUBPROCESS_TRANSPORT_FAILED: entry(
    5,
    true,
    'The connection to the capability process broke.',
    'The process is restarted at the next call.',
  ),
  SUBPROCESS_EXIT_NONZERO: entry(
    5,
    false,
    'The capability process ended with an error.',
    'Read its standard error in the log.',
  ),
  SUBPROCESS_PROTOCOL_ERROR: entry(
    5,
    false,
    'The capability process does not speak the protocol.',
    'Check the command of this server in servers.yaml.',
  ),
  // store
  STORE_UNAVAILABLE: entry(
    5,
    true,
    'The journal cannot be written, so nothing may happen.',
    'Free disk space or repair permissions, then repeat; nothing was lost.',
  ),
  STORE_CORRUPT: entry(
    5,
    false,
    'A stored record is damaged.',
    'Restore a file that the message names from a backup, or move it away. Of a damaged record only its own chain is affected; `agent-runtime evidence verify` names it.',
  ),
  STORE_FUTURE_VERSION: entry(
    5,
    false,
    'The state was written by a newer version.',
    'Use that version, or another workspace; nothing was changed.',
  ),
  // trust, limits, process
  WORKSPACE_NOT_TRUSTED: entry(
    3,
    false,
    'This workspace brings a configuration that nobody here has trusted yet.',
    'Read it, then run `agent-runtime trust` in a terminal, with the same --workspace and --config as this command.',
  ),
  RESTART_NEEDED: entry(
    1,
    false,
    'The configuration differs in something that counts only from a start.',
    'Restart what serves this workspace; until then it keeps the configuration that it has.',
  ),
  TOO_BUSY: entry(5, true, 'Too many calls are in flight.', 'Wait for one to end, then repeat.'),
  CANCELED: entry(
    5,
    false,
    'The caller ended this call.',
    'Repeat it if it is still wanted; details say whether it may have taken effect.',
  ),
  INTERNAL: entry(
    5,
    false,
    'Something failed that should not.',
    'Report it with the run id; nothing was acknowledged that is not recorded.',
  ),
};

/** What an error tells the outside. `details` never holds a secret or a stack. */
export interface ErrorView {
  code: ErrorCode;
  message: string;
  remedy: string;
  retryable: boolean;
  details: Record<string, unknown>;
}

/** The one error of this product. `message` is the catalogue's sentence unless a more exact one is given. */
export class RuntimeError extends Error {
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;

  constructor(code: ErrorCode, message?: string, details: Record<string, unknown> = {}) {
    super(message ?? ERRORS[code].sentence);
    this.name = 'RuntimeError';
    this.code = code;
    this.details = details;
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }

  view(): ErrorView {
    const { remedy, retryable } = ERRORS[this.code];
    return { code: this.code, message: this.message, remedy, retryable, details: this.details };
  }
}

/** Any thrown value as a RuntimeError; what is not ours becomes INTERNAL with its text left out of the message. */
export function asRuntimeError(thrown: unknown): RuntimeError {
  if (thrown instanceof RuntimeError) return thrown;
  const error = new RuntimeError('INTERNAL');
  error.cause = thrown;
  return error;
}
