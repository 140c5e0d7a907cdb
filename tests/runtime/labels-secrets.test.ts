// What a caller or a model names without anybody having configured it, looked for in every file byte by byte.
import { expect, test } from 'vitest';
import { PROFILE } from '../pack/rig.ts';
import { asks, CALLER, configFor, disguises, filesUnder, IO, open, place, says } from './rig.ts';
import type { Bench } from './rig.ts';

const KEY = 'sk-canary/9+f0e1d2c3b4a59687?78&key=e';
const messages = [{ role: 'user' as const, content: 'x' }];
const turn = { executeTurnInput: { messages, external_run_id: `run ${KEY}`, intent: KEY } };
const catalog = [{ id: KEY, description: 'a label of the host' }];

const WAYS: Record<string, (bench: Bench) => Promise<unknown>> = {
  'the run of the caller': ({ turn: said }) => said({ external_run_id: `run ${KEY}` }),
  'an intent that is a label': ({ turn: said }) => said({ intent: KEY }),
  'a catalog of labels': ({ turn: said }) => said({ intent_catalog: catalog }),
  'a managed session': ({ runtime }) => runtime.managed.start(CALLER, turn, {}, IO),
  'a tool that is none': ({ runtime }) => runtime.callCapability(CALLER, { tool: `x ${KEY}`, args: {} }, IO),
  'a tool that the model made up': (bench) => {
    bench.model.next(asks(KEY, {}));
    return bench.turn();
  },
  'why the model ended': (bench) => {
    bench.model.next({ ...says('ok'), finishReason: KEY });
    return bench.turn();
  },
  'why a model ended that said nothing of use': (bench) => {
    bench.model.next({ ...says('{"status":"nonsense"}'), finishReason: KEY, complete: false });
    return bench.runtime.executeTurn(CALLER, { messages }, IO);
  },
};

test.each(Object.entries(WAYS))('no secret stands in a record as %s', async (_, go) => {
  const at = await place();
  const demo = { ...PROFILE, apiKeyEnv: 'CANARY_KEY' };
  const models = { default: 'demo', profiles: { demo } };
  const bench = await open(at, { config: { ...configFor(at), models }, env: { CANARY_KEY: KEY } });
  await go(bench);
  const files = await filesUnder(at.root);
  const found = files.flatMap(({ name, bytes }) =>
    disguises(KEY)
      .filter((form) => bytes.includes(form))
      .map((form) => `${name}: ${form}`),
  );
  expect(found).toEqual([]);
});
