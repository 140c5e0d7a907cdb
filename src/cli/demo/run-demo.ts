// Owns the demo: a temporary workspace, the pinned example servers, the three stories told against a server process of
// its own, and the verification of what they left behind.
import { mkdtempSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../base/clock.ts';
import { RuntimeError } from '../../base/errors.ts';
import { randomIds } from '../../base/ids.ts';
import { verifyStore } from '../../inspect/evidence.ts';
import type { Log, RuntimeHandle } from '../../runtime/options.ts';
import type { CallAnswer } from '../../runtime/contract.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { localAnswerer } from '../identity.ts';
import { askDecision, findTerminal } from '../terminal.ts';
import type { Choice } from '../terminal.ts';
import { loadTrusted } from '../trusted-config.ts';
import { connectHost, readingTime } from './host.ts';
import type { Answerer, Host } from './host.ts';
import { assertEnded, tell } from './stories.ts';
import { createTeller } from './teller.ts';
import type { Teller } from './teller.ts';

export interface DemoSettings {
  /** Answer every question with yes instead of asking. */
  yes: boolean;
}

interface Stage {
  context: Context;
  teller: Teller;
  runtime: RuntimeHandle;
  settings: DemoSettings;
}

/** The same machine, but a workspace and a state directory that nobody else has. */
function stageContext(context: Context): Context {
  const root = mkdtempSync(join(tmpdir(), 'agent-runtime-demo-'));
  const workspace = join(root, 'workspace');
  mkdirSync(workspace);
  const configDirectory = join(context.packageRoot, 'configs');
  return {
    ...context,
    workspace,
    stateDirectory: join(root, 'state'),
    configDirectory,
    configSource: 'bundled',
  };
}

/** What goes otherwise than configured is told once: a server that this machine cannot confine, above all. */
function warnings(teller: Teller): Log {
  const told = new Set<string>();
  return (level, message, { server, reason } = {}) => {
    const text = [message, server, reason].filter((one) => typeof one === 'string').join(': ');
    if ((level !== 'warn' && level !== 'error') || told.has(text)) return;
    told.add(text);
    teller.note(`warning: ${text}`);
  };
}

async function openStage(context: Context, teller: Teller, settings: DemoSettings): Promise<Stage> {
  const config = await loadTrusted(context);
  const { createRuntime } = await import('../../runtime/runtime.ts');
  const { workspace, stateDirectory, env } = context;
  const runtime = await createRuntime({
    config,
    workspace,
    stateDirectory,
    // The shop keeps its tickets with the demo, so that two demos do not see each other's.
    env,
    clock: systemClock,
    ids: randomIds,
    log: warnings(teller),
  });
  return { context, teller, runtime, settings };
}

async function pinAll({ runtime, teller }: Stage): Promise<void> {
  for (const server of Object.keys(runtime.config.servers)) {
    const pinned = await runtime.pin(server, (await runtime.pin(server)).digest);
    teller.note(
      `pinned ${pinned.tools.length} tools of ${server}: from now on, any change of them is denied`,
    );
  }
}

function connect(stage: Stage, answer: Answerer): Promise<Host> {
  const { context } = stage;
  const main = fileURLToPath(new URL('../main.js', import.meta.url));
  const env: Record<string, string> = { AGENT_RUNTIME_STATE: context.stateDirectory };
  for (const name of ['PATH', 'HOME', 'TMPDIR', 'LANG']) {
    const value = context.env[name];
    if (value !== undefined) env[name] = value;
  }
  const args = [main, 'serve', '--workspace', context.workspace, '--config', context.configDirectory];
  return connectHost({ command: process.execPath, args, env, answer });
}

/** Shows the question and answers it: by the person, or with `--yes` as this story needs it. */
function personAnswers(stage: Stage, scripted: Choice): Answerer {
  const { teller, settings } = stage;
  return async (text) => {
    teller.question(text);
    const terminal = settings.yes ? undefined : findTerminal();
    if (terminal === undefined) {
      await readingTime();
      teller.note(`--yes: the person answers ${scripted}`);
      return { action: 'accept', content: { decision: scripted } };
    }
    const decision = await askDecision(terminal, scripted);
    return decision === undefined ? { action: 'decline' } : { action: 'accept', content: { decision } };
  };
}

async function approvedStory(stage: Stage): Promise<void> {
  stage.teller.title('1. A question that needs a ticket');
  const host = await connect(stage, personAnswers(stage, 'approve'));
  try {
    const story = await tell(host, stage.teller, {
      ask: 'The password reset mail of customer 4711 does not arrive.',
      profile: 'demo',
    });
    if (!stage.settings.yes) return;
    assertEnded('approved', story.answers, [
      { status: 'done' },
      { status: 'done' },
      { status: 'denied', rule: 'sandbox_path' },
      { status: 'done', replayed: false },
      { status: 'done', replayed: true },
    ]);
  } finally {
    await host.close();
  }
}

async function rejectedStory(stage: Stage): Promise<void> {
  stage.teller.title('2. The person says no');
  const host = await connect(stage, personAnswers(stage, 'reject'));
  try {
    const story = await tell(host, stage.teller, { ask: 'Refund 640 to customer 4712.', profile: 'ticket' });
    if (stage.settings.yes) assertEnded('rejected', story.answers, [{ status: 'denied' }]);
  } finally {
    await host.close();
  }
}

/** A line for any folder; a name alone could be another program there, or another package. */
function typed({ stateDirectory, workspace }: Context, command: string): string {
  const main = fileURLToPath(new URL('../main.js', import.meta.url));
  const path = /\s/.test(main) ? `'${main}'` : main;
  return `AGENT_RUNTIME_STATE=${stateDirectory} node ${path} ${command} --workspace ${workspace}`;
}

/** The approval is answered by another process of the same user, as `agent-runtime approvals resolve` does. */
async function answerElsewhere(stage: Stage, answer: CallAnswer): Promise<void> {
  const { runtime, teller, context, settings } = stage;
  const id = answer.approval?.approval_id ?? '';
  if (settings.yes || findTerminal() === undefined) {
    teller.note('--yes: this process, a second one of the same user, answers approve as a terminal would');
    await runtime.deliverApproval(localAnswerer(runtime.config.identity), id, {
      kind: 'answered',
      decision: 'approve',
      latencyMs: 0,
    });
    return;
  }
  teller.note('Answer it in a second terminal, then the story goes on:');
  teller.note(typed(context, `approvals resolve ${id}`));
  await answered(stage, id);
}

/** Resolves when the approval is no longer pending; looks again at each new record of the journal. */
async function answered({ runtime }: Stage, id: string): Promise<void> {
  const { tenant } = localAnswerer(runtime.config.identity);
  const { signal } = new AbortController();
  let position = 0;
  for (;;) {
    const approval = await runtime.kernel.approvalFor(tenant, id);
    if (approval?.state !== 'pending') return;
    const latest = await runtime.store.scan({ tenant, after: position, limit: 1000 });
    position = latest.at(-1)?.position ?? position;
    if (latest.length === 0) await runtime.store.changed(position, signal);
  }
}

async function notShownStory(stage: Stage): Promise<void> {
  stage.teller.title('3. The client never shows the question');
  // Some hosts decline by themselves. That is no person's answer, and is never recorded as one.
  const host = await connect(stage, () => Promise.resolve({ action: 'decline' }));
  try {
    const story = await tell(host, stage.teller, {
      ask: 'Refund 640 to customer 4713.',
      profile: 'ticket',
      whenWaiting: (answer) => answerElsewhere(stage, answer),
    });
    if (stage.settings.yes) assertEnded('not shown', story.answers, [{ status: 'done' }]);
  } finally {
    await host.close();
  }
}

async function verified(stage: Stage): Promise<void> {
  const { runtime, teller, context } = stage;
  const verdict = await verifyStore(runtime.store);
  if (!verdict.ok) throw new RuntimeError('STORE_CORRUPT', 'The evidence of the demo does not verify.');
  teller.title('What is left');
  teller.note(
    `evidence: ${verdict.records} records in ${verdict.chains} chains, every hash and link verified`,
  );
  teller.note(`completeness: ${verdict.completeness} (save the heads elsewhere to find a cut tail)`);
  teller.note('Look around:');
  for (const command of ['requests list', 'approvals list --status all', 'evidence verify']) {
    teller.note(`  ${typed(context, command)}`);
  }
}

/** Tells the three stories. Throws when one goes otherwise than it promises. */
export async function runDemo(context: Context, settings: DemoSettings): Promise<Exit> {
  const teller = createTeller(context.print);
  if (!settings.yes && findTerminal() === undefined) {
    throw new RuntimeError(
      'USAGE',
      'The demo asks questions, so it needs a terminal. Without one: demo --yes.',
    );
  }
  const own = stageContext(context);
  teller.title('Agent Runtime Pack: one support desk, three stories');
  const stage = await openStage(own, teller, settings);
  try {
    await pinAll(stage);
    await approvedStory(stage);
    await rejectedStory(stage);
    await notShownStory(stage);
    await verified(stage);
    await context.print.result(
      { workspace: own.workspace, stories: 3 },
      () => `\nAll three stories ended as they should.`,
    );
    return EXIT.ok;
  } finally {
    await stage.runtime.close();
  }
}
