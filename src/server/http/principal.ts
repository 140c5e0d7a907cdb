// Owns what one principal has open over HTTP, whichever of its tokens and connections opened it. Every bound is one
// principal's own: a flood of one takes nothing from another.
import type { Caller } from '../../kernel/identity.ts';

/** What is counted, and bounded by the setting of the same name. */
export type Counted = 'requests' | 'streams' | 'sessions' | 'subscriptions';

export interface Principal {
  readonly key: string;
  /** Tool calls that have not ended, over all connections. */
  readonly inFlight: Set<Promise<unknown>>;
  /** Takes one place; undefined when all are taken. What is returned gives it back, once. */
  enter(what: Counted): (() => void) | undefined;
  count(what: Counted): number;
}

export function principalKey({ tenant, principal }: Caller): string {
  return JSON.stringify([tenant, principal]);
}

export function createPrincipal(key: string, most: Readonly<Record<Counted, number>>): Principal {
  const open: Record<Counted, number> = { requests: 0, streams: 0, sessions: 0, subscriptions: 0 };
  return {
    key,
    inFlight: new Set(),
    enter(what) {
      if (open[what] >= most[what]) return undefined;
      open[what] += 1;
      let isIn = true;
      return () => {
        if (isIn) open[what] -= 1;
        isIn = false;
      };
    },
    count: (what) => open[what],
  };
}
