// The bundled example as it ships: its own configuration, its scripted model and its real desk server.
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import { loadWithEffective } from '../../src/config/load.ts';
import type { LoadedConfig } from '../../src/config/load.ts';
import type { Caller } from '../../src/kernel/identity.ts';
import type { RuntimeHandle } from '../../src/runtime/options.ts';
import { createRuntime } from '../../src/runtime/runtime.ts';
import { verifies } from '../e2e/verifies.ts';
import { APPROVE, CALLER, IO, PERSON, place, ticket } from './rig.ts';
import type { Place } from './rig.ts';

const PACKAGE = fileURLToPath(new URL('../../', import.meta.url));
const AGENT: Caller = { ...CALLER, roles: ['operator', 'manager'] };
const MANAGER = { ...PERSON, roles: ['manager'] };

async function load(at: Place): Promise<LoadedConfig> {
  const directory = join(at.workspace, 'configs');
  await cp(join(PACKAGE, 'configs'), directory, { recursive: true, force: false });
  return loadWithEffective({ directory, workspace: at.workspace, env: {}, packageRoot: PACKAGE });
}

async function example(at: Place): Promise<RuntimeHandle> {
  const { config } = await load(at);
  const { PATH, HOME } = process.env;
  const runtime = await createRuntime({
    config,
    workspace: at.workspace,
    stateDirectory: at.state,
    env: { PATH, HOME },
  });
  onTestFinished(() => runtime.close());
  return runtime;
}

async function step(
  runtime: RuntimeHandle,
  session?: string,
): Promise<{ session_id: string; tool_call_id: string; name: string }> {
  const said = await runtime.executeTurn(
    AGENT,
    {
      messages: [{ role: 'user', content: 'My reset mail does not arrive.' }],
      ...(session === undefined ? {} : { session_id: session }),
    },
    IO,
  );
  if ('error' in said) throw new Error(`${said.error.code}: ${said.error.message}`);
  return {
    session_id: said.session_id,
    tool_call_id: said.tool_call_id ?? '',
    name: said.requested_tool?.name ?? said.status,
  };
}

verifies(
  { partial: ['AP-03', 'LY-07', 'EV-01'] },
  'the bundled example answers from the desk, asks for its ticket, and opens it once across a restart',
  async () => {
    const at = await place();
    const first = await example(at);
    const unpinned = await first.callCapability(AGENT, { tool: 'search_docs', args: { query: 'reset' } }, IO);
    expect(unpinned.status).toBe('denied');
    const { tools } = await first.pin('desk', (await first.pin('desk')).digest);
    expect(tools).toContain('create_ticket');

    const search = await step(first);
    expect(search.name).toBe('desk:search_docs');
    const found = await first.callTool(AGENT, search, IO);
    expect(found.status).toBe('done');
    expect(JSON.stringify(found.result)).toContain('password-reset');
    const read = await step(first, search.session_id);
    expect((await first.callTool(AGENT, read, IO)).status).toBe('done');
    const escape = await step(first, search.session_id);
    expect((await first.callTool(AGENT, escape, IO)).status).toBe('denied');

    const open = await step(first, search.session_id);
    expect(open.name).toBe('desk:create_ticket');
    const id = ticket(await first.callTool(AGENT, open, IO));
    await first.close();

    const second = await example(at);
    expect(await second.deliverApproval(PERSON, id, APPROVE)).toMatchObject({ moved: false });
    expect(await second.deliverApproval(MANAGER, id, APPROVE)).toMatchObject({ moved: true });
    const opened = await second.callTool(AGENT, open, IO);
    expect(opened).toMatchObject({ status: 'done', side_effect_status: 'applied' });
    const once = opened.result?.structured;
    expect((await second.callTool(AGENT, open, IO)).result).toMatchObject({
      structured: once,
      replayed: true,
    });

    const again = await step(second, search.session_id);
    expect(again.name).toBe('desk:create_ticket');
    expect(again.tool_call_id).not.toBe(open.tool_call_id);
    const repeated = await second.callTool(AGENT, again, IO);
    expect(repeated).toMatchObject({ status: 'done', result: { structured: once, replayed: true } });
    expect((await step(second, search.session_id)).name).toBe('complete');

    const { timeline } = await second.inspect(AGENT, 'session', search.session_id);
    const writes = timeline.filter(
      (line) => line.type === 'call_started' && line.tool === 'desk:create_ticket',
    );
    expect(writes).toHaveLength(1);
    expect(timeline.at(-1)?.type).toBe('session_closed');
  },
);

verifies(
  { partial: ['CV-08', 'HE-03'] },
  'what is in force has a digest, decisions name it, and health sees a changed file',
  async () => {
    const at = await place();
    const { config, effective } = await load(at);
    expect(config.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(effective.length).toBeGreaterThan(50);
    const runtime = await example(at);
    const denied = await runtime.callCapability(AGENT, { tool: 'nowhere', args: {} }, IO);
    expect(denied.decision.policy_digest).toBe(config.policy.digest);
    const status = async (): Promise<unknown> =>
      (await runtime.getHealth(AGENT)).checks.find((one) => one.check === 'configuration')?.status;
    expect(await status()).toBe('ok');
    const { appendFile } = await import('node:fs/promises');
    await appendFile(join(config.directory, 'agent.yaml'), '\n  - no_such_thing: [\n');
    expect(await status()).toBe('warn');
  },
);
