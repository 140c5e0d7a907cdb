// What a run went through and why it ended, as an operator is told it.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import type { Policy } from '../../src/config/types.ts';
import { FAILURE_MODES, TERMINAL_REASONS } from '../../src/inspect/failure.ts';
import type { ExecutionResult } from '../../src/kernel/execution/executor.ts';
import { verifies } from '../e2e/verifies.ts';
import { CALLER, configFor, IO, OK, open, place } from './rig.ts';
import type { Bench } from './rig.ts';

const AWAY: ExecutionResult = {
  ...{ kind: 'failed', code: 'DOWNSTREAM_UNAVAILABLE', message: 'gone' },
  ...{ sideEffect: 'not_executed', notes: [] },
};

const SCHEMA: JsonObject = { type: 'object', properties: { n: { type: 'number' } } };

async function bench(
  onDeny: 'tell_model' | 'end_run' = 'tell_model',
  maxIterations = 100,
  more: Pick<Policy, 'onDeny' | 'onFailure'> = {},
): Promise<Bench> {
  const at = await place();
  const base = configFor(at);
  const [all] = base.policy.workspace.rules;
  const no = { ...all!, id: 'no', tools: ['ticket'], decision: 'deny' as const, onDeny };
  const workspace = { ...base.policy.workspace, rules: [all!, no] };
  const policy = { ...base.policy, workspace, loopBudget: { maxIterations }, ...more };
  const note = { ...base.capabilities.note!, inputSchema: SCHEMA };
  const config = { ...base, policy, capabilities: { ...base.capabilities, note } };
  const limits = { ...base.limits, maxTurnsPerSession: 100, maxToolCallsPerSession: 100 };
  return open(at, { config: { ...config, limits, runtime: { ...base.runtime, maxToolHops: 100 } } });
}

/** One run: each call follows the one before. What is told of it after each. */
async function story(made: Bench, steps: readonly (() => [string, JsonObject])[]): Promise<JsonObject[]> {
  const told: JsonObject[] = [];
  let more: Parameters<Bench['ask']>[2] = {};
  for (const step of steps) {
    const asked = await made.ask(...step(), more);
    await made.run(asked);
    const { tool_call_id, session_id, run_id } = asked;
    more = { session_id, messages: [{ role: 'tool', content: '', tool_call_id, tool_name: 'x' }] };
    told.push((await made.runtime.inspect(CALLER, 'run', run_id)).state);
  }
  const last = await made.turn(more);
  told.push((await made.runtime.inspect(CALLER, 'run', last.run_id)).state);
  return told;
}

const modes = (told: readonly JsonObject[]): unknown[] => told.map((one) => one.failure_mode);

/** What the tool answers from now on; after the list, that it is well. */
function answers({ tool }: Bench, ...results: (() => Promise<ExecutionResult>)[]): void {
  tool.run = () => (results.shift() ?? (() => Promise.resolve(OK)))();
}

verifies(
  ['RF-09'],
  'each failure of a run has a mode, the gravest is told, and a run that went on ends by its answer',
  async () => {
    const made = await bench();
    let n = 0;
    const call = (...results: (() => Promise<ExecutionResult>)[]): [string, JsonObject] => {
      answers(made, ...results);
      return ['note', { n: ++n }];
    };
    const away = (): Promise<ExecutionResult> => Promise.resolve(AWAY);
    const same = (): [string, JsonObject] => ['look', { same: true }];
    const told = await story(made, [
      () => call(),
      () => ['ticket', { key: 'k' }],
      () => call(() => Promise.reject(new TypeError('broken'))),
      () => call(away, () => Promise.reject(new TypeError('broken'))),
      () => call(away),
      () => call(away, away, away),
      ...[same, same, same, same],
      () => ['note', { n: 'text' }],
    ]);
    expect(modes(told)).toEqual([
      'none',
      'denied',
      'F5',
      'F5',
      'F1',
      'F2',
      'F2',
      'F2',
      'F2',
      'F4',
      'F3',
      'F3',
    ]);
    expect(told[0]).toMatchObject({ failure_name: 'none', terminal_reason: null });
    expect(told.at(-1)).toMatchObject({
      ...{ status: 'success', failure_name: 'schema_mismatch', terminal_reason: 'final_answer' },
    });
  },
);

test('what an executor threw is named in the record of its call', async () => {
  const made = await bench();
  answers(made, () => Promise.reject(new TypeError('broken')));
  const asked = await made.ask('note', { n: 1 });
  await made.run(asked);
  const { timeline } = await made.runtime.inspect(CALLER, 'request', asked.tool_call_id);
  expect(timeline.find(({ type }) => type === 'call_finished')).toMatchObject({
    attempts: [{ outcome: 'failed', error_class: 'TOOL_EXECUTION_FAILED', exception_class: 'TypeError' }],
  });
});

/** How the outcome of one call of `note` is told, each try answering in turn. */
async function finished(
  made: Bench,
  n: number,
  ...results: (() => Promise<ExecutionResult>)[]
): Promise<{ line: JsonObject | undefined; run: JsonObject }> {
  answers(made, ...results);
  const asked = await made.ask('note', { n });
  await made.run(asked);
  const { timeline } = await made.runtime.inspect(CALLER, 'request', asked.tool_call_id);
  const { state } = await made.runtime.inspect(CALLER, 'run', asked.run_id);
  return { line: timeline.find(({ type }) => type === 'call_finished'), run: state };
}

verifies(
  ['RF-02'],
  'every try of a call is told with its outcome, its wait, its error and its times, a first that succeeds too',
  async () => {
    const made = await bench();
    const takes =
      (ms: number, result: ExecutionResult): (() => Promise<ExecutionResult>) =>
      async () => {
        made.clock.advance(ms);
        return result;
      };
    const iso = (ms: number): string => new Date(ms).toISOString();
    const begun = made.clock.now();
    const once = await finished(made, 1, takes(200, OK));
    expect(once.line?.attempts).toEqual([
      {
        ...{ attempt: 1, outcome: 'success', backoff_ms: 0 },
        ...{ started_at: iso(begun), ended_at: iso(begun + 200) },
      },
    ]);
    const error = { error_class: 'DOWNSTREAM_UNAVAILABLE', error_message: 'gone' };
    const twice = await finished(made, 2, takes(300, AWAY), takes(400, OK));
    expect(twice.line?.attempts).toEqual([
      {
        ...{ attempt: 1, outcome: 'transient_failure', backoff_ms: expect.any(Number) as number, ...error },
        ...{ started_at: iso(begun + 200), ended_at: iso(begun + 500) },
      },
      {
        ...{ attempt: 2, outcome: 'success', backoff_ms: 0 },
        ...{ started_at: iso(begun + 500), ended_at: iso(begun + 900) },
      },
    ]);
    const away = (): Promise<ExecutionResult> => Promise.resolve(AWAY);
    const never = await finished(made, 3, away, away, away);
    expect(never.line?.attempts).toMatchObject([
      { attempt: 1, outcome: 'transient_failure', ...error },
      { attempt: 2, outcome: 'transient_failure', ...error },
      { attempt: 3, outcome: 'exhausted', backoff_ms: 0, ...error },
    ]);
    const thrown = await finished(made, 4, () => Promise.reject(new TypeError('broken')));
    expect(thrown.line?.attempts).toMatchObject([
      { attempt: 1, outcome: 'failed', error_class: 'TOOL_EXECUTION_FAILED', exception_class: 'TypeError' },
    ]);
    const denied = await made.ask('ticket', { key: 'k' });
    await made.run(denied);
    const { timeline } = await made.runtime.inspect(CALLER, 'request', denied.tool_call_id);
    const calls = timeline.filter((line) => line.type !== 'turn_completed');
    expect(calls.every((line) => line.attempts === undefined)).toBe(true); // nothing was tried
  },
);

async function managed(made: Bench): Promise<JsonObject> {
  const executeTurnInput = { messages: [{ role: 'user' as const, content: 'go' }] };
  const { run_id } = await made.runtime.managed.start(CALLER, { executeTurnInput }, {}, IO);
  return (await made.runtime.inspect(CALLER, 'run', run_id)).state;
}

const wantsAll = (made: Bench, ...calls: [name: string, rawInput: string][]): void =>
  made.model.next({
    text: '',
    toolCalls: calls.map(([name, rawInput], index) => ({ id: `native_${index}`, name, rawInput })),
    finishReason: 'tool_calls',
  });

const wants = (made: Bench, name: string, rawInput = '{"key":"k"}'): void => wantsAll(made, [name, rawInput]);

verifies(
  ['RF-04'],
  'a call that failed and then succeeded is told as that, beside others of its step, and the run goes on to its answer',
  async () => {
    const made = await bench();
    answers(made, () => Promise.resolve(AWAY));
    wantsAll(made, ['note', '{"n":1}'], ['note', '{"n":2}'], ['look', '{}']);
    const run = await managed(made);
    expect(run).toMatchObject({
      ...{ status: 'success', failure_mode: 'F1', failure_name: 'tool_call_failure' },
      terminal_reason: 'final_answer',
    });
    const { timeline } = await made.runtime.inspect(CALLER, 'run', run.run_id as string);
    const ended = timeline.filter(({ type }) => type === 'call_finished');
    expect(ended.map(({ attempts }) => (attempts as JsonObject[]).map(({ outcome }) => outcome))).toEqual([
      ['transient_failure', 'success'],
      ['success'],
      ['success'],
    ]);
    expect(ended.map(({ outcome }) => outcome)).toEqual(['success', 'success', 'success']);
    expect(made.effects).toHaveLength(4);
  },
);

verifies(
  { partial: ['RF-18'] },
  'a run that a rule, a budget or a fault ended says so, and one that was stopped says no reason',
  async () => {
    const denied = await bench('end_run');
    wants(denied, 'ticket');
    expect(await managed(denied)).toMatchObject({
      ...{ status: 'denied', failure_mode: 'denied', terminal_reason: 'policy_denial_terminal' },
    });

    const spent = await bench('tell_model', 1);
    wants(spent, 'look');
    expect(await managed(spent)).toMatchObject({
      ...{ status: 'failed', failure_mode: 'budget', terminal_reason: 'loop_budget' },
    });

    const failed = await bench();
    failed.model.next(new Error('no model'));
    expect(await managed(failed)).toMatchObject({
      ...{ status: 'failed', terminal_reason: 'failure_mode_terminal' },
    });

    const misfit = await bench();
    wants(misfit, 'note', '{"n":"text"}');
    expect(await managed(misfit)).toMatchObject({
      ...{ status: 'success', failure_mode: 'F3', terminal_reason: 'final_answer' },
    });
    expect(misfit.effects).toEqual([]);

    const waiting = await bench();
    wants(waiting, 'pay');
    const open = await managed(waiting);
    expect(open).toMatchObject({ status: 'waiting_for_approval', terminal_reason: null });
    await waiting.runtime.managed.cancel(CALLER, open.session_id as string, 'x');
    const { state } = await waiting.runtime.inspect(CALLER, 'run', open.run_id as string);
    expect(state).toMatchObject({ status: 'canceled', terminal_reason: null });
  },
);

const ENDS = 'end_run';

/** A managed run whose model asks for these at once, and what a resume of it comes to. */
async function ended(
  made: Bench,
  ...calls: [name: string, rawInput: string][]
): Promise<{ run: JsonObject; asked: number }> {
  wantsAll(made, ...calls);
  const run = await managed(made);
  const again = await made.runtime.managed.run(CALLER, run.session_id as string, {}, IO);
  expect(again).toMatchObject({ kind: 'error', stage: 'call_tool' });
  return { run, asked: made.model.inputs.length };
}

verifies(
  ['RF-06'],
  'arguments that break their schema are denied without an attempt, and end the run where its policy says so',
  async () => {
    const made = await bench('tell_model', 100, { onDeny: { arg_schema: ENDS } });
    const { run, asked } = await ended(made, ['look', '{}'], ['note', '{"n":"text"}']);
    expect(run).toMatchObject({
      ...{ status: 'denied', failure_mode: 'F3', failure_name: 'schema_mismatch' },
      terminal_reason: 'failure_mode_terminal',
    });
    expect(asked).toBe(1);
    expect(made.effects.map(({ capability }) => capability.id)).toEqual(['look']);
    const { timeline } = await made.runtime.inspect(CALLER, 'run', run.run_id as string);
    const ofNote = timeline.filter(({ tool }) => tool === 'note');
    expect(ofNote.map(({ type, rule_id, on_deny }) => [type, rule_id, on_deny])).toEqual([
      ['call_denied', 'arg_schema', ENDS],
    ]);

    const alone = await bench();
    const args = { n: 'text' };
    const direct = await alone.runtime.callCapability(CALLER, { tool: 'note', args }, IO);
    const { state } = await alone.runtime.inspect(CALLER, 'run', direct.run_id);
    expect(state).toMatchObject({
      ...{ status: 'denied', failure_mode: 'F3', terminal_reason: 'failure_mode_terminal' },
    });
    expect(alone.effects).toEqual([]);
  },
);

verifies(
  ['RF-07'],
  'the same call once more than it may is denied by the cycle rule, and ends the run where its policy says so',
  async () => {
    const made = await bench('tell_model', 100, { onDeny: { cycle_detection: ENDS } });
    for (let n = 0; n < 3; n++) wants(made, 'look', '{"same":true}');
    const { run, asked } = await ended(made, ['look', '{"same":true}']);
    expect(run).toMatchObject({
      ...{ status: 'denied', failure_mode: 'F4', failure_name: 'cycle_detection' },
      terminal_reason: 'policy_denial_terminal',
    });
    expect(asked).toBe(4);
    expect(made.effects).toHaveLength(3);
  },
);

verifies(
  ['RF-05'],
  'a call that failed at every try that it was allowed ends a run that is that call, and any other where its policy says so',
  async () => {
    const made = await bench('tell_model', 100, { onFailure: { retry_exhaustion: ENDS } });
    made.tool.run = () => Promise.resolve(AWAY);
    const { run, asked } = await ended(made, ['note', '{"n":1}']);
    const failed = {
      ...{ status: 'failed', failure_mode: 'F2', failure_name: 'retry_exhaustion' },
      terminal_reason: 'failure_mode_terminal',
    };
    expect(run).toMatchObject(failed);
    expect(asked).toBe(1);
    const { timeline } = await made.runtime.inspect(CALLER, 'run', run.run_id as string);
    expect(timeline.find(({ type }) => type === 'call_finished')).toMatchObject({
      ...{ on_failure: ENDS, attempts: [{}, {}, { outcome: 'exhausted' }] },
    });

    const hosted = await made.ask('note', { n: 2 });
    const first = await made.run(hosted);
    expect(first).toMatchObject({ status: 'tool_error', on_failure: ENDS });
    expect(await made.run(hosted)).toMatchObject({ status: 'tool_error', on_failure: ENDS });

    const told = await bench('tell_model', 100, { onFailure: { catalogued_unhandled: ENDS } });
    told.tool.run = () => Promise.resolve(AWAY);
    wants(told, 'note', '{"n":1}');
    expect(await managed(told)).toMatchObject({ failure_mode: 'F2', terminal_reason: 'final_answer' });
    const direct = await told.runtime.callCapability(CALLER, { tool: 'note', args: { n: 2 } }, IO);
    expect((await told.runtime.inspect(CALLER, 'run', direct.run_id)).state).toMatchObject(failed);
  },
);

verifies(
  ['RF-08'],
  'what an executor threw is recorded with its class and ends the run where its policy says so; an interrupt is none',
  async () => {
    const made = await bench('tell_model', 100, { onFailure: { catalogued_unhandled: ENDS } });
    answers(made, () => Promise.reject(new TypeError('broken')));
    const { run, asked } = await ended(made, ['look', '{}']);
    expect(run).toMatchObject({
      ...{ status: 'failed', failure_mode: 'F5', failure_name: 'catalogued_unhandled' },
      terminal_reason: 'failure_mode_terminal',
    });
    expect(asked).toBe(1);
    const { timeline } = await made.runtime.inspect(CALLER, 'run', run.run_id as string);
    expect(timeline.find(({ type }) => type === 'call_finished')).toMatchObject({
      attempts: [{ outcome: 'failed', exception_class: 'TypeError' }],
    });

    // Of a write nobody knows how far it came: that holds the run up, whatever the policy says of failures.
    answers(made, () => Promise.reject(new TypeError('broken')));
    wants(made, 'note', '{"n":1}');
    expect(await managed(made)).toMatchObject({ status: 'blocked_on_reconciliation', terminal_reason: null });

    const stop = new AbortController();
    made.tool.run = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new DOMException('stop', 'AbortError')));
        stop.abort();
      });
    wants(made, 'look');
    const executeTurnInput = { messages: [{ role: 'user' as const, content: 'go' }] };
    const io = { signal: stop.signal };
    const stopped = await made.runtime.managed.start(CALLER, { executeTurnInput }, {}, io);
    expect(stopped.kind).toBe('suspended');
    const { timeline: lines } = await made.runtime.inspect(CALLER, 'run', stopped.run_id);
    expect(lines.find(({ type }) => type === 'call_finished')).toMatchObject({
      ...{ status: 'canceled', error: { code: 'CANCELED' } },
    });
  },
);

test('the page about failures names every mode and every reason, and no other', () => {
  const text = readFileSync(new URL('../../docs/failures.md', import.meta.url), 'utf8');
  const tables = text.slice(0, text.indexOf('## Every try'));
  const named = [...tables.matchAll(/^\| `(\w+)`/gm)].map((found) => found[1]);
  expect(named).toEqual([...Object.keys(FAILURE_MODES), ...TERMINAL_REASONS]);
  for (const name of Object.values(FAILURE_MODES)) expect(text).toContain(`\`${name}\``);
});

test('a call that was canceled while it waited to be tried again did not fail', async () => {
  const made = await bench();
  const stop = new AbortController();
  made.tool.run = () => {
    stop.abort();
    return Promise.resolve(AWAY);
  };
  const io = { ...IO, signal: stop.signal };
  const direct = await made.runtime.callCapability(CALLER, { tool: 'note', args: { n: 1 } }, io);
  expect(direct.status).toBe('canceled');
  const { state, timeline } = await made.runtime.inspect(CALLER, 'run', direct.run_id);
  expect(state).toMatchObject({ failure_mode: 'none', terminal_reason: null });
  expect(timeline.find(({ type }) => type === 'call_finished')).toMatchObject({
    attempts: [{ outcome: 'transient_failure', backoff_ms: 0, error_class: 'DOWNSTREAM_UNAVAILABLE' }],
  });
});
