// Owns the protocol client that speaks to one server: what it says it can do, and who answers what a server asks.
import type { Client, ClientOptions } from '@modelcontextprotocol/client';
import { asRuntimeError } from '../base/errors.ts';
import type { DownstreamServer } from '../config/types.ts';
import type { CallsInFlight } from './relay/calls-in-flight.ts';
import { answerServer } from './relay/server-requests.ts';
import type { RequestPolicy } from './relay/server-requests.ts';

export type Era = DownstreamServer['era'];

export interface ClientParts {
  server: DownstreamServer;
  clientVersion: string;
  era: Era;
  calls: CallsInFlight;
  requests: RequestPolicy;
  /** A message that answered nothing. */
  onStray: () => void;
}

const MODERN_REVISION = '2026-07-28';
const MAX_PROBE_MS = 3000;
const HEARD = { autoRefresh: false, debounceMs: 0, onChanged: (): void => undefined };

function negotiation(era: Era, startMs: number): NonNullable<ClientOptions['versionNegotiation']> {
  if (era === 'legacy') return { mode: 'legacy' };
  const probe = { timeoutMs: Math.min(MAX_PROBE_MS, startMs / 2) };
  return { mode: era === 'auto' ? 'auto' : { pin: MODERN_REVISION }, probe };
}

export async function createClient(parts: ClientParts): Promise<Client> {
  const { server, requests, calls } = parts;
  // Loaded at the first downstream call: a process that never makes one does not pay for it.
  const sdk = await import('@modelcontextprotocol/client');
  const client = new sdk.Client(
    { name: 'agent-runtime-pack', version: parts.clientVersion },
    {
      capabilities: {
        ...(requests.elicitation ? { elicitation: { form: {}, url: {} } } : {}),
        ...(requests.sampling ? { sampling: {} } : {}),
        ...(requests.roots === undefined ? {} : { roots: {} }),
      },
      inputRequired: { autoFulfill: false },
      versionNegotiation: negotiation(parts.era, server.startTimeoutSeconds * 1000),
      // For the modern protocol this opens the subscription; the notifications themselves are handled by the session.
      listChanged: { tools: HEARD, resources: HEARD, prompts: HEARD },
    },
  );
  client.onerror = parts.onStray;
  // Not a handler of the method: that one would judge the question and its answer by rules that are not ours.
  client.fallbackRequestHandler = async (request) => {
    try {
      return await answerServer(request, calls, requests);
    } catch (thrown) {
      const { code, message } = asRuntimeError(thrown);
      if (code !== 'POLICY_DENIED') throw thrown;
      throw new sdk.ProtocolError(sdk.ProtocolErrorCode.MethodNotFound, message);
    }
  };
  client.setNotificationHandler('notifications/message', ({ params }) => {
    for (const call of calls.listeners()) call.log(params);
  });
  return client;
}
