// Owns `workflows`: a file of nodes is checked, run, looked at, resumed, drawn and canceled.
import { basename } from 'node:path';
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Caller } from '../../kernel/identity.ts';
import type { WaitingNode, WorkflowLooks } from '../../pack/workflows/contract.ts';
import type { WorkflowDefinition } from '../../pack/workflows/definition.ts';
import { knownNames } from '../../pack/workflows/check-nodes.ts';
import { workflowLooks } from '../../pack/workflows/look.ts';
import { parseWorkflowYaml } from '../../pack/workflows/parse.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { localCaller } from '../identity.ts';
import { withStore } from '../open-store.ts';
import { cell, facts, textTable } from '../print.ts';
import { withRuntime } from '../with-runtime.ts';
import type { AtWork } from '../with-runtime.ts';
import { loadAny } from '../trusted-config.ts';
import { printWork, progressOn } from '../work-view.ts';
import { invocation, readText } from './sessions.ts';
import type { RunOptions } from './sessions.ts';

const LONGEST_REASON = 300;

/** YAML, and so JSON too. Throws INVALID_INPUT with every problem and its place. */
async function definitionAt(context: Context, path: string): Promise<WorkflowDefinition> {
  const file = basename(path);
  const text = await readText(path);
  const read = await parseWorkflowYaml(file, text, knownNames(await loadAny(context)));
  if (read.ok) return read.definition;
  const problems = read.problems.map(({ sentence, line = 1, column = 1, path: at }) => ({
    ...{ file, line, column, path: at },
    message: sentence,
  }));
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  throw new RuntimeError('INVALID_INPUT', `The workflow in ${file} has ${count}; nothing was started.`, {
    field: problems[0]?.path ?? '/',
    problems,
  });
}

export async function checkWorkflow(context: Context, path: string): Promise<Exit> {
  const { nodes } = await definitionAt(context, path);
  const ids = nodes.map((node) => node.id);
  await context.print.result(
    { ok: true, nodes: ids },
    () => `It can run: ${ids.length === 1 ? 'one node' : `${ids.length} nodes`}, ${ids.join(', ')}.`,
  );
  return EXIT.ok;
}

export async function runWorkflow(context: Context, path: string, options: RunOptions): Promise<Exit> {
  const workflow = (await definitionAt(context, path)) as unknown as JsonObject;
  const answer = await withRuntime(context, ({ runtime, caller, signal }) =>
    runtime.startWorkflow(
      caller,
      { workflow, ...invocation(options) },
      { progress: progressOn(context), signal },
    ),
  );
  return printWork(context, 'workflows', answer);
}

export async function resumeWorkflow(context: Context, id: string, options: RunOptions): Promise<Exit> {
  const resume = { session_id: id, ...invocation(options) };
  const answer = await withRuntime(context, ({ runtime, caller, signal }) =>
    runtime.resumeWorkflow(caller, resume, { progress: progressOn(context), signal }),
  );
  return printWork(context, 'workflows', answer);
}

/** Straight from the journal: looking needs no trust, and makes nothing. */
async function looking<T>(
  context: Context,
  look: (looks: WorkflowLooks, caller: Caller) => Promise<T>,
): Promise<T> {
  const { identity } = await loadAny(context);
  return withStore(context, (store) => look(workflowLooks(store), localCaller(identity)));
}

export async function showWorkflow(context: Context, id: string): Promise<Exit> {
  const view = await looking(context, async (looks, caller) => ({
    state: await looks.inspect(caller, id),
    continuations: await looks.continuations(caller, id),
  }));
  const { state, continuations } = view;
  await context.print.result(view, async () =>
    [
      facts([
        ['workflow', state.session_id],
        ['status', state.status],
        ['over', state.over ? 'yes' : 'no'],
      ]),
      await textTable(
        ['node', 'status', 'waits for'],
        state.nodes.map(({ node_id: node, status }) => [node, status, waitOf(state.waiting_nodes, node)]),
        LONGEST_REASON,
      ),
      await textTable(
        ['at', 'what', 'node', 'reason'],
        continuations.map((one) => [one.timestamp, one.kind, one.node_id, one.reason]),
        LONGEST_REASON,
      ),
    ].join('\n\n'),
  );
  return EXIT.ok;
}

function waitOf(waiting: readonly WaitingNode[], node: string): string {
  const found = waiting.find((one) => one.node_id === node);
  switch (found?.needs) {
    case 'approval':
      return `approval ${found.pending_request_id}`;
    case 'resume':
      return found.reason;
    case 'time':
      return found.wake_at;
    case undefined:
      return '';
  }
}

/** Mermaid for people and pages, the same as JSON with --json. */
export async function graphWorkflow(context: Context, id: string): Promise<Exit> {
  const graph = await looking(context, (looks, caller) => looks.graph(caller, id));
  await context.print.result(graph.json, () => graph.mermaid);
  return EXIT.ok;
}

/** Carries out queued and due work until it is told to stop. */
export async function work(context: Context): Promise<Exit> {
  const until = async ({ runtime, signal }: AtWork): Promise<void> => {
    await runtime.startWorker();
    context.print.remark(`Working in ${cell(context.workspace, 200)}; stop with Ctrl-C.`);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
  };
  await withRuntime(context, until, { serves: true });
  return EXIT.ok;
}
