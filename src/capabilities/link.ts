// Owns what a session needs of the way to its server, whatever that way is: the protocol's transport, and how it ended.
import type { Transport } from '@modelcontextprotocol/client';
import type { RuntimeError } from '../base/errors.ts';
import type { Confinement } from '../kernel/sandbox/confine.ts';
import type { LossCause } from './sessions/capability-session.ts';

export interface Link {
  readonly transport: Transport;
  /** Of the child; absent where there is none. */
  readonly pid?: number;
  /** What the child is held to. */
  readonly confinement?: Confinement;
  /** Set as soon as a bound was broken or the way ended. */
  fault(): RuntimeError | undefined;
  /** How it was lost, once it was. */
  loss(): LossCause | undefined;
  /** Resolves with the fault once nothing of it is left. */
  readonly ended: Promise<RuntimeError>;
  /** Messages that were no messages. */
  garbage(): number;
  close(): Promise<void>;
  /** Without any grace: for a start that failed. */
  destroy(): Promise<void>;
}
