// Owns measured servers over HTTP: started as a user starts them, and single requests over connections that stay open.
import { spawn } from 'node:child_process';
import { Agent, request } from 'node:http';

/** Resolves with what `found` finds in the first output of the process. */
export function start(args, { env, cwd, found }) {
  const child = spawn(process.execPath, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  return new Promise((resolve, reject) => {
    let said = '';
    const look = (part) => {
      said += part;
      const port = found.exec(said)?.[1];
      if (port !== undefined) resolve({ port: Number(port), stop: () => stop(child) });
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.on('close', (code) => reject(new Error(`ended with ${code}: ${said}`)));
  });
}

function stop(child) {
  return new Promise((resolve) => {
    child.once('close', resolve);
    child.kill('SIGTERM');
  });
}

/** Sends one modern request; anything but a whole result is an error. */
export function createSender(port, token) {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const send = (method, params) =>
    new Promise((resolve, reject) => {
      const _meta = {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1.0.0' },
        'io.modelcontextprotocol/clientCapabilities': {},
      };
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } });
      const headers = {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': method,
        'mcp-name': params.name,
      };
      request({ agent, host: '127.0.0.1', port, path: '/mcp', method: 'POST', headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => (text += part));
        response.on('error', reject).on('end', () => {
          if (response.statusCode === 200 && text.includes('"messages"')) resolve();
          else reject(new Error(`answered ${response.statusCode} ${text.slice(0, 300)}`));
        });
      })
        .on('error', reject)
        .end(body);
    });
  return { send, close: () => agent.destroy() };
}
