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
