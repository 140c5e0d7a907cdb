// What a tool of the rig answers: failures that did nothing or may have, in turn, and the attempts they leave on record.
import type { ErrorCode } from '../../src/base/errors.ts';
import type { ExecutionResult } from '../../src/kernel/execution/executor.ts';
import { OK } from './rig.ts';
import type { Rig } from './rig.ts';

export function failed(
  code: ErrorCode,
  sideEffect: 'not_executed' | 'side_effect_unknown',
  message = 'gone',
): ExecutionResult {
  return { kind: 'failed', code, message, sideEffect, notes: [] };
}

export const AWAY: ExecutionResult = failed('DOWNSTREAM_UNAVAILABLE', 'not_executed');
export const LOST: ExecutionResult = failed('DOWNSTREAM_UNAVAILABLE', 'side_effect_unknown');

/** The tool answers these in turn, the last one for ever. */
export function answers(rig: Rig, ...results: ExecutionResult[]): void {
  let n = 0;
  rig.tool.run = () => Promise.resolve(results[Math.min(n++, results.length - 1)] ?? OK);
}

export async function attemptsOf(rig: Rig): Promise<unknown> {
  const finish = (await rig.records()).filter((one) => one.header.type === 'call_finished').at(-1);
  return finish?.evidence.state === 'present' ? finish.evidence.value.attempts : undefined;
}
