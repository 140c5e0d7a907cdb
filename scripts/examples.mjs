// Runs the examples, each in a workspace of its own that is removed afterwards. An example that does not keep one of its
// promises fails, and so does a run of none.
//   npm run examples                          all of them
//   npm run examples -- routing human-review  these
//   npm run examples -- --from FOLDER         those of another folder
//   npm run examples -- --json                {example, ok, checks, graphs} a line
import { existsSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { openPlace, command } from '../examples/support/place.mjs';
import { createChecks } from '../examples/support/checks.mjs';

const OURS = fileURLToPath(new URL('../examples/', import.meta.url));
const LIMIT_MS = 120_000;

function known(from) {
  return readdirSync(from).filter((name) => existsSync(join(from, name, 'run.mjs')));
}

function chosen(names, from) {
  const all = known(from);
  const odd = names.find((name) => !all.includes(name));
  if (odd !== undefined) {
    console.error(
      `no such example: ${odd}; known: ${all.join(', ')}\nusage: examples [NAME...] [--json] [--from FOLDER]`,
    );
    process.exit(2);
  }
  return names.length === 0 ? all : names;
}

function within(ms, work) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${ms} ms`)), ms);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

async function runExample(folder, say) {
  const checks = createChecks(say);
  const graphs = [];
  // Where the example has come to a stop on its way, and at its end.
  const draw = async (place, id) => {
    const graph = await command(place, ['workflows', 'graph', id]);
    graphs.push(graph);
    say(`\n${graph}`);
  };
  try {
    const { run, setup = {} } = await import(pathToFileURL(join(folder, 'run.mjs')).href);
    const place = await openPlace(folder, setup);
    try {
      const id = await within(
        LIMIT_MS,
        run({ place, check: checks.check, say, draw: (at) => draw(place, at) }),
      );
      if (id !== undefined) await draw(place, id);
    } finally {
      await place.close();
    }
  } catch (error) {
    checks.fail(error instanceof Error ? error.message : String(error));
  }
  return { example: basename(folder), ok: checks.areKept(), checks: checks.list, graphs };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, from: { type: 'string', default: OURS } },
});
const results = [];
const from = resolve(values.from);
for (const example of chosen(positionals, from)) {
  const say = values.json ? () => undefined : (line) => console.log(line.replaceAll(/^(?=.)/gm, '   '));
  if (!values.json) console.log(`\n== ${example}`);
  const result = await runExample(join(from, example), say);
  results.push(result);
  if (values.json) console.log(JSON.stringify(result));
  else console.log(`${result.ok ? 'ok  ' : 'FAIL'} ${example}`);
}
const failed = results.filter(({ ok }) => !ok).length;
if (!values.json) console.log(`\n${results.length - failed} examples passed, ${failed} failed`);
process.exit(failed > 0 || results.length === 0 ? 1 : 0);
