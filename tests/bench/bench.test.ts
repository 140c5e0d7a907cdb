// Owns the proof that every figure can be taken: each prints its lines, each line has its shape, and a figure that measured
// nothing ends the bench. What the figures are is for the bench itself to say; no time is judged here.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../../scripts/bench.mjs', import.meta.url));
const MEASURE = new URL('../../bench/lib/measure.mjs', import.meta.url).href;
const LONG = 240_000;

/** A line for each gateway of others, which a quick run does without: each says that it is absent. */
function gateways(name: string): string[] {
  return [name, ...['mcp-proxy', 'supergateway', 'mcp-remote'].map((peer) => `${name}-${peer}`)];
}

function sessions(name: string): string[] {
  return [name, `${name}-rss`, `${name}-descriptors`];
}

const FIGURES: Readonly<Record<string, readonly string[]>> = {
  'governed-call': [
    'governed-call',
    'governed-call-plain',
    'governed-call-deny',
    'governed-call-16',
    'governed-call-16-journal',
    'governed-call-16-shared',
    'governed-call-16-by-hand',
    'governed-call-16-file',
    // Processor time is read where the system tells it.
    ...(process.platform === 'linux'
      ? [
          'governed-call-16-processor',
          'governed-call-16-processor-by-hand',
          'governed-call-16-processor-file',
        ]
      : []),
  ],
  'durable-run': ['durable-run', 'durable-run-session', 'durable-run-steps'],
  'turn-growth': ['turn-growth', 'turn-growth-bytes'],
  'runs-16': ['runs-16'],
  'workflow-step': ['workflow-step'],
  sleepers: ['sleepers', 'sleepers-resume'],
  wakeups: ['wakeups'],
  'policy-decision': ['policy-decision'],
  // Resident memory is read where the system tells it.
  'cold-start': process.platform === 'linux' ? ['cold-start', 'cold-start-rss'] : ['cold-start'],
  'list-10k': ['list-10k'],
  'http-front': ['http-front', 'http-front-64'],
  relay: ['relay'],
  // Children and descriptors are counted where the system lists them.
  'sessions-1k':
    process.platform === 'linux' ? [...sessions('sessions-1k'), ...sessions('sessions-1k-http')] : [],
  'gateway-stdio': gateways('gateway-stdio'),
  'gateway-http': gateways('gateway-http'),
};

async function node(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, out, err };
}

test.each(Object.entries(FIGURES))(
  '%s prints its lines, each with what was measured and its floor',
  async (name, figures) => {
    const { code, out, err } = await node(SCRIPT, name, '--quick', '--json');
    expect(code, err).toBe(0);
    const lines = out
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map(({ figure }) => figure)).toEqual(figures);
    for (const line of lines) {
      if ('absent' in line) {
        expect(line['absent']).toMatch(/could not be had: nothing is installed/);
        expect(figures.indexOf(String(line['figure']))).toBeGreaterThan(0);
        continue;
      }
      expect(Object.keys(line)).toEqual(['figure', 'value', 'unit', 'floor', 'ratio', 'rounds']);
      expect(line.unit).toMatch(/^(?:ms|us|MB|bytes|calls\/s|count)$/);
      expect(line.rounds).toBe(1);
      // What is added to another time may be less than nothing in a round.
      const least = name.startsWith('gateway-') ? -Infinity : 0;
      for (const key of ['value', 'floor', 'ratio']) expect(line[key]).toSatisfy((n) => Number(n) > least);
    }
  },
  LONG,
);

test('a name that is no figure is refused, with the names there are', async () => {
  const { code, out, err } = await node(SCRIPT, 'warp-speed', '--json');
  expect(code).toBe(2);
  expect(out).toBe('');
  for (const name of Object.keys(FIGURES)) expect(err).toContain(name);
});

test.each([
  ['no round', '[], []'],
  ['a round without work', '[1, 0], [1, 1]'],
  ['a floor without work', '[1], [0]'],
  ['a round that measured nothing', '[NaN], [1]'],
  ['a round without its floor', '[1, 1], [1]'],
])('%s is no figure', async (_, values) => {
  const code = `import { figure } from '${MEASURE}'; figure('some-figure', 'ms', ${values});`;
  const ended = await node('--input-type=module', '--eval', code);
  expect(ended.code).not.toBe(0);
  expect(ended.err).toContain('some-figure: ');
});
