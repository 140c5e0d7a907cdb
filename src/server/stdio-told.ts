// Owns the updates of resources that the one client of a stdio connection is told about, whichever era it speaks.
import type { McpServer } from '@modelcontextprotocol/server';
import type { Connection } from './connection.ts';
import { Subscribed } from './subscribed.ts';
import type { SubscriptionPlaces } from './subscribed.ts';
import { createUpdates } from './updates.ts';

const MOST_SUBSCRIPTIONS = 64;
const LOOK_MS = 1000;

function createPlaces(): SubscriptionPlaces {
  const taken = new Set<symbol>();
  return {
    enter() {
      if (taken.size >= MOST_SUBSCRIPTIONS) return undefined;
      const place = Symbol('subscription');
      taken.add(place);
      return () => taken.delete(place);
    },
  };
}

export interface Told {
  subscribed: Subscribed;
  /** The connection, with updates of resources offered. */
  connection: Connection;
  /** Where updates go from now on. */
  tell(server: McpServer): void;
  close(): void;
}

/** The updates of the one client; the SDK hands them on to what it listens to, in the form of its era. */
export function createTold(connection: Connection): Told {
  const { clock, log } = connection;
  const updates = createUpdates(clock, LOOK_MS, log);
  let to: McpServer | undefined;
  const places = createPlaces();
  const subscribed = new Subscribed({ connection, places, updates }, (uri) => {
    to?.server.sendResourceUpdated({ uri }).catch((error: unknown) => {
      log('debug', 'an update was not delivered', { error });
    });
  });
  const subscriptions = {
    subscribe: (uri: string) => subscribed.sure(uri),
    unsubscribe: (uri: string) => subscribed.remove(uri),
  };
  return {
    subscribed,
    connection: { ...connection, subscriptions },
    tell(server) {
      to = server;
    },
    close() {
      subscribed.close();
      updates.close();
    },
  };
}
