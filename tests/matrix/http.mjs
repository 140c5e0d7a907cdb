// Owns the HTTP server of a place: one process for all clients of it, as a user starts it; and a token for each client, made
// and revoked as a user does it, for the person of this machine, who also answers in the terminal.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { command, MAIN } from './place.mjs';

const servers = new Map();

async function tokens(place, ...args) {
  const { code, out, err } = await command(place, 'tokens', ...args, '--json');
  if (code !== 0) throw new Error(`tokens ${args[0]}: ${out}${err}`);
  return JSON.parse(out);
}

async function start(place) {
  const where = ['--workspace', place.workspace, '--config', place.config];
  const child = spawn(
    process.execPath,
    [MAIN, 'serve', '--http', '--port', '0', '--tools', 'all', ...where],
    {
      env: place.env,
      cwd: place.workspace,
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let log = '';
  child.stderr.setEncoding('utf8');
  const url = await new Promise((resolve, reject) => {
    child.on('close', (code) => reject(new Error(`ended with ${code}: ${log}`)));
    child.stderr.on('data', (text) => {
      log = (log + text).slice(-100_000);
      const found = /"url":"([^"]+)"/.exec(log);
      if (found !== null) resolve(found[1]);
    });
  });
  return { url, pid: child.pid, child, given: [], log: () => log };
}

/** The place's server, started at the first use, and a token of it that nobody else has. */
export async function httpAccess(place) {
  if (!servers.has(place)) servers.set(place, start(place));
  const server = await servers.get(place);
  const roles = ['operator', 'manager'].flatMap((role) => ['--role', role]);
  const { id, token } = await tokens(place, 'add', '--principal', `os:${process.getuid()}`, ...roles);
  server.given.push(token);
  return { url: server.url, pid: server.pid, token, revoke: () => tokens(place, 'revoke', id) };
}

/** Its end without any warning; the next who needs one starts another. */
export async function killHttpServer(place) {
  const { child } = await servers.get(place);
  servers.delete(place);
  const ended = once(child, 'close');
  child.kill('SIGKILL');
  await ended;
}

/** Its end by a signal. */
export async function stopHttpServer(place) {
  const starting = servers.get(place);
  if (starting === undefined) return;
  servers.delete(place);
  const { child, log, given } = await starting;
  const ended = once(child, 'close');
  child.kill('SIGTERM');
  const [code] = await ended;
  if (code !== 0) throw new Error(`the server ended with ${code}: ${log()}`);
  if (given.some((token) => log().includes(token))) throw new Error('the log holds a token');
}
