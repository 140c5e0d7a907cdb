// Owns the text a person is shown before approving: fixed layout, arguments as data, hidden characters visible, cuts said.
import { isoTime } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import { joinReasons, showCut } from '../../base/text.ts';
import type { Delegation } from '../identity.ts';
import type { ApprovalSubject } from './approval.ts';

const MAX_ARGUMENT = 2000;
const MAX_ARGUMENTS = 8000;

function argumentLines(args: JsonObject): string[] {
  const keys = Object.keys(args).sort();
  if (keys.length === 0) return ['  (none)'];
  return keys.map((key) => {
    const value = args[key];
    const text = typeof value === 'string' ? JSON.stringify(value) : JSON.stringify(value ?? null, null, 1);
    return `  ${oneLine(key)} = ${showCut(text, MAX_ARGUMENT)}`;
  });
}

/** A name or sentence from outside, kept to its own line: a line break in it could imitate our layout. */
function oneLine(text: string): string {
  return showCut(
    text.replace(/[\n\t]/g, (char) => (char === '\n' ? '\\n' : '\\t')),
    500,
  );
}

function delegationLines({ mode, delegatedPrincipalId, delegatedScope }: Delegation): string[] {
  if (mode === 'platform_owned') return [];
  return [`Delegated:  ${mode}, by ${oneLine(delegatedPrincipalId)}, scope ${oneLine(delegatedScope)}`];
}

/** Everything the approver decides on. The layout is ours; only quoted data comes from outside. */
export function approvalText(subject: Omit<ApprovalSubject, 'shownDigest'>, args: JsonObject): string {
  const lines = [
    `Approve this call?`,
    `Tool:       ${oneLine(subject.tool)}  (risk ${subject.risk})`,
    `For:        ${oneLine(subject.principal)}  in tenant ${oneLine(subject.tenant)}`,
    `Asked by:   ${oneLine(subject.actor)}  (agent ${oneLine(subject.agentId)})`,
    ...delegationLines(subject.delegation),
    ...(subject.idempotencyKey === undefined ? [] : [`Key:        ${oneLine(subject.idempotencyKey)}`]),
    `Because:    ${oneLine(joinReasons(subject.reasons))}`,
    `Arguments:`,
    showCut(argumentLines(args).join('\n'), MAX_ARGUMENTS),
    `Answer by:  ${isoTime(subject.answerBy)}`,
    `Digest:     ${subject.actionDigest}`,
  ];
  return lines.join('\n');
}
