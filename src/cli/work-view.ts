// Owns how work that outlives a command is shown to the person who runs it: while it goes on, and how far it came.
import type { Progress } from '../kernel/execution/executor.ts';
import type { WorkAnswer } from '../pack/managed/surface.ts';
import type { Context } from './context.ts';
import { EXIT } from './exits.ts';
import type { Exit } from './exits.ts';
import { cell, facts } from './print.ts';

/** A line for each step, on standard error, where somebody looks. */
export function progressOn({ print }: Context): (progress: Progress) => void {
  return ({ message }) => {
    if (message !== undefined && process.stderr.isTTY)
      print.remark(print.style('dim', `  … ${cell(message, 200)}`));
  };
}

/** What a person does next, as something to type. */
function nextStep(
  kind: 'sessions' | 'workflows',
  { kind: end, session_id: id, ...answer }: WorkAnswer,
): string[] {
  switch (end) {
    case 'approval_required': {
      const ids = answer.waiting?.map((one) => one.pending_request_id) ?? [answer.pending_request_id ?? ''];
      return [
        ...ids.map((one) => `answer it:  agent-runtime approvals resolve ${one}`),
        `then:       agent-runtime ${kind} resume ${id}`,
      ];
    }
    case 'suspended':
      return [`go on:      agent-runtime ${kind} resume ${id}`];
    case 'queued':
    case 'in_progress':
    case 'scheduled':
      return [`look:       agent-runtime ${kind} show ${id}`];
    case 'completed':
    case 'canceled':
    case 'expired':
    case 'error':
      return [];
  }
}

function summary(answer: WorkAnswer): [string, unknown][] {
  const said = (answer.final_turn ?? answer.last_turn)?.assistant_message;
  const shown: [string, unknown][] = [
    ['session', answer.session_id],
    ['outcome', answer.kind],
    ['status', answer.status],
    ['said', said],
    ['waits for', answer.requested_tool?.name],
    ['node', answer.node_id],
    ['reason', answer.reason],
    ['wakes at', answer.next_wake_at],
    ['position', answer.position],
    ['completed', answer.completed_node_ids?.join(', ')],
    ['error', answer.error === undefined ? undefined : `${answer.error.code}: ${answer.error.message}`],
  ];
  return shown.filter(([, value]) => value !== undefined && value !== '');
}

/** Waiting is no failure; only work that failed ends with one. */
export async function printWork(
  context: Context,
  kind: 'sessions' | 'workflows',
  answer: WorkAnswer,
): Promise<Exit> {
  await context.print.result(answer, () =>
    [facts(summary(answer)), ...nextStep(kind, answer).map((line) => `\n${line}`)].join(''),
  );
  return answer.kind === 'error' || answer.kind === 'expired' ? EXIT.check : EXIT.ok;
}
