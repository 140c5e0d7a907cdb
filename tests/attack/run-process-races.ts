// Owns the races between two processes of the operating system on one SQLite file. The effects are counted in a file
// that the processes append to, not by anything that the kernel says.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pay, sampleConfig } from '../kernel/sample-config.ts';
import type { RaceRun } from './run-races.ts';

const RACER = fileURLToPath(new URL('./fixtures/racer.mjs', import.meta.url));

interface Racer {
  ask(order: string): Promise<string>;
  stop(): Promise<number | null>;
}

async function startRacer(args: string[]): Promise<Racer> {
  const child = spawn(process.execPath, [RACER, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting: ((line: string) => void)[] = [];
  const next = (): Promise<string> => new Promise((resolve) => waiting.push(resolve));
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  void ended.then(() => {
    for (const told of waiting.splice(0)) told('error ended');
  });
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(line));
  if ((await next()) !== 'ready') throw new Error('the racer did not start');
  return {
    ask(order) {
      const answer = next();
      child.stdin.write(`${order}\n`);
      return answer;
    },
    stop() {
      child.stdin.end();
      return ended;
    },
  };
}

interface Ring {
  a: Racer;
  b: Racer;
  n: number;
}

/** How many effects are right, from what the processes answered. */
type Race = (ring: Ring, id: string) => Promise<number>;

function both(ring: Ring, a: string, b: string): Promise<[string, string]> {
  return Promise.all([ring.a.ask(a), ring.b.ask(b)]);
}

const RACES: Readonly<Record<string, Race>> = {
  async 'two consumers'(ring, id) {
    await ring.a.ask(`answer ${id} approve`);
    await both(ring, `use ${ring.n}`, `use ${ring.n}`);
    return 1;
  },
  async 'approve against reject'(ring, id) {
    const [approve, reject] = await both(ring, `answer ${id} approve`, `answer ${id} reject`);
    if ((approve === 'moved') === (reject === 'moved')) return -1;
    await both(ring, `use ${ring.n}`, `use ${ring.n}`);
    return approve === 'moved' ? 1 : 0;
  },
  async 'answer against use'(ring, id) {
    await both(ring, `answer ${id} approve`, `use ${ring.n}`);
    await both(ring, `use ${ring.n}`, `use ${ring.n}`);
    return 1;
  },
  async 'replay after consumption'(ring, id) {
    await ring.b.ask(`answer ${id} approve`);
    await ring.a.ask(`use ${ring.n}`);
    await both(ring, `use ${ring.n}`, `use ${ring.n}`);
    return 1;
  },
};

function effectsOf(file: string, n: number): number {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(`${n} `)).length;
}

/** Runs that many races between two processes, every kind in turn. */
export async function runProcessRaces(races: number): Promise<RaceRun> {
  const dir = mkdtempSync(join(tmpdir(), 'arp-race-'));
  const [configFile, effects] = [join(dir, 'config.json'), join(dir, 'effects')];
  writeFileSync(effects, '');
  const policy = { registry: { allowed: ['pay'], denied: [] } };
  writeFileSync(configFile, JSON.stringify(sampleConfig({ capabilities: [pay], policy })));
  const args = [join(dir, 'state', 'runtime.db'), join(dir, 'keys'), configFile, effects];
  const racers = [await startRacer([...args, 'a']), await startRacer([...args, 'b'])] as const;
  const run: RaceRun = { races: 0, kinds: {}, effects: 0, approvals: 0, violations: [] };
  const kinds = Object.keys(RACES);
  try {
    for (let n = 0; n < races; n++) {
      const kind = kinds[n % kinds.length] ?? '';
      const [a, b] = n % 2 === 0 ? racers : [racers[1], racers[0]];
      const id = await a.ask(`open ${n}`);
      const right = await (RACES[kind] as Race)({ a, b, n }, id);
      const made = effectsOf(effects, n);
      run.races += 1;
      run.kinds[kind] = (run.kinds[kind] ?? 0) + 1;
      run.effects += made;
      run.approvals += Math.max(0, right);
      if (made !== right) run.violations.push(`race ${n}: ${kind}: ${made} effects, not ${right}`);
    }
  } finally {
    const ends = await Promise.all(racers.map((one) => one.stop()));
    if (ends.some((code) => code !== 0)) run.violations.push(`a racer ended with ${ends.join()}`);
    rmSync(dir, { recursive: true, force: true });
  }
  return run;
}
