// Runs the relay's matrix: clients of both eras, through the built server as a user starts it, to servers of both eras over
// stdio and HTTP. One line a cell; a failed cell, or none at all, is a failure.
//   npm run matrix -- relay --json
//   npm run matrix -- relay --client v2-legacy --cells form-accept,url
//   npm run matrix -- expiry --json             each way to lose a connection under each policy
import { parseArgs } from 'node:util';
import { openPlaces } from '../tests/matrix/place.mjs';
import { CLIENTS } from '../tests/matrix/clients.mjs';
import { ABSENT, LEGACY_ONLY, PUBLIC_CELLS, RELAY_CELLS } from '../tests/matrix/relay-cells.mjs';
import {
  BRIEF_CONTROLS,
  BRIEF_LIMITS,
  BRIEF_WAYS,
  briefCells,
  HTTP,
  LASTING_WAYS,
  lastingCells,
  POLICIES,
} from '../tests/matrix/expiry-cells.mjs';
import { relayChanges, startRelay, startServers, WAYS } from '../tests/matrix/relay-place.mjs';
import { createSession } from '../tests/matrix/session.mjs';

const CELL_LIMIT_MS = 60_000;

function within(ms, work) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${ms} ms`)), ms);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

/** Each cell with the name it is reported under; the ones that change a server come last. */
function cellsOf(session) {
  const legacy = Object.entries(LEGACY_ONLY).map(([name, { run }]) => [name, run]);
  const own = { ...(session.modern ? {} : Object.fromEntries(legacy)), ...RELAY_CELLS };
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

/** The cells that the protocol or a public server leaves empty, each with the reason. */
function absentCells(session) {
  const unasked = Object.entries(LEGACY_ONLY).flatMap(([name, { why }]) =>
    WAYS.map((way) => [`${way.name}/${name}`, why]),
  );
  return [...(session.modern ? unasked : []), ...Object.entries(ABSENT)];
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
    for (const [cell, detail] of absentCells(session)) {
      if (chosen === undefined) report({ cell: `${kind}/${cell}`, ok: null, detail });
    }
  } finally {
    await session.close();
    await place.close();
    await servers.close();
  }
}

async function eachCell(session, cells, chosen, report) {
  for (const [name, run] of Object.entries(cells)) {
    if (chosen !== undefined && !chosen.some((one) => name.includes(one))) continue;
    report(name, await cellResult(name, () => run(session)));
  }
}

/** The cells whose servers stay; HTTP servers of their own, which the cells kill and start again. */
async function runLasting(policy, controls, chosen, report) {
  const servers = await Promise.all(
    HTTP.map(async (name) => [name, await startRelay('--stale', name === 'stale' ? '400' : '404')]),
  );
  const http = Object.fromEntries(servers);
  const urls = Object.fromEntries(servers.map(([name, { url }]) => [name, url]));
  const [place] = await openPlaces(1, relayChanges(urls, { ways: LASTING_WAYS, controls }));
  const session = createSession('v2-legacy', place);
  try {
    await eachCell(session, lastingCells(policy, session, http), chosen, report);
  } finally {
    await session.close();
    await place.close();
    await Promise.all(servers.map(([, one]) => one.close()));
  }
}

async function runBrief(policy, controls, chosen, report) {
  const given = { ways: BRIEF_WAYS, controls: { ...controls, ...BRIEF_CONTROLS }, limits: BRIEF_LIMITS };
  const [place] = await openPlaces(1, relayChanges({}, given));
  const session = createSession('v2-legacy', place);
  try {
    await eachCell(session, briefCells(policy), chosen, report);
  } finally {
    await session.close();
    await place.close();
  }
}

/** Each policy in places of its own. */
export async function runExpiry(args) {
  const { values } = parseArgs({
    args,
    options: { json: { type: 'boolean' }, policy: { type: 'string' }, cells: { type: 'string' } },
  });
  const policies = values.policy?.split(',') ?? Object.keys(POLICIES);
  const count = counter(values.json);
  for (const policy of policies) {
    const controls = POLICIES[policy];
    if (controls === undefined) throw new Error(`no such policy: ${policy}`);
    const report = (name, result) => count.take({ ...result, cell: `${policy}/${name}` });
    await runBrief(policy, controls, values.cells?.split(','), report);
    await runLasting(policy, controls, values.cells?.split(','), report);
  }
  return count.end();
}

async function cellResult(cell, run) {
  try {
    return { cell, ok: true, detail: (await within(CELL_LIMIT_MS, run())) ?? '' };
  } catch (error) {
    if (process.env.MATRIX_DEBUG === '1') console.error(cell, error);
    return { cell, ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

/** Prints each cell, and the totals at the end; a failed cell, or none at all, is a failure. */
function counter(json) {
  const totals = { passed: 0, failed: 0, not_applicable: 0 };
  return {
    take(result) {
      const { cell, ok, detail } = result;
      totals[ok === null ? 'not_applicable' : ok ? 'passed' : 'failed']++;
      const word = ok === null ? 'n/a ' : ok ? 'ok  ' : 'FAIL';
      console.log(json ? JSON.stringify(result) : `${word} ${cell}  ${detail}`);
    },
    end() {
      const { passed, failed, not_applicable: none } = totals;
      console.log(
        json
          ? JSON.stringify({ totals })
          : `${passed} cells passed, ${failed} failed, ${none} not applicable`,
      );
      return failed > 0 || passed === 0 ? 1 : 0;
    },
  };
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
  const count = counter(values.json);
  for (const kind of kinds) await runClient(kind, values.cells?.split(','), count.take);
  return count.end();
}
