// Owns the `http` block of runtime.yaml: what the server takes over HTTP, and how much of it from whom.
import { z } from 'zod';
import { closed, whole } from '../shape.ts';
import type { HttpSettings } from '../types.ts';

/** `host`, `host:port`, `[::1]:port`: exactly what a client has to send. */
const hostHeader = z
  .string()
  .regex(/^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::[1-9][0-9]{0,4})?$/, {
    error: 'must be a Host header in small letters: host, host:port or [address]:port; no wildcard',
  });

const origin = z.string().regex(/^https?:\/\/[^\s/?#@*]{1,260}$/, {
  error: 'must be an origin such as https://console.example; no path, user or wildcard',
});

const seconds = { second: 1000, minute: 60_000 } as const;

const block = closed({
  allowed_hosts: z
    .array(hostHeader)
    .max(100)
    .default([])
    .describe('Host headers taken besides the names of the loopback address that is listened on.'),
  allowed_origins: z
    .array(origin)
    .max(100)
    .default([])
    .describe('Web origins whose pages may call. None but our own by default.'),
  max_body_bytes: whole(1024, 256 * 1024 * 1024).default(4_194_304),
  max_headers: whole(8, 1000).default(64),
  max_header_bytes: whole(1024, 1024 * 1024).default(16_384),
  header_timeout_ms: whole(100, 600_000)
    .default(10 * seconds.second)
    .describe('Until the headers of a request have all arrived.'),
  body_timeout_ms: whole(100, 600_000)
    .default(30 * seconds.second)
    .describe('Until its body has.'),
  write_timeout_ms: whole(100, 600_000)
    .default(30 * seconds.second)
    .describe('How long a client may take nothing of what is written to it.'),
  idle_timeout_ms: whole(100, 3_600_000)
    .default(seconds.minute)
    .describe('How long a connection stays open between two requests.'),
  max_connections: whole(1, 100_000).default(512),
  max_connections_per_address: whole(1, 100_000).default(256),
  max_requests_per_principal: whole(1, 100_000)
    .default(128)
    .describe('Requests open at once, streams included.'),
  requests_per_second_per_principal: whole(1, 1_000_000).default(500).describe('Twice that in one go.'),
  requests_per_second_per_address: whole(1, 1_000_000).default(1000).describe('Twice that in one go.'),
  refusals_per_minute_per_address: whole(1, 1_000_000)
    .default(120)
    .describe('Requests without a good token, or with a wrong Host or Origin, that get a reason.'),
  max_sessions: whole(1, 100_000).default(1024).describe('Mcp-Session-Id sessions of older clients.'),
  max_sessions_per_principal: whole(1, 100_000).default(32),
  session_idle_ms: whole(100, 7 * 24 * 3_600_000).default(30 * seconds.minute),
  max_streams_per_principal: whole(1, 10_000)
    .default(32)
    .describe('Open streams for updates: GET, and subscriptions/listen.'),
  max_subscriptions_per_principal: whole(1, 10_000)
    .default(64)
    .describe('Resources whose changes are looked for.'),
  update_interval_ms: whole(50, 600_000).default(seconds.second).describe('How often they are looked at.'),
});

// Its shape stays here: whoever holds the block only passes it on to the function below.
export const httpBlock: z.ZodPrefault<z.ZodType> = block.prefault({});

export function buildHttp(parsed: unknown): HttpSettings {
  const raw = parsed as z.output<typeof block>;
  return {
    allowedHosts: raw.allowed_hosts,
    allowedOrigins: raw.allowed_origins,
    maxBodyBytes: raw.max_body_bytes,
    maxHeaders: raw.max_headers,
    maxHeaderBytes: raw.max_header_bytes,
    headerTimeoutMs: raw.header_timeout_ms,
    bodyTimeoutMs: raw.body_timeout_ms,
    writeTimeoutMs: raw.write_timeout_ms,
    idleTimeoutMs: raw.idle_timeout_ms,
    maxConnections: raw.max_connections,
    maxConnectionsPerAddress: raw.max_connections_per_address,
    maxRequestsPerPrincipal: raw.max_requests_per_principal,
    requestsPerSecondPerPrincipal: raw.requests_per_second_per_principal,
    requestsPerSecondPerAddress: raw.requests_per_second_per_address,
    refusalsPerMinutePerAddress: raw.refusals_per_minute_per_address,
    maxSessions: raw.max_sessions,
    maxSessionsPerPrincipal: raw.max_sessions_per_principal,
    sessionIdleMs: raw.session_idle_ms,
    maxStreamsPerPrincipal: raw.max_streams_per_principal,
    maxSubscriptionsPerPrincipal: raw.max_subscriptions_per_principal,
    updateIntervalMs: raw.update_interval_ms,
  };
}
