// Owns what the configuration lets a caller do with work that outlives a request. It is judged where somebody asks for it:
// a workflow that carries its nodes on, or ends them because it ends itself, asks for nothing.
import { RuntimeError } from '../../base/errors.ts';
import type { RuntimeConfig } from '../../config/types.ts';

function denied(what: string, field: string): RuntimeError {
  return new RuntimeError('POLICY_DENIED', `The configuration does not allow to ${what} a run.`, {
    rule_id: 'run_precheck',
    field,
  });
}

export function assertMayResume({ controls }: RuntimeConfig): void {
  if (!controls.resumeAllowed) throw denied('resume', 'runtime_controls.resume_allowed');
}

export function assertMayCancel({ runtime }: RuntimeConfig): void {
  if (!runtime.background.allowCancel) throw denied('cancel', 'runtime.background.allow_cancel');
}

/** The setting that keeps runs out of the background; undefined: they may go there. */
export function noBackground({ runtime, controls }: RuntimeConfig): string | undefined {
  if (!runtime.background.enabled) return 'runtime.background.enabled';
  return controls.backgroundModeAllowed ? undefined : 'runtime_controls.background_mode_allowed';
}

export function assertMayQueue(config: RuntimeConfig): void {
  const field = noBackground(config);
  if (field === undefined) return;
  throw new RuntimeError('POLICY_DENIED', 'The configuration does not allow runs in the background.', {
    rule_id: 'run_precheck',
    field,
  });
}
