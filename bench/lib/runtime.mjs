// Owns a runtime in this process, on its own SQLite file, with a stub model and one tool of our own.
import { join } from 'node:path';
import { createRuntime } from '../../dist/index.js';
import { loadPlace, makePlace } from './place.mjs';

export const CALLER = {
  tenant: 'local',
  principal: 'os:bench',
  actor: 'stdio:bench',
  roles: [],
  scopes: [],
  lane: 'default',
};
export const IO = { signal: new AbortController().signal };
/** For each of many that are in flight: a signal that all share would hear from all of them. */
export const ownIo = () => ({ signal: new AbortController().signal });

/** The tool: what it got, as text. Counts what it did, so that a figure can show that it was called. */
export function stubTool() {
  let ran = 0;
  const tool = async ({ text }) => {
    ran++;
    return { content: [{ type: 'text', text: `found ${text}` }] };
  };
  return { tool, ran: () => ran };
}

/** Asks for the tool once when the last message is a question, else replies; no time passes in it. */
export async function stubModel(messages) {
  const last = messages.at(-1);
  const asks = last.role === 'user' && last.content.startsWith('find');
  return {
    text: asks ? '' : 'It is done, and this is the answer.',
    toolCalls: asks
      ? [{ id: 'native-1', name: 'look', rawInput: JSON.stringify({ text: last.content }) }]
      : [],
    finishReason: asks ? 'tool_calls' : 'stop',
    complete: true,
    usage: { input_tokens: 100, output_tokens: 20, total_tokens: 120 },
  };
}

function provider(model) {
  return () => ({
    kind: 'scripted',
    model: 'stub',
    baseUrl: '',
    generate: async ({ messages }) => ({
      output: await model(messages),
      facts: { requestUrl: '', attempts: 1 },
    }),
  });
}

export async function openRuntime({ model = stubModel, tool = stubTool().tool, place = makePlace() } = {}) {
  const runtime = await createRuntime({
    config: await loadPlace(place),
    workspace: place.workspace,
    stateDirectory: place.state,
    env: {},
    createProvider: provider(model),
    executors: [
      {
        transports: ['in_process'],
        execute: async ({ args }) => ({ kind: 'result', ...(await tool(args)), isError: false, notes: [] }),
      },
    ],
  });
  return {
    place,
    runtime,
    file: join(place.workspace, '.agent-runtime', 'runtime.db'),
    async close() {
      await runtime.close();
      place.dispose();
    },
  };
}
