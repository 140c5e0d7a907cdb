// Which of our parts a client can see or call: one tool that runs a turn, and nothing of what a turn is made of.
import { describe, expect } from 'vitest';
import { randomIds } from '../../src/base/ids.ts';
import { createGate } from '../../src/kernel/policy/gate.ts';
import { packManifest } from '../../src/runtime/pack-manifest.ts';
import { createPack } from '../../src/pack/pack.ts';
import { createModelProvider } from '../../src/providers/create.ts';
import { serveRuntimeStdio } from '../../src/server/index.ts';
import type { NameMode, ServeOptions } from '../../src/server/index.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { verifies } from '../e2e/verifies.ts';
import { configFor, open, place, says } from '../runtime/rig.ts';
import { CLIENT_KINDS, connectClient, openPipes } from './clients.ts';
import type { AnyClient, ClientKind } from './clients.ts';
import { CALLER, KEY, OPERATOR } from './harness.ts';

const SETS = ['turn', 'operate', 'gateway', 'all'] as const;
// What hosts and operators need around the turn.
const HELPERS = [
  ...['call-tool', 'start-session', 'resume-session', 'start-workflow', 'resume-workflow', 'cancel'],
  ...['list-requests', 'list-sessions', 'list-approvals', 'list-capabilities', 'list-capability-sessions'],
  ...['inspect', 'get-health', 'explain-policy'],
];
const PARTS = [
  createPack.name,
  createGate.name,
  createModelProvider.name,
  ...['openai_compatible', 'messages_compatible', 'scripted'],
  ...['provider-call', 'capability-factory', 'policy-factory', 'augment-capabilities', 'resolve-approval'],
];

interface Offer {
  runtime: Awaited<ReturnType<typeof open>>['runtime'];
  caller: typeof CALLER;
  tools: ServeOptions['tools'];
  toolNames: NameMode;
}

async function serving<T>(
  kind: ClientKind,
  offer: Offer,
  use: (client: AnyClient) => Promise<T>,
): Promise<T> {
  const pipes = openPipes();
  const { runtime, caller, tools, toolNames } = offer;
  const server = await serveRuntimeStdio({
    runtime,
    caller,
    options: { tools, toolNames, version: '1.2.3' },
    stdin: pipes.toServer,
    stdout: pipes.fromServer,
    log: () => undefined,
    clock: createFakeClock(),
    ids: randomIds,
    stateKeys: { current: KEY },
  });
  try {
    return await use(await connectClient(kind, pipes, {}));
  } finally {
    pipes.toServer.end();
    await server.done;
  }
}

async function namesOf(client: AnyClient): Promise<string[]> {
  return (await client.list()).tools.map(({ name }) => name);
}

describe.each(CLIENT_KINDS)('%s', (kind) => {
  verifies(
    ['LY-01'],
    'one public tool runs a turn, in the set and the spelling that is served, and no part of it is listed or answers',
    async () => {
      expect(packManifest('1.2.3').tools.map(({ name }) => name)).toEqual(['agent:execute-turn']);
      const at = await place();
      const { runtime, model, effects } = await open(at);
      const capabilities = Object.keys(configFor(at).capabilities);
      for (const toolNames of ['canonical', 'portable'] as const) {
        const spelt = (name: string): string =>
          toolNames === 'canonical' ? `agent:${name}` : `agent_${name.replaceAll('-', '_')}`;
        for (const tools of SETS) {
          for (const caller of [CALLER, OPERATOR]) {
            const offer = { runtime, caller, tools, toolNames };
            const names = await serving(kind, offer, namesOf);
            const known = new Set(['execute-turn', ...HELPERS].map(spelt).concat(capabilities));
            expect(names.filter((name) => !known.has(name))).toEqual([]);
            const turning = tools === 'turn' || tools === 'all' ? [spelt('execute-turn')] : [];
            expect(names.filter((name) => /turn|provider|adapter|model|factory|augment/.test(name))).toEqual(
              turning,
            );
          }
        }
      }
      const offer = { runtime, caller: OPERATOR, tools: 'all', toolNames: 'canonical' } as const;
      await serving(kind, offer, async (client) => {
        for (const part of PARTS) {
          for (const name of [part, `agent:${part}`, `agent_${part.replaceAll('-', '_')}`]) {
            await expect(client.call(name, {}), name).rejects.toMatchObject({ code: -32602 });
          }
        }
        expect([model.inputs, effects]).toEqual([[], []]);
        model.next(says('Hello.'));
        const turn = await client.call('agent:execute-turn', { messages: [{ role: 'user', content: 'hi' }] });
        expect(turn.structuredContent).toMatchObject({ status: 'reply', assistant_message: 'Hello.' });
      });
    },
  );
});
