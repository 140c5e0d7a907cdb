// Owns the proof that readable copies are read strictly from outside: whole and typed, or refused by name and left alone.
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { JsonObject } from '../../src/base/json.ts';
import * as library from '../../src/index.ts';
import { verifies } from '../e2e/verifies.ts';
import { asks, CALLER, open, place } from '../runtime/rig.ts';
import { user } from './rig.ts';

const { createAgentRuntimeWorkflowStateStore, startGovernedAgentSession } = library;

verifies(
  ['WF-09'],
  'a readable copy is loaded whole, of one version, and whatever does not fit is refused by its place and kept',
  async () => {
    const at = await place();
    const bench = await open(at);
    bench.model.next(asks('look', { q: 1 }), asks('pay', { sum: 2 }));
    const waits = await startGovernedAgentSession({
      runtime: bench.runtime,
      caller: CALLER,
      executeTurnInput: { messages: [user('go')] },
    });
    const id = waits.session_id;
    const { file } = await bench.runtime.rebuildSnapshot(CALLER, id);
    const store = createAgentRuntimeWorkflowStateStore({ workspace: at.workspace });
    expect(store.pathOf(id)).toBe(file);
    const text = await readFile(file, 'utf8');
    const whole = JSON.parse(text) as JsonObject;
    const loaded = await store.load(id);
    expect(loaded).toEqual(whole);
    expect(loaded).toMatchObject({
      schema_version: 1,
      status: 'waiting_approval',
      turn_count: 2,
      history: [{ turn_index: 0, tool_output: { status: 'done' } }, { turn_index: 1 }],
    });
    expect(await store.load('ses_none')).toBeUndefined();

    const refused = async (document: unknown, code: string, told: string): Promise<void> => {
      const written = typeof document === 'string' ? document : JSON.stringify(document);
      await writeFile(file, written);
      await expect(store.load(id)).rejects.toMatchObject({
        code,
        message: expect.stringContaining(told) as string,
        details: { file },
      });
      expect(await readFile(file, 'utf8')).toBe(written);
    };
    const [message] = whole['messages'] as JsonObject[];
    const [step] = whole['history'] as JsonObject[];
    const [begun] = whole['continuations'] as JsonObject[];
    const corrupt: [JsonObject, string][] = [
      [{ status: 'done' }, '/status'],
      [{ more: 1 }, '/more'],
      [{ turn_count: -1 }, '/turn_count'],
      [{ updated_at: 'yesterday' }, '/updated_at'],
      [{ messages: [{ ...message, role: 'root' }] }, '/messages/0/role'],
      [{ messages: [{ ...message, more: 1 }] }, '/messages/0/more'],
      [{ history: [{ ...step, turn_output: { status: 'won' } }] }, '/history/0/turn_output/status'],
      [{ history: [{ ...step, tool_output: 'ok' }] }, '/history/0/tool_output'],
      [{ continuations: [{ ...begun, kind: 'begun' }] }, '/continuations/0/kind'],
      [{ session_id: 'ses_other' }, 'of another session'],
    ];
    for (const [change, told] of corrupt) {
      await refused({ ...whole, ...change }, 'STORE_CORRUPT', told);
    }
    await refused({ ...whole, schema_version: 2, shape: 'new' }, 'STORE_FUTURE_VERSION', 'newer version');
    await refused(text.slice(0, -20), 'STORE_CORRUPT', file);
    await refused('', 'STORE_CORRUPT', file);
    await refused(text.replace('{', '{ "status": "completed",'), 'STORE_CORRUPT', file);

    // An id reaches a path only encoded, so nothing beside the copies is read.
    await copyFile(join(at.workspace, '.agent-runtime', 'runtime.db'), join(at.workspace, 'aside.json'));
    expect(await store.load('../../aside')).toBeUndefined();
    await bench.runtime.rebuildSnapshot(CALLER, id);
    expect(await store.load(id)).toEqual(whole);
  },
);

verifies(['LY-04'], 'the package has the loop, the helpers, the builders and the state store by name', () => {
  for (const name of [
    'runGovernedAgentLoop',
    'startGovernedAgentSession',
    'resumeGovernedAgentSession',
    'startGovernedAgentWorkflow',
    'resumeGovernedAgentWorkflow',
    'createHostContextMessages',
    'createApprovalResolutionMessage',
    'createToolResultMessage',
    'buildGovernedToolCatalog',
    'createAgentRuntimeWorkflowStateStore',
  ]) {
    expect(library).toHaveProperty(name, expect.any(Function));
  }
});
