// One small request of the modern era over HTTP, through our guards, token and bounds, against the SDK's bare handler: one
// after the other, and 64 in flight without an error.
import { join } from 'node:path';
import { createSender, start } from '../lib/http.mjs';
import { figure, interleave, median, throughput, timeEach } from '../lib/measure.mjs';
import { makePlace, ROOT } from '../lib/place.mjs';
import { serveHttp } from '../lib/served.mjs';

const IN_FLIGHT = 64;

export async function run({ rounds = 15, warmup = 3, requests = 400, burst = 1600 } = {}) {
  const place = makePlace();
  const ours = await serveHttp(place);
  const bare = await start([join(ROOT, 'bench/floor/http-server.mjs')], {
    cwd: ROOT,
    env: place.environment,
    found: /^(\d+)/,
  });
  const senders = { ours: createSender(ours.port, ours.token), bare: createSender(bare.port, ours.token) };
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
