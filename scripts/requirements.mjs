// Which requirements do the tests cite? A static scan: nothing runs here, the tests themselves do the proving.
//   npm run requirements                 a table by group
//   npm run -s requirements -- --json    one line an id, then a line with the totals
//   npm run requirements -- --check      fails when a committed proof is gone, or an unknown id is cited
//   npm run requirements -- --update     rewrites tests/e2e/proved.json
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCitations } from './lib/citations.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const provedFile = join(root, 'tests/e2e/proved.json');
const flags = new Set(process.argv.slice(2));

const ids = readIds();
const { proved, partial, ...read } = readCitations(join(root, 'tests'), ids);
const faults = read.faults.map((fault) => `tests/${fault}`);
const states = ids.map((id) => ({
  id,
  state: proved.has(id) ? 'proved' : partial.has(id) ? 'partial' : 'absent',
}));

if (flags.has('--update')) update();
else if (flags.has('--check')) check();
else if (flags.has('--json')) printJson();
else printTable();

function readIds() {
  const folder = join(root, 'tests/e2e/requirements');
  const found = readdirSync(folder).flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(/^ {2}'([A-Z]{2}-\d{2})':/gm)].map(([, id]) => id),
  );
  const listed = readFileSync(join(root, 'tests/e2e/requirements.ts'), 'utf8').matchAll(
    /keyof typeof (\w+)/g,
  );
  const order = [...listed].map(([, group]) => group);
  return found.sort(
    (a, b) => order.indexOf(a.slice(0, 2)) - order.indexOf(b.slice(0, 2)) || a.localeCompare(b),
  );
}

function check() {
  const committed = JSON.parse(readFileSync(provedFile, 'utf8'));
  const lost = committed
    .filter((id) => !proved.has(id))
    .map((id) => `${id} was proved, now no test cites it`);
  const problems = [...faults, ...lost];
  if (problems.length > 0) {
    console.error(problems.join('\n'));
    process.exit(1);
  }
  const fresh = [...proved].filter((id) => !committed.includes(id));
  if (fresh.length > 0) console.log(`${fresh.length} newly proved: commit them with --update`);
  console.log(totals());
}

function update() {
  if (faults.length > 0) {
    console.error(faults.join('\n'));
    process.exit(1);
  }
  const list = ids.filter((id) => proved.has(id)).map((id) => `  "${id}"`);
  writeFileSync(provedFile, list.length > 0 ? `[\n${list.join(',\n')}\n]\n` : '[]\n');
  console.log(totals());
}

function count(state, of = states) {
  return of.filter((entry) => entry.state === state).length;
}

function totals() {
  return `${ids.length} requirements: ${count('proved')} proved, ${count('partial')} partial, ${count('absent')} absent`;
}

function printJson() {
  for (const entry of states) console.log(JSON.stringify(entry));
  const total = { total: ids.length, proved: count('proved'), partial: count('partial') };
  console.log(JSON.stringify({ ...total, absent: count('absent') }));
}

function printTable() {
  console.log('group  proved  partial  absent');
  for (const group of new Set(ids.map((id) => id.slice(0, 2)))) {
    const of = states.filter((entry) => entry.id.startsWith(group));
    const cells = ['proved', 'partial', 'absent'].map((state, i) => String(count(state, of)).padStart(6 + i));
    console.log(`${group}     ${cells.join(' ')}`);
  }
  console.log(totals());
}
