// The joined runtime over a temporary workspace with the real SQLite journal, a model and a tool that the test controls.
import { mkdir, mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import type { RuntimeConfig } from '../../src/config/types.ts';
import type { Execution, ExecutionResult } from '../../src/kernel/execution/executor.ts';
import type { Caller } from '../../src/kernel/identity.ts';
import type { TurnInput, TurnOutput } from '../../src/pack/turn/contract.ts';
import type { CallAnswer, Inspection } from '../../src/runtime/contract.ts';
import type { RuntimeHandle, RuntimeOptions } from '../../src/runtime/options.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import type { FakeClock } from '../../src/testing/fake-clock.ts';
import { CALLER, OK } from '../kernel/rig.ts';
import { sampleConfig } from '../kernel/sample-config.ts';
import { createFakeModel, PROFILE } from '../pack/rig.ts';
import type { FakeModel } from '../pack/rig.ts';

export { APPROVE, CALLER, OK, PERSON, REJECT } from '../kernel/rig.ts';
export { asks, says } from '../pack/rig.ts';

export const OTHER: Caller = { ...CALLER, principal: 'os:2000', actor: 'stdio:2' };
export const STRANGER: Caller = { ...CALLER, tenant: 'elsewhere', actor: 'stdio:3' };

export interface Place {
  root: string;
  workspace: string;
  state: string;
}

export async function place(): Promise<Place> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'runtime-')));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const found = { root, workspace: join(root, 'work'), state: join(root, 'state') };
  await mkdir(found.workspace);
  return found;
}

/** The sample catalog with a model profile; the sandbox lies in the workspace. */
export function configFor(at: Place, over: Partial<RuntimeConfig> = {}): RuntimeConfig {
  const base = sampleConfig();
  const root = join(at.workspace, 'sandbox');
  const config = { ...base, models: { default: 'demo', profiles: { demo: PROFILE } }, ...over };
  return { ...config, policy: { ...config.policy, sandbox: { pathTemplate: root, root } } };
}

export interface Bench {
  runtime: RuntimeHandle;
  model: FakeModel;
  clock: FakeClock;
  /** Every execution that really ran in this runtime, in order. */
  effects: Execution[];
  tool: { run: (execution: Execution, signal: AbortSignal) => Promise<ExecutionResult> };
  turn(input?: Partial<TurnInput>, caller?: Caller): Promise<TurnOutput>;
  /** Has the model ask for one tool; the id and session of the requested call. */
  ask(
    name: string,
    args: JsonObject,
    more?: Partial<TurnInput>,
    caller?: Caller,
  ): Promise<TurnOutput & { tool_call_id: string }>;
  run(of: { session_id: string; tool_call_id: string }, caller?: Caller): Promise<CallAnswer>;
}

export const IO: { signal: AbortSignal } = { signal: new AbortController().signal };

export interface OpenOptions extends Partial<RuntimeOptions> {
  fakeClock?: FakeClock;
}

/** Opens a runtime over the place; a second one is another process as far as the journal can tell. */
export async function open(at: Place, options: OpenOptions = {}): Promise<Bench> {
  const { fakeClock, ...over } = options;
  const clock = fakeClock ?? createFakeClock();
  const model = createFakeModel();
  const effects: Execution[] = [];
  const tool: Bench['tool'] = { run: () => Promise.resolve(OK) };
  const runtime = await createRuntime({
    config: configFor(at),
    workspace: at.workspace,
    stateDirectory: at.state,
    env: {},
    clock,
    createProvider: () => model,
    executors: [
      {
        transports: ['in_process'],
        execute: (execution, io) => {
          effects.push(execution);
          return tool.run(execution, io.signal);
        },
      },
    ],
    ...over,
  });
  onTestFinished(() => runtime.close());
  const turn: Bench['turn'] = async (input = {}, caller = CALLER) => {
    const said = await runtime.executeTurn(
      caller,
      { messages: [{ role: 'user', content: 'please' }], ...input },
      IO,
    );
    if ('error' in said) throw new Error(`${said.error.code}: ${said.error.message}`);
    return said;
  };
  return {
    runtime,
    model,
    clock,
    effects,
    tool,
    turn,
    async ask(name, args, more, caller) {
      model.next({
        text: '',
        toolCalls: [{ id: 'native', name, rawInput: JSON.stringify(args) }],
        finishReason: 'tool_calls',
      });
      const out = await turn(more, caller);
      if (out.tool_call_id === undefined) throw new Error(`no tool was requested: ${out.status}`);
      return { ...out, tool_call_id: out.tool_call_id };
    },
    run: (of, caller = CALLER) =>
      runtime.callTool(
        caller,
        { session_id: of.session_id, tool_call_id: of.tool_call_id },
        {
          signal: new AbortController().signal,
        },
      ),
  };
}

/** The approval that a call waits for; it must wait. */
export function ticket(answer: CallAnswer): string {
  if (answer.status !== 'approval_required' || answer.approval === undefined) {
    throw new Error(`not waiting: ${answer.status} ${answer.decision.reasons.join('; ')}`);
  }
  return answer.approval.approval_id;
}

export function types(found: Inspection): unknown[] {
  return found.timeline.map((line) => line.type);
}

/** What was thrown, as code and text with the id taken out. */
export async function refusal(
  made: Promise<unknown>,
  id: string,
): Promise<{ code: string; message: string }> {
  try {
    await made;
  } catch (thrown) {
    const { code, message } = thrown as { code: string; message: string };
    return { code, message: message.replaceAll(id, '<id>') };
  }
  throw new Error('it was answered');
}

export interface KeptFile {
  name: string;
  bytes: Buffer;
}

export async function filesUnder(root: string): Promise<KeptFile[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files: KeptFile[] = [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const name = join(entry.parentPath, entry.name);
    files.push({ name, bytes: await readFile(name) });
  }
  return files;
}

/** Every way in which a secret could stand in a file; base64 in all three alignments, without its ragged ends. */
export function disguises(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const shifted = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .slice(shift === 0 ? 0 : 4, -4),
  );
  const hex = bytes.toString('hex');
  const percent = [...bytes].map((one) => `%${one.toString(16).padStart(2, '0')}`).join('');
  const url = shifted.map((one) => one.replaceAll('+', '-').replaceAll('/', '_'));
  const found = [secret, ...shifted, ...url, hex, hex.toUpperCase(), percent, percent.toUpperCase()];
  return [...new Set([...found, encodeURIComponent(secret)])];
}
