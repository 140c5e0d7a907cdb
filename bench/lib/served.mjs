// Owns the product served over HTTP: with limits that no figure reaches, and a token for it.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { start } from './http.mjs';
import { MAIN, prepare } from './place.mjs';

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

/** `{port, token, stop}` of a place that was not prepared before. */
export async function serveHttp(place, ...flags) {
  raiseRates(place);
  await prepare(place);
  const token = makeToken(place);
  const { workspace: cwd, environment: env } = place;
  const found = /"url":"http:\/\/127\.0\.0\.1:(\d+)/;
  const served = await start([MAIN, 'serve', '--http', '--port', '0', ...flags], { cwd, env, found });
  return { ...served, token };
}
