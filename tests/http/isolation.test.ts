// The part of the isolation run that every test run affords; `npm run isolation` runs as much as it is asked for. And the
// proof that it sees what it is there for: with the principal taken out of one place, it fails.
import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import type { Plant } from '../plants/plant.ts';
import type { isolationSummary, runIsolation } from './isolation/run-isolation.ts';

interface Run {
  isolationSummary: typeof isolationSummary;
  runIsolation: typeof runIsolation;
}
type Load = (path: string, plant?: string) => Promise<Run>;

const PATH = 'tests/http/isolation/run-isolation.ts';
const PLANTS: readonly Pick<Plant, 'bug' | 'file' | 'find' | 'put'>[] = [
  {
    bug: 'what a token has is kept for all tokens',
    file: 'src/server/http/front.ts',
    find: 'const known = this.#clients.get(credential.id);',
    put: 'const [known] = this.#clients.values();',
  },
  {
    bug: 'a session counts with every token',
    file: 'src/server/http/sessions.ts',
    find: 'held.session.owner.id !== owner.id ||',
    put: '',
  },
  {
    bug: 'a subscription is read as somebody else',
    file: 'src/server/reads/watching.ts',
    find: 'readResource(runtime, caller, uri)',
    put: "readResource(runtime, { ...caller, principal: 'alice', tenant: caller.tenant.replace('bob', 'alice') }, uri)",
  },
  {
    bug: 'a state counts for every principal',
    file: 'src/server/request-state.ts',
    find: 'JSON.stringify([caller.tenant, caller.principal, caller.actor, ctx.mcpReq.method])',
    put: 'JSON.stringify([ctx.mcpReq.method])',
  },
  {
    bug: 'a connection to a server is shared by all principals of a tenant',
    file: 'src/capabilities/downstreams.ts',
    find: 'digestJson({ name: server, server: { ...identity }, tenant, principal, policy })',
    put: 'digestJson({ name: server, server: { ...identity }, tenant, policy })',
  },
];

const patches = Object.fromEntries(PLANTS.map(({ file, find, put }, at) => [`i${at}`, { file, find, put }]));
// The test runner puts its own loader in the place of `import`; `require` is Node's.
const { createLoader } = createRequire(import.meta.url)('../plants/load.mjs') as {
  createLoader: (patches: object) => Load;
};
const load = createLoader(patches);

test('two principals on one server never see anything of each other', async () => {
  const module = await load(PATH);
  const { line, wrong } = await module.isolationSummary({ seed: 7, operations: 800 });
  expect(wrong).toEqual([]);
  expect(line).toMatchObject({ suite: 'isolation', operations: 800, violations: 0 });
}, 120_000);

test.each(PLANTS.map(({ bug }, at) => [bug, at] as const))(
  'the run sees it when %s',
  async (_bug, at) => {
    const module = await load(PATH, `i${at}`);
    expect((await module.runIsolation({ seed: 7, operations: 800 })).violations).not.toEqual([]);
  },
  120_000,
);
