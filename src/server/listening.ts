// Owns one `subscriptions/listen` before anything answers it: each resource that it names is read as its caller, and what
// may not be read is taken out. Foreign, unknown and malformed are taken out alike.
import type { JSONRPCRequest } from '@modelcontextprotocol/server';
import { isObject } from '../base/json.ts';
import type { Subscribed } from './subscribed.ts';

/** What is left of the request, held until `end`. */
export interface Listening {
  message: JSONRPCRequest;
  end(): void;
}

/** `resourceSubscriptions` as asked for; undefined when there is none, or none that is a list of texts. */
function askedUris(message: JSONRPCRequest): string[] | undefined {
  const filter = message.params?.notifications;
  const uris = isObject(filter) ? filter.resourceSubscriptions : undefined;
  return Array.isArray(uris) && uris.every((uri) => typeof uri === 'string') ? [...new Set(uris)] : undefined;
}

function withUris(message: JSONRPCRequest, uris: string[]): JSONRPCRequest {
  const notifications = { ...(message.params?.notifications as object), resourceSubscriptions: uris };
  return { ...message, params: { ...message.params, notifications } };
}

// Each is a read, of a governed server a recorded call. As many as may be held are read, and of others no more than these.
const MOST_REFUSED = 64;

/** Reads no more once `isOver`, or once more than a few may not be read or have no place: what is left is taken out unread. */
export async function narrowed(
  message: JSONRPCRequest,
  subscribed: Subscribed,
  isOver: () => boolean,
): Promise<Listening> {
  const uris = askedUris(message);
  const kept: { uri: string; leave: () => void }[] = [];
  let refused = 0;
  for (const uri of uris ?? []) {
    if (refused === MOST_REFUSED || isOver()) break;
    await subscribed.add(uri).then(
      (leave) => kept.push({ uri, leave }),
      () => (refused += 1),
    );
  }
  return {
    message:
      uris === undefined
        ? message
        : withUris(
            message,
            kept.map(({ uri }) => uri),
          ),
    end: () => {
      for (const { leave } of kept.splice(0)) leave();
    },
  };
}
