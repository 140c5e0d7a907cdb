// Owns the operator's log: pino on standard error. The package is loaded by the first line, after serving has begun.
import type { Logger } from 'pino';
import { RuntimeError } from '../base/errors.ts';
import type { Redactor } from '../kernel/evidence/redact.ts';
import type { Log } from '../runtime/options.ts';
import type { Context } from './context.ts';
import { shownJson } from './print.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
type Env = Context['env'];

/** A failure that has a name of ours is told without its stack. */
function told(thrown: unknown): object | undefined {
  if (!(thrown instanceof RuntimeError) || thrown.code === 'INTERNAL') return undefined;
  const { code, message, details } = thrown;
  return { code, message, details };
}

/** What a message of others quotes may be a value that they were given: those that look secret by their name. */
async function openRedactor(env: Env): Promise<Redactor> {
  const [{ createRedactor }, { looksSecret }] = await Promise.all([
    import('../kernel/evidence/redact.ts'),
    import('../config/files/servers.ts'),
  ]);
  const secrets = Object.entries(env).flatMap(([name, value]) =>
    value !== undefined && looksSecret(name, value) ? [value] : [],
  );
  return createRedactor({ secrets, fields: [], patterns: [] });
}

async function openLogger(level: LogLevel, env: Env): Promise<Logger> {
  const [{ pino }, redactor] = await Promise.all([import('pino'), openRedactor(env)]);
  const options = {
    level,
    base: { pid: process.pid },
    // JSON alone would write a thrown error as an object without its message.
    serializers: { error: (thrown: unknown) => told(thrown) ?? pino.stdSerializers.err(thrown as Error) },
    // Paths, and what servers say, may hold anything.
    hooks: { streamWrite: (line: string) => shownJson(redactor.text(line)) },
  };
  return pino(options, pino.destination({ dest: 2, sync: true }));
}

/** Lines come out in order; `settled` resolves when all so far have. */
export function createLog(least: LogLevel, env: Env): { log: Log; settled: () => Promise<void> } {
  let last: Promise<Logger> | undefined;
  const log: Log = (level, message, facts = {}) => {
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(least)) return;
    last = (last ?? openLogger(least, env)).then((logger) => {
      logger[level](facts, message);
      return logger;
    });
  };
  return {
    log,
    async settled() {
      await last;
    },
  };
}
