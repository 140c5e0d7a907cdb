// Owns what a person sees while the demo runs: one line for each step, with the decision and its rule. Text of tools and
// models is shown with its hidden characters visible.
import { showCut } from '../../base/text.ts';
import type { CallAnswer } from '../../runtime/contract.ts';
import type { RequestedTool, TurnOutput } from '../../pack/turn/contract.ts';
import type { Printer, Style } from '../print.ts';

export interface Teller {
  title(text: string): void;
  note(text: string): void;
  asked(text: string): void;
  said(turn: TurnOutput): void;
  requested(tool: RequestedTool): void;
  answered(answer: CallAnswer): void;
  question(text: string): void;
}

const WIDTH = 96;

const STATUS_STYLE: Record<CallAnswer['status'], Style> = {
  done: 'green',
  tool_error: 'red',
  denied: 'red',
  approval_required: 'yellow',
  input_required: 'yellow',
  permitted: 'green',
  unknown: 'red',
  expired: 'yellow',
  canceled: 'yellow',
};

function firstText(answer: CallAnswer): string {
  const block = answer.result?.content.find((one) => one.type === 'text');
  return typeof block?.text === 'string' ? showCut(block.text.replaceAll('\n', ' '), WIDTH) : '';
}

function detailOf(answer: CallAnswer): string {
  if (answer.status === 'denied') return answer.decision.reasons[0] ?? '';
  if (answer.status === 'approval_required') return `approval ${answer.approval?.approval_id ?? ''} is open`;
  return answer.error?.message ?? firstText(answer);
}

/** Writes to standard error, so that standard output stays for the result. */
export function createTeller(print: Printer): Teller {
  const line = (text: string): void => {
    print.remark(text);
  };
  return {
    title(text) {
      line('');
      line(print.style('bold', text));
    },
    note: (text) => {
      line(print.style('dim', `  ${text}`));
    },
    asked: (text) => {
      line(`  person   ${showCut(text, WIDTH)}`);
    },
    said(turn) {
      const text = showCut(turn.assistant_message.replaceAll('\n', ' '), WIDTH);
      line(`  model    ${text}${turn.status === 'tool_request' ? '' : ` [${turn.status}]`}`);
    },
    requested(tool) {
      const { decision, rule_id } = tool.decision;
      const input = showCut(JSON.stringify(tool.input), WIDTH);
      line(`  wants    ${tool.name} ${input}`);
      line(print.style('dim', `           decided ${decision} by ${rule_id} (${tool.decision.layer})`));
    },
    answered(answer) {
      const replay = answer.result?.replayed === true ? ', answered from the record of the first call' : '';
      const status = print.style(STATUS_STYLE[answer.status], answer.status);
      line(`  kernel   ${status} by ${answer.decision.rule_id}${replay}`);
      const detail = detailOf(answer);
      if (detail !== '') line(`           ${showCut(detail, WIDTH)}`);
    },
    question(text) {
      for (const one of text.split('\n')) line(print.style('yellow', `  │ ${one}`));
    },
  };
}
