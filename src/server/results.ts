// Owns how answers become tool results: structured content and the same in full as text, so that no host that drops one
// of them loses anything.
import { isSpecType } from '@modelcontextprotocol/server';
import type { CallToolResult } from '@modelcontextprotocol/server';
import { joinReasons, stopped } from '../base/text.ts';
import type { ContentBlock } from '../kernel/execution/executor.ts';
import type { CallAnswer, CallStatus } from '../runtime/contract.ts';

type Content = CallToolResult['content'];

/** Where a governed capability's own result carries what our kernel says about it. */
export const CALL_META_KEY = 'agent-runtime/call';

/** As JSON carries it: keys whose value is undefined are gone. */
export function plainObject(value: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
}

export function structuredResult(value: object, sentence?: string): CallToolResult {
  const text = JSON.stringify(value);
  const json = { type: 'text' as const, text };
  return {
    content: sentence === undefined ? [json] : [{ type: 'text', text: sentence }, json],
    structuredContent: JSON.parse(text) as Record<string, unknown>,
  };
}

/** The commonest block: with nothing that could break its schema. */
function isBareText(block: ContentBlock): block is ContentBlock & { type: 'text'; text: string } {
  const { type, text, annotations, _meta } = block;
  return type === 'text' && typeof text === 'string' && annotations === undefined && _meta === undefined;
}

// The effect has happened; a block that the client's schema does not know must not turn its answer into an error.
function deliverable(blocks: readonly ContentBlock[]): Content {
  return blocks.map((block) =>
    isBareText(block) || isSpecType.ContentBlock(block)
      ? block
      : { type: 'text', text: JSON.stringify(block) },
  );
}

/** Statuses under which nothing went wrong, even if nothing ran yet. */
const FINE: ReadonlySet<CallStatus> = new Set(['done', 'approval_required', 'input_required', 'permitted']);

function waitingSentence(answer: CallAnswer): string {
  const { tool, approval, decision } = answer;
  const why = `${tool} has not run: a person has to approve it first (${joinReasons(decision.reasons)}).`;
  if (approval === undefined) return why;
  const { approval_id, answer_by, answer_at } = approval;
  const where = answer_at.join(', or ');
  return `${why} Approval ${approval_id} can be answered until ${answer_by} at: ${where}. Then repeat the same call over the same connection.`;
}

export function callSentence(answer: CallAnswer): string {
  const { tool, status, decision, error, side_effect_status: effect } = answer;
  switch (status) {
    case 'done':
      return `${tool} ran (${effect === 'not_executed' ? 'no side effect' : effect}).`;
    case 'approval_required':
      return waitingSentence(answer);
    case 'denied':
      return `${tool} was not run: ${decision.rule_id} denied it (${joinReasons(decision.reasons)}).`;
    case 'tool_error':
    case 'unknown':
    case 'expired':
    case 'canceled':
    case 'input_required':
    case 'permitted':
      return `${tool}: ${status} (${effect}).${error === undefined ? '' : ` ${stopped(error.message)} ${error.remedy}`}`;
  }
}

function said(answer: CallAnswer, note: string | undefined): string {
  return note === undefined ? callSentence(answer) : `${callSentence(answer)} ${note}`;
}

/** The whole answer of `agent:call-tool`; the tool's own blocks stand as blocks, not twice. */
export function answerResult(answer: CallAnswer, note: string | undefined): CallToolResult {
  const { result, ...rest } = answer;
  return {
    content: [
      { type: 'text', text: said(answer, note) },
      ...deliverable(result?.content ?? []),
      {
        type: 'text',
        text: JSON.stringify(
          result?.structured === undefined ? rest : { ...rest, structured: result.structured },
        ),
      },
    ],
    structuredContent: plainObject(answer),
    ...(FINE.has(answer.status) ? {} : { isError: true }),
  };
}

/**
 * The answer of a governed capability called by its own name: its result as the tool gave it. Where there is none, an
 * error, because the caller expects the tool's result; with structured content only if the tool declares no schema that
 * it would break.
 */
export function capabilityResult(
  answer: CallAnswer,
  declaresOutput: boolean,
  note: string | undefined,
): CallToolResult {
  const { result, ...rest } = answer;
  const _meta = { [CALL_META_KEY]: rest };
  if (result !== undefined && (answer.status === 'done' || answer.status === 'tool_error')) {
    return {
      content: deliverable(result.content),
      ...(result.structured === undefined ? {} : { structuredContent: result.structured }),
      ...(answer.status === 'tool_error' ? { isError: true } : {}),
      _meta,
    };
  }
  return {
    content: [
      { type: 'text', text: said(answer, note) },
      { type: 'text', text: JSON.stringify(rest) },
    ],
    ...(declaresOutput ? {} : { structuredContent: plainObject(rest) }),
    isError: true,
    _meta,
  };
}
