// Owns the step between an event and its record, both ways: what stands in the evidence, and what is read back from it.
// The same reading serves records from the store and those just committed, so the two cannot differ.
import type { ErrorCode } from '../../base/errors.ts';
import { isObject } from '../../base/json.ts';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import type { LoopError } from '../loop/client-port.ts';
import { REASONS } from '../managed/next-step.ts';
import type { SuspendedWhy } from '../managed/state.ts';
import { numberAt, objectAt, objectsAt, textAt } from '../records.ts';
import type { NodeEvent, SkipReason, WorkflowEvent } from './state.ts';

/** Every type that a workflow appends. */
export const WORKFLOW_RECORDS = [
  'workflow_started',
  'workflow_resumed',
  'workflow_interrupted',
  'node_ready',
  'join_ready',
  'node_scheduled',
  'wakeup_fired',
  'node_started',
  'node_waiting',
  'node_suspended',
  'node_completed',
  'node_retried',
  'loop_iterated',
  'node_failed',
  'node_skipped',
  'compensation_started',
  'node_compensated',
  'compensation_retried',
  'compensation_failed',
  'cancel_requested',
  'workflow_completed',
  'workflow_failed',
  'workflow_canceled',
] as const;

/** An event on its way to its record. */
export interface WorkflowDraft {
  event: Exclude<WorkflowEvent, { type: 'passed' | 'workflow_started' }>;
  /** Shown beside what the event itself says; redacted with it. */
  shown?: JsonObject;
  sealed?: JsonValue;
}

function errorEvidence({ code, message }: LoopError): JsonObject {
  return { code, message };
}

function errorFrom(evidence: JsonObject): LoopError {
  const error = objectAt(evidence, 'error');
  return {
    code: (textAt(error, 'code') ?? 'INTERNAL') as ErrorCode,
    message: textAt(error, 'message') ?? '',
  };
}

export function turnsEvidence(maxTurns: number | undefined): JsonObject {
  return maxTurns === undefined ? {} : { max_turns: maxTurns };
}

function turnsFrom(evidence: JsonObject): { maxTurns?: number } {
  const maxTurns = numberAt(evidence, 'max_turns');
  return maxTurns === undefined ? {} : { maxTurns };
}

type Drafted = WorkflowDraft['event'];

function nodeEvidence(event: NodeEvent): JsonObject {
  const { node, type: _type, ...rest } = event;
  const facts: JsonObject = { node_id: node };
  if ('sessionId' in rest) facts.session_id = rest.sessionId;
  if ('attempt' in rest) facts.attempt = rest.attempt;
  if ('iteration' in rest) facts.iteration = rest.iteration;
  if ('wakeAt' in rest) facts.wake_at = rest.wakeAt;
  if ('why' in rest) facts.why = rest.why;
  if ('requestId' in rest) facts.request_id = rest.requestId;
  if ('reason' in rest) facts.reason = rest.reason;
  if ('error' in rest) facts.error = errorEvidence(rest.error);
  return facts;
}

/** What of an event stands in the evidence of its record. */
export function evidenceOf(event: Drafted): JsonObject {
  if ('node' in event) return nodeEvidence(event);
  switch (event.type) {
    case 'workflow_resumed':
      return turnsEvidence(event.maxTurns);
    case 'workflow_completed':
      return {};
    case 'workflow_interrupted':
    case 'cancel_requested':
    case 'workflow_canceled':
      return { reason: event.reason };
    case 'workflow_failed':
      return { node_id: event.nodeId, error: errorEvidence(event.error) };
  }
}

const SKIPS: ReadonlySet<string> = new Set<SkipReason>([
  'condition',
  'dependencies_skipped',
  'dependency_failed',
]);

function scheduled(evidence: JsonObject, node: string): NodeEvent {
  const why = evidence.why === 'held' ? 'held' : 'wake_at';
  return { type: 'node_scheduled', node, wakeAt: numberAt(evidence, 'wake_at') ?? 0, why };
}

function skipped(evidence: JsonObject, node: string): NodeEvent {
  const reason = textAt(evidence, 'reason') ?? '';
  return { type: 'node_skipped', node, reason: SKIPS.has(reason) ? (reason as SkipReason) : 'condition' };
}

function isWhy(why: string): why is SuspendedWhy {
  return Object.hasOwn(REASONS, why);
}

/** A record of an earlier version has the sentence alone. */
function suspended(evidence: JsonObject, node: string): NodeEvent {
  const reason = textAt(evidence, 'reason') ?? '';
  const said = Object.entries(REASONS).find(([, sentence]) => sentence === reason);
  const why = textAt(evidence, 'why') ?? said?.[0] ?? '';
  return { type: 'node_suspended', node, ...(isWhy(why) ? { why } : {}), reason };
}

type Reader = (evidence: JsonObject, node: string) => NodeEvent;

const READERS: Readonly<Record<NodeEvent['type'], Reader>> = {
  node_ready: (_evidence, node) => ({ type: 'node_ready', node }),
  join_ready: (_evidence, node) => ({ type: 'join_ready', node }),
  node_scheduled: scheduled,
  wakeup_fired: (_evidence, node) => ({ type: 'wakeup_fired', node }),
  node_started: (evidence, node) => ({
    type: 'node_started',
    node,
    sessionId: textAt(evidence, 'session_id') ?? '',
    attempt: numberAt(evidence, 'attempt') ?? 1,
    iteration: numberAt(evidence, 'iteration') ?? 1,
  }),
  node_waiting: (evidence, node) => ({
    type: 'node_waiting',
    node,
    requestId: textAt(evidence, 'request_id') ?? '',
  }),
  node_suspended: suspended,
  node_completed: (_evidence, node) => ({ type: 'node_completed', node }),
  node_retried: (evidence, node) => ({
    type: 'node_retried',
    node,
    wakeAt: numberAt(evidence, 'wake_at') ?? 0,
    error: errorFrom(evidence),
  }),
  loop_iterated: (_evidence, node) => ({ type: 'loop_iterated', node }),
  node_failed: (evidence, node) => ({ type: 'node_failed', node, error: errorFrom(evidence) }),
  node_skipped: skipped,
  compensation_started: (evidence, node) => ({
    type: 'compensation_started',
    node,
    sessionId: textAt(evidence, 'session_id') ?? '',
    attempt: numberAt(evidence, 'attempt') ?? 1,
  }),
  node_compensated: (_evidence, node) => ({ type: 'node_compensated', node }),
  compensation_retried: (evidence, node) => ({
    type: 'compensation_retried',
    node,
    wakeAt: numberAt(evidence, 'wake_at') ?? 0,
    error: errorFrom(evidence),
  }),
  compensation_failed: (evidence, node) => ({
    type: 'compensation_failed',
    node,
    error: errorFrom(evidence),
  }),
};

function isNodeEvent(type: string): type is NodeEvent['type'] {
  return Object.hasOwn(READERS, type);
}

/** The event that a record means for its workflow. Total. */
export function eventOf(type: string, evidence: JsonObject | undefined): WorkflowEvent {
  if (evidence === undefined) return { type: 'passed' };
  if (isNodeEvent(type)) return READERS[type](evidence, textAt(evidence, 'node_id') ?? '');
  const reason = textAt(evidence, 'reason') ?? '';
  switch (type) {
    case 'workflow_started': {
      const nodes = objectsAt(evidence, 'nodes').map((node) => textAt(node, 'node_id') ?? '');
      return { type, nodes, ...turnsFrom(evidence) };
    }
    case 'workflow_resumed':
      return { type, ...turnsFrom(evidence) };
    case 'workflow_completed':
      return { type };
    case 'workflow_interrupted':
    case 'cancel_requested':
    case 'workflow_canceled':
      return { type, reason };
    case 'workflow_failed':
      return { type, nodeId: textAt(evidence, 'node_id') ?? '', error: errorFrom(evidence) };
    default:
      return { type: 'passed' };
  }
}

/** A value that this file sealed, as an object. */
export function sealedObject(value: JsonValue): JsonObject {
  return isObject(value) ? value : {};
}
