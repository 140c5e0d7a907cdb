// Owns the step from our errors to the wire: a name that no tool has is a protocol error, everything else a tool result
// that says code, sentence, remedy and whether a retry can help. A stack never leaves; it goes to the log.
import {
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
} from '@modelcontextprotocol/server';
import type { CallToolResult, ClientCapabilities } from '@modelcontextprotocol/server';
import { asRuntimeError } from '../base/errors.ts';
import type { ErrorView } from '../base/errors.ts';
import { showCut, stopped } from '../base/text.ts';
import type { ServerLog } from './connection.ts';
import { plainObject } from './results.ts';

export function unknownTool(name: string): ProtocolError {
  return new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${showCut(name, 128)}`);
}

export function invalidParams(message: string): ProtocolError {
  return new ProtocolError(ProtocolErrorCode.InvalidParams, message);
}

export function missingCapability(requiredCapabilities: ClientCapabilities): ProtocolError {
  return new MissingRequiredClientCapabilityError({ requiredCapabilities });
}

/** The error as a text that a person or a model can act on. */
export function errorText(error: ErrorView): string {
  const retry = error.retryable ? ' A retry can help.' : '';
  return `${error.code}: ${stopped(error.message)} ${error.remedy}${retry}`;
}

export function errorResult(error: ErrorView): CallToolResult {
  return {
    isError: true,
    content: [
      { type: 'text', text: errorText(error) },
      { type: 'text', text: JSON.stringify({ error }) },
    ],
    structuredContent: plainObject({ error }),
  };
}

function seen(thrown: unknown, log: ServerLog): ErrorView {
  const error = asRuntimeError(thrown);
  if (error.code === 'INTERNAL') log('error', 'a call failed inside', { error: error.cause ?? error });
  return error.view();
}

/** What a failed tool call answers; protocol errors are passed on as such. */
export function toolFailure(thrown: unknown, log: ServerLog): CallToolResult {
  if (thrown instanceof ProtocolError) throw thrown;
  return errorResult(seen(thrown, log));
}

function protocolError(view: ErrorView): ProtocolError {
  const code =
    view.code === 'INVALID_INPUT' ? ProtocolErrorCode.InvalidParams : ProtocolErrorCode.InternalError;
  return new ProtocolError(code, `${stopped(view.message)} ${view.remedy}`, { error: view });
}

/** What a failed read answers: resources and prompts have no result that could carry an error. */
export function readFailure(thrown: unknown, uri: string, log: ServerLog): ProtocolError {
  if (thrown instanceof ProtocolError) return thrown;
  const view = seen(thrown, log);
  return view.code === 'NOT_FOUND' ? new ResourceNotFoundError(uri) : protocolError(view);
}

/** The same for what is asked about a task. */
export function taskFailure(thrown: unknown, log: ServerLog): ProtocolError {
  return thrown instanceof ProtocolError ? thrown : protocolError(seen(thrown, log));
}
