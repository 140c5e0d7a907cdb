// Runs the wrap matrix: both SDKs and the public Inspector's command line, before real servers that `wrap` was put in front
// of. One line a cell; a failed cell, or none at all, is a failure. The Inspector is installed beside the product.
//   npm run matrix -- wrap --json
//   npm run matrix -- wrap --client inspector --server everything --cells list,allowed
import { parseArgs } from 'node:util';
import { CLIENTS, openClient } from '../tests/matrix/wrap-clients.mjs';
import { openWrapPlace, SERVERS } from '../tests/matrix/wrap-place.mjs';
import { WRAP_CELLS } from '../tests/matrix/wrap-cells.mjs';

const CELL_LIMIT_MS = 60_000;

function within(ms, work) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${ms} ms`)), ms);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

async function runCell(session, cell, name) {
  try {
    return { cell, ok: true, detail: (await within(CELL_LIMIT_MS, WRAP_CELLS[name](session))) ?? '' };
  } catch (error) {
    if (process.env.MATRIX_DEBUG === '1') console.error(cell, error);
    return { cell, ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

/** One client before one server, in a workspace of its own. */
async function runPair({ kind, server, cells }, { report, say }) {
  const place = await openWrapPlace(server);
  const session = { place, client: undefined };
  session.reopen = async () => {
    await session.client?.close();
    session.client = await openClient(kind, place, say);
    return session.client;
  };
  try {
    const { code, err } = await place.classify();
    if (code !== 0) throw new Error(`classifying ${server} failed: ${err}`);
    await session.reopen();
    for (const name of cells) report(await runCell(session, `${kind}/${server}/${name}`, name));
  } catch (error) {
    report({ cell: `${kind}/${server}`, ok: false, detail: String(error) });
  } finally {
    await session.client?.close();
    await place.close();
  }
}

function chosen(text, known) {
  return text === undefined ? known : known.filter((name) => text.split(',').includes(name));
}

/** Answers with the exit code. */
export async function runWrap(args) {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: 'boolean' },
      client: { type: 'string' },
      server: { type: 'string' },
      cells: { type: 'string' },
    },
  });
  const results = [];
  const report = (result) => {
    results.push(result);
    const { cell, ok, detail } = result;
    console.log(values.json ? JSON.stringify(result) : `${ok ? 'ok  ' : 'FAIL'} ${cell}  ${detail}`);
  };
  const say = (text) => console.error(text);
  const cells = chosen(values.cells, Object.keys(WRAP_CELLS));
  for (const kind of chosen(values.client, CLIENTS)) {
    for (const server of chosen(values.server, Object.keys(SERVERS))) {
      await runPair({ kind, server, cells }, { report, say });
    }
  }
  const failed = results.filter(({ ok }) => !ok).length;
  if (!values.json) console.log(`${results.length - failed} cells passed, ${failed} failed`);
  return failed > 0 || results.length === 0 ? 1 : 0;
}
