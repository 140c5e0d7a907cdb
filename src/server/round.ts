// Owns what every governed request has, whatever it calls: its progress, the asker of its questions, its way into the
// gate, and its place among the calls in flight.
import type { ServerContext } from '@modelcontextprotocol/server';
import { RuntimeError } from '../base/errors.ts';
import type { LogLine } from '../kernel/execution/executor.ts';
import type { RuntimeIo } from '../runtime/contract.ts';
import { RequestAsker, returnedReplies } from './ask.ts';
import type { Answerable } from './ask.ts';
import type { Connection, Era } from './connection.ts';
import { missingCapability } from './errors.ts';
import type { Round } from './gate.ts';
import { relayProgress } from './progress.ts';

export interface ClientView extends Answerable {
  name?: string;
  /** This request says that its client takes a task as an answer. */
  takesTasks: boolean;
}

export interface ClientRequest {
  era: Era;
  ctx: ServerContext;
  client: ClientView;
}

export interface OpenRound {
  round: Round;
  io: RuntimeIo;
  /**
   * Throws the younger protocol's word for a call that needed what its client does not lend; the record of the call is
   * complete either way.
   */
  readonly assertLent: () => void;
  /** Sends the progress that is held back; afterwards nothing is sent. */
  readonly end: () => Promise<void>;
}

/** Lines of a server, at the level that the client asked for; one that hears none is told none. */
async function relayLog(ctx: ServerContext, { level, logger, data }: LogLine): Promise<void> {
  // The client may be gone; its call learns that from its signal.
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- servers of both eras still send them
  await ctx.mcpReq.log(level as Parameters<typeof ctx.mcpReq.log>[0], data, logger).catch(() => undefined);
}

export function openRound({ runtime, clock }: Connection, { era, ctx, client }: ClientRequest): OpenRound {
  const relay = relayProgress(
    ctx.mcpReq._meta?.progressToken,
    (progress) => ctx.mcpReq.notify({ method: 'notifications/progress', params: { ...progress } }),
    clock,
  );
  const beat = (): void => relay.beat();
  const waitMs = runtime.config.runtime.elicitationWaitMs;
  const asker = new RequestAsker({ era, ctx, client, clock, waitMs, beat }, returnedReplies(ctx, era));
  return {
    round: { era, ctx, client, beat, asker },
    io: {
      signal: ctx.mcpReq.signal,
      progress: (progress) => relay.progress(progress),
      snapshot: (snapshot) => relay.snapshot(snapshot),
      ask: (question, withdrawn) => asker.ask(question, withdrawn),
      log: (line) => void relayLog(ctx, line),
    },
    assertLent: () => {
      if (era === 'modern' && asker.lacksSampling()) throw missingCapability({ sampling: {} });
    },
    end: () => relay.end(),
  };
}

/** Begins the work within the bound, and keeps it known until it has ended. Throws TOO_BUSY beyond it. */
export function inFlight<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
  const { inFlight: open, runtime } = connection;
  const most = runtime.config.runtime.maxCallsInFlight;
  if (open.size >= most) throw new RuntimeError('TOO_BUSY', undefined, { in_flight: open.size, most });
  const running = work();
  // Errors are the caller's to see; here only the end counts.
  const leave = (): void => void open.delete(ended);
  const ended = running.then(leave, leave);
  open.add(ended);
  return running;
}
