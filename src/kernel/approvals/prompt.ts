// Owns the text a person is shown before approving: fixed layout, arguments as data, hidden characters visible, cuts said.
import { isoTime } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import { showCut, showHidden } from '../../base/text.ts';
import type { ApprovalSubject } from './approval.ts';

const MAX_ARGUMENT = 2000;
const MAX_ALL = 8000;

function argumentLines(args: JsonObject): string[] {
  const keys = Object.keys(args).sort();
  if (keys.length === 0) return ['  (none)'];
  return keys.map((key) => {
    const value = args[key];
    const text = typeof value === 'string' ? JSON.stringify(value) : JSON.stringify(value ?? null, null, 1);
    return `  ${showHidden(key)} = ${showCut(text, MAX_ARGUMENT)}`;
  });
}

/** Everything the approver decides on. The layout is ours; only quoted data comes from outside. */
export function approvalText(subject: Omit<ApprovalSubject, 'shownDigest'>, args: JsonObject): string {
  const lines = [
    `Approve this call?`,
    `Tool:       ${showHidden(subject.tool)}  (risk ${subject.risk})`,
    `For:        ${showHidden(subject.principal)}  in tenant ${showHidden(subject.tenant)}`,
    `Asked by:   ${showHidden(subject.actor)}`,
    `Because:    ${showCut(subject.reasons.join('; '), 500)}`,
    `Arguments:`,
    ...argumentLines(args),
    `Answer by:  ${isoTime(subject.answerBy)}`,
    `Digest:     ${subject.actionDigest}`,
  ];
  return showCut(lines.join('\n'), MAX_ALL);
}
