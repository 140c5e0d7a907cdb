// Runs the client matrix: released MCP clients against the built server as a user starts it. One line a cell; a failed
// cell, or none at all, is a failure.
//   npm run matrix -- clients --json                         {cell, ok, detail} a line
//   npm run matrix -- clients --client v1 --cells decline,turn
import { parseArgs } from 'node:util';
import { APPROVAL_CELLS } from '../tests/matrix/approval-cells.mjs';
import { CALL_CELLS } from '../tests/matrix/call-cells.mjs';
import { CLIENTS } from '../tests/matrix/clients.mjs';
import { openPlaces } from '../tests/matrix/place.mjs';
import { createSession } from '../tests/matrix/session.mjs';

const CELLS = { ...CALL_CELLS, ...APPROVAL_CELLS };
const CELL_LIMIT_MS = 30_000;

function usage(message) {
  console.error(`${message}\nusage: matrix clients [--json] [--client ${CLIENTS.join('|')}] [--cells a,b]`);
  process.exit(2);
}

function chosen(text, known, what) {
  if (text === undefined) return known;
  const names = text.split(',');
  const odd = names.find((name) => !known.includes(name));
  return odd === undefined ? names : usage(`no such ${what}: ${odd}; known: ${known.join(', ')}`);
}

function within(ms, work) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${ms} ms`)), ms);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

async function runCell(session, name) {
  const cell = `${session.kind}/${name}`;
  try {
    return { cell, ok: true, detail: (await within(CELL_LIMIT_MS, CELLS[name](session))) ?? '' };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    if (process.env.MATRIX_DEBUG === '1') console.error(cell, error);
    return { cell, ok: false, detail };
  }
}

async function runClient({ kind, place, cells }, report) {
  const session = createSession(kind, place);
  try {
    for (const name of cells) report(await runCell(session, name));
  } finally {
    await session.close();
    await place.close();
  }
}

const [, , which, ...others] = process.argv;
if (which === 'relay' || which === 'expiry') {
  const { runExpiry, runRelay } = await import('./matrix-relay.mjs');
  process.exit(await (which === 'relay' ? runRelay(others) : runExpiry(others)));
}
if (which === 'wrap') {
  const { runWrap } = await import('./matrix-wrap.mjs');
  process.exit(await runWrap(others));
}
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, client: { type: 'string' }, cells: { type: 'string' } },
});
if (positionals.join() !== 'clients') usage('say which matrix: clients');
const cells = chosen(values.cells, Object.keys(CELLS), 'cell');
const results = [];
const kinds = chosen(values.client, CLIENTS, 'client');
const places = await openPlaces(kinds.length);

function report(result) {
  results.push(result);
  const { cell, ok, detail } = result;
  console.log(values.json ? JSON.stringify(result) : `${ok ? 'ok  ' : 'FAIL'} ${cell}  ${detail}`);
}

// Each client in a place of its own, so they run side by side, three at a time; the cells of one client share its connections.
for (let from = 0; from < kinds.length; from += 3) {
  const batch = kinds.slice(from, from + 3);
  await Promise.all(batch.map((kind, at) => runClient({ kind, place: places[from + at], cells }, report)));
}
const failed = results.filter(({ ok }) => !ok).length;
if (!values.json) console.log(`${results.length - failed} cells passed, ${failed} failed`);
process.exit(failed > 0 || results.length === 0 ? 1 : 0);
