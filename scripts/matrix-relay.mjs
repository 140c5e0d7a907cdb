// Runs the relay's matrix: clients of both eras, through the built server as a user starts it, to servers of both eras over
// stdio and HTTP. One line a cell; a failed cell, or none at all, is a failure.
//   npm run matrix -- relay --json
//   npm run matrix -- relay --client v2-legacy --cells form-accept,url
//   npm run matrix -- expiry --json             each way to lose a connection under each policy
import { parseArgs } from 'node:util';
import { openPlaces } from '../tests/matrix/place.mjs';
import { LEGACY_ONLY, PUBLIC_CELLS, RELAY_CELLS } from '../tests/matrix/relay-cells.mjs';
import { expiryCells, POLICIES } from '../tests/matrix/expiry-cells.mjs';
import { relayChanges, startRelay, startServers, WAYS } from '../tests/matrix/relay-place.mjs';
import { createSession } from '../tests/matrix/session.mjs';

const CLIENTS = ['v2-modern', 'v2-legacy', 'v1'];
const CELL_LIMIT_MS = 30_000;

function within(ms, work) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${ms} ms`)), ms);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

/** Each cell with the name it is reported under; the ones that change a server come last. */
function cellsOf(session) {
  const own = { ...(session.modern ? {} : LEGACY_ONLY), ...RELAY_CELLS };
  const relay = WAYS.flatMap((way) =>
    Object.entries(own).map(([name, run]) => ({
      name: `${way.name}/${name}`,
      run: () => run(session, way.name),
    })),
  );
  const known = Object.entries(PUBLIC_CELLS).map(([name, run]) => ({ name, run: () => run(session) }));
  const isLast = ({ name }) => name.endsWith('/list-change');
  return [...known, ...relay.filter((one) => !isLast(one)), ...relay.filter(isLast)];
}

async function runClient(kind, chosen, report) {
  const servers = await startServers();
  const [place] = await openPlaces(1, relayChanges(servers.urls));
  const session = createSession(kind, { ...place, elicitation: { form: {}, url: {} } });
  try {
    for (const { name, run } of cellsOf(session)) {
      if (chosen !== undefined && !chosen.some((one) => name.includes(one))) continue;
      report(await cellResult(`${kind}/${name}`, run));
    }
  } finally {
    await session.close();
    await place.close();
    await servers.close();
  }
}

/** Each policy in a place of its own; both HTTP servers speak the older protocol, which has sessions to forget. */
export async function runExpiry(args) {
  const { values } = parseArgs({ args, options: { json: { type: 'boolean' }, cells: { type: 'string' } } });
  let [passed, failed] = [0, 0];
  for (const [policy, controls] of Object.entries(POLICIES)) {
    const [gone, stale] = await Promise.all([startRelay('--stale', '404'), startRelay('--stale', '400')]);
    const urls = { 'http-legacy': gone.url, 'http-modern': stale.url };
    const only = (server) => WAYS.some(({ name }) => name === server);
    const eras = { 'http-modern': 'legacy' };
    const [place] = await openPlaces(1, relayChanges(urls, { controls, only, eras }));
    const session = createSession('v2-legacy', place);
    try {
      for (const [name, run] of Object.entries(expiryCells(policy, { gone, stale }))) {
        if (values.cells !== undefined && !values.cells.split(',').some((one) => name.includes(one)))
          continue;
        const result = await cellResult(`${policy}/${name}`, () => run(session));
        if (result.ok) passed++;
        else failed++;
        print(result, values.json);
      }
    } finally {
      await session.close();
      await place.close();
      await Promise.all([gone.close(), stale.close()]);
    }
  }
  if (!values.json) console.log(`${passed} cells passed, ${failed} failed`);
  return failed > 0 || passed === 0 ? 1 : 0;
}

async function cellResult(cell, run) {
  try {
    return { cell, ok: true, detail: (await within(CELL_LIMIT_MS, run())) ?? '' };
  } catch (error) {
    if (process.env.MATRIX_DEBUG === '1') console.error(cell, error);
    return { cell, ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

function print(result, json) {
  const { cell, ok, detail } = result;
  console.log(json ? JSON.stringify(result) : `${ok ? 'ok  ' : 'FAIL'} ${cell}  ${detail}`);
}

export async function runRelay(args) {
  const { values } = parseArgs({
    args,
    options: { json: { type: 'boolean' }, client: { type: 'string' }, cells: { type: 'string' } },
  });
  const kinds = values.client?.split(',') ?? CLIENTS;
  if (kinds.some((kind) => !CLIENTS.includes(kind))) {
    console.error(`usage: matrix relay [--json] [--client ${CLIENTS.join('|')}] [--cells a,b]`);
    return 2;
  }
  let [passed, failed] = [0, 0];
  for (const kind of kinds) {
    await runClient(kind, values.cells?.split(','), (result) => {
      if (result.ok) passed++;
      else failed++;
      print(result, values.json);
    });
  }
  if (!values.json) console.log(`${passed} cells passed, ${failed} failed`);
  return failed > 0 || passed === 0 ? 1 : 0;
}
