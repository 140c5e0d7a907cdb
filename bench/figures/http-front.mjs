// One small request of the modern era over HTTP, through our guards, token and bounds, against the SDK's bare handler: one
// after the other, and 64 in flight without an error.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSender, start } from '../lib/http.mjs';
import { figure, interleave, median, throughput, timeEach } from '../lib/measure.mjs';
import { MAIN, makePlace, prepare, ROOT } from '../lib/place.mjs';

const IN_FLIGHT = 64;
const MOST = 1_000_000;

function raiseRates({ configs }) {
  const path = join(configs, 'runtime.yaml');
  const found = JSON.parse(readFileSync(path, 'utf8'));
  const http = { requests_per_second_per_principal: MOST, requests_per_second_per_address: MOST };
  writeFileSync(path, JSON.stringify({ ...found, runtime: { http } }));
}

function makeToken({ workspace, environment }) {
  const args = [MAIN, 'tokens', 'add', '--principal', 'bench', '--json'];
  const { stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: workspace,
    env: environment,
    encoding: 'utf8',
  });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout).token;
}

export async function run({ rounds = 15, warmup = 3, requests = 400, burst = 1600 } = {}) {
  const place = makePlace();
  raiseRates(place);
  await prepare(place);
  const token = makeToken(place);
  const ours = await start([MAIN, 'serve', '--http', '--port', '0'], {
    cwd: place.workspace,
    env: place.environment,
    found: /"url":"http:\/\/127\.0\.0\.1:(\d+)/,
  });
  const bare = await start([join(ROOT, 'bench/floor/http-server.mjs')], {
    cwd: ROOT,
    env: place.environment,
    found: /^(\d+)/,
  });
  const senders = { ours: createSender(ours.port, token), bare: createSender(bare.port, token) };
  const get = (sender) => () => sender.send('prompts/get', { name: 'review-approvals' });
  const p50 = async (sender) => median(await timeEach(requests, get(sender)));
  const each = async (sender) => 1000 / (await throughput(burst, IN_FLIGHT, get(sender)));
  try {
    const alone = await interleave(rounds, warmup, {
      ours: () => p50(senders.ours),
      bare: () => p50(senders.bare),
    });
    const many = await interleave(rounds, warmup, {
      ours: () => each(senders.ours),
      bare: () => each(senders.bare),
    });
    return [
      figure('http-front', 'ms', alone.ours, alone.bare),
      figure('http-front-64', 'ms', many.ours, many.bare),
    ];
  } finally {
    for (const sender of Object.values(senders)) sender.close();
    await Promise.all([ours.stop(), bare.stop()]);
    place.dispose();
  }
}
