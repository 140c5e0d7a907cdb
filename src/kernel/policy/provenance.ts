// Owns the built-in rule about where arguments come from: what steers an effect and stands only in untrusted text is shown
// to a person first; an id that a read of the same server returned is what reading is for.
//
// P1: a tool without roles costs nothing here.
// P2: without a past to rely on, a tool with such roles is denied.
import type { RuleContext } from './access-rules.ts';
import type { Verdicted } from './decision.ts';
import { isPast, LEAST_CHARACTERS } from './past.ts';
import type { Labels, Past, Source } from './past.ts';
import type { ArgumentRole, Plan, ToolPlan } from './plan.ts';
import { deny, verdict } from './verdict.ts';
import { isBeneath, pointerOf, wholeLeaves } from './walk.ts';
import type { Leaf } from './walk.ts';

// Hosts are short, and one is enough to send something away.
const LEAST_HOST = 4;
const MAX_PARTS = 64;

interface Finding {
  pointer: string;
  part: string;
  role: ArgumentRole['role'];
  source: Source;
}

/** What in a text could name somebody or something: the whole, its words, and the hosts of its URLs. */
function partsOf(text: string): string[] {
  const words = text.split(/[\s,;<>"'`()|&=?]+/);
  const pieces = words
    .flatMap((word) => [word, ...word.split(/[/:#]+/)])
    .filter((one) => one.length >= LEAST_CHARACTERS);
  const hosts = [...text.matchAll(/[a-z][a-z0-9+.-]*:\/\/(?:[^/?#\s@]*@)?([^/?#\s:]+)/gi)].map(
    ([, host]) => host ?? '',
  );
  const own = text.length >= LEAST_CHARACTERS ? [text] : [];
  return [...new Set([...own, ...pieces, ...hosts.filter((host) => host.length >= LEAST_HOST)])];
}

/** Whether a reference came from a read of the tool's own server. */
function isLookedUp({ untrusted }: Labels, server: string | undefined): boolean {
  return untrusted.some((source) => source.isRead && source.server !== undefined && source.server === server);
}

function findingIn(
  leaf: Leaf,
  role: ArgumentRole['role'],
  past: Past,
  server: string | undefined,
): Finding | undefined {
  const whole = past.labels(leaf.text);
  if (leaf.text.length >= LEAST_CHARACTERS && whole.user) return undefined;
  const parts =
    role === 'reference' ? [leaf.text].filter((text) => text.length >= LEAST_CHARACTERS) : partsOf(leaf.text);
  if (parts.length > MAX_PARTS) {
    const source = { record: 'more parts than are looked up', isRead: false };
    return { pointer: pointerOf(leaf.trail), part: leaf.text, role, source };
  }
  for (const part of parts) {
    const labels = past.labels(part);
    const [source] = labels.untrusted;
    if (labels.user || source === undefined) continue;
    if (role === 'reference' && isLookedUp(labels, server)) continue;
    return { pointer: pointerOf(leaf.trail), part, role, source };
  }
  return undefined;
}

function sourceText({ record, tool }: Source): string {
  return tool === undefined ? record : `the result of ${tool} (${record})`;
}

function demand(plan: Plan, { pointer, part, role, source }: Finding, tool: ToolPlan): Verdicted {
  const shown = JSON.stringify(plan.quote(part, 120));
  const reason = `the ${role} ${pointer} holds ${shown}, which stands in ${sourceText(source)} and in nothing that the user said`;
  const made = verdict('approval_required', 'capability_rule', reason, {
    aliases: ['untrusted_argument', 'kernel.policy.approval-required'],
    attributes: {
      'policy.tool': tool.capability.id,
      'policy.argument': pointer,
      'policy.argument_role': role,
      'policy.argument_source': source.record,
    },
  });
  return { ...made, rememberable: false };
}

/** Adds a demand for each argument that steers the effect and is not the user's. */
export function checkProvenance({ plan, input, found }: RuleContext, tool: ToolPlan): void {
  const roles = tool.roles.filter(({ role }) => role !== 'content');
  if (roles.length === 0) return;
  const { past } = input;
  if (past === undefined || !isPast(past)) {
    const why = past?.why ?? 'nothing of it was gathered';
    const reason = `where the arguments of ${tool.capability.id} come from cannot be told: ${why}`;
    found.push(deny('capability_rule', reason, { aliases: ['untrusted_argument', 'cap_410'] }));
    return;
  }
  for (const leaf of wholeLeaves(input.args)) {
    const own = roles.find(({ tokens }) => isBeneath(leaf, tokens));
    if (own === undefined) continue;
    const finding = findingIn(leaf, own.role, past, tool.capability.server);
    if (finding !== undefined) found.push(demand(plan, finding, tool));
  }
}
