// Proves that what the guard takes for a message is exactly what the protocol's own schema takes for one, unchanged.
import { parseJSONRPCMessage } from '@modelcontextprotocol/server';
import { expect, test } from 'vitest';
import { LineGuard } from '../../src/server/line-guard.ts';

const REQUEST = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: {} };
const withMeta = (meta: unknown): unknown => ({ ...REQUEST, params: { name: 'a', _meta: meta } });

const VALUES: unknown[] = [
  REQUEST,
  { ...REQUEST, id: 'one' },
  { ...REQUEST, id: 1.5 },
  { ...REQUEST, id: 2 ** 53 },
  { ...REQUEST, id: null },
  { ...REQUEST, id: true },
  { ...REQUEST, jsonrpc: '1.0' },
  { ...REQUEST, method: 7 },
  { ...REQUEST, extra: 1 },
  { ...REQUEST, result: {} },
  { ...REQUEST, params: [] },
  { ...REQUEST, params: null },
  { ...REQUEST, params: 'text' },
  { ...REQUEST, params: { a: { constructor: 1 }, b: [1, null] } },
  { jsonrpc: '2.0', id: 1, method: 'ping' },
  { jsonrpc: '2.0', id: 1, method: 'ping', extra: {} },
  { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } },
  { jsonrpc: '2.0', method: 'notifications/cancelled', params: {}, extra: 1 },
  { jsonrpc: '2.0', id: 1, result: {} },
  { jsonrpc: '2.0', id: 1, error: { code: -32600, message: 'no' } },
  withMeta({}),
  withMeta(null),
  withMeta([]),
  withMeta('text'),
  withMeta({ progressToken: 1, other: { kept: true } }),
  withMeta({ progressToken: 'one' }),
  withMeta({ progressToken: 1.5 }),
  withMeta({ progressToken: null }),
  withMeta({ 'io.modelcontextprotocol/related-task': { taskId: 'one', more: 1 } }),
  withMeta({ 'io.modelcontextprotocol/related-task': {} }),
  withMeta({ 'io.modelcontextprotocol/related-task': null }),
  [REQUEST],
  'text',
];

function asProtocolReads(value: unknown): unknown {
  try {
    return parseJSONRPCMessage(value);
  } catch {
    return 'refused';
  }
}

test.each(VALUES.map((value) => [JSON.stringify(value)]))('%s is read as the protocol reads it', (text) => {
  const guard = new LineGuard({ maxBytes: 1000, maxDepth: 16 });
  const [event] = guard.push(Buffer.from(`${text}\n`));
  expect(event?.kind === 'message' ? event.message : event?.kind).toEqual(asProtocolReads(JSON.parse(text)));
});
