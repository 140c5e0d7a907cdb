// Owns a runtime whose configuration can be replaced while it serves: one handle, behind which each call enters the rooms
// that are joined over the configuration of that moment.
import { systemClock } from '../base/clock.ts';
import { asRuntimeError } from '../base/errors.ts';
import { randomIds } from '../base/ids.ts';
import { isInstanceAlive, startInstance } from '../kernel/instance.ts';
import type { Instance } from '../kernel/instance.ts';
import type { Worker } from '../pack/background/worker.ts';
import { digestsOf, moveBook, readBook, startServing, withServing } from './config-book.ts';
import type { BookParts, ServingProcess } from './config-book.ts';
import { Generations } from './generations.ts';
import type { Handle } from './generations.ts';
import type { Join, Joined } from './joined.ts';
import { KeptReads } from './kept-reads.ts';
import type { ConfigSource, Log, RuntimeHandle, RuntimeOptions } from './options.ts';
import { ReloadWatch } from './reload-watch.ts';
import { leaseOf } from './signs-of-life.ts';

export interface ReloadableParts {
  options: RuntimeOptions;
  source: ConfigSource;
  first: Joined;
  join: Join;
  closeStore(): Promise<void>;
}

/** Every method of what is picked, called on the generation that the call enters. */
function entering<T extends object>(
  generations: Generations,
  pick: (handle: Handle) => T | Promise<T>,
  own: Partial<T> = {},
): T {
  const call = (target: T, name: string, args: unknown[]): Promise<unknown> => {
    const method = Reflect.get(target, name) as (...given: unknown[]) => Promise<unknown>;
    return Reflect.apply(method, target, args);
  };
  const made = new Map<string, (...args: unknown[]) => Promise<unknown>>();
  const method = (name: string): unknown => {
    let entered = made.get(name);
    if (entered === undefined) {
      entered = (...args) =>
        generations.enter((handle) => {
          const target = pick(handle);
          return target instanceof Promise
            ? target.then((picked) => call(picked, name, args))
            : call(target, name, args);
        });
      made.set(name, entered);
    }
    return entered;
  };
  const get = (_: unknown, name: string | symbol): unknown => {
    if (Reflect.has(own, name)) return Reflect.get(own, name);
    // What is handed out by a promise is asked for this first.
    return typeof name === 'symbol' || name === 'then' ? undefined : method(name);
  };
  return new Proxy<T>(Object.create(null) as T, { get });
}

class ToolsListeners {
  readonly #told = new Set<() => void>();
  #stop: () => void = () => undefined;

  follow(handle: Handle): void {
    this.#stop();
    this.#stop = handle.onToolsChanged(() => this.tell());
  }

  listen(listener: () => void): () => void {
    this.#told.add(listener);
    return () => {
      this.#told.delete(listener);
    };
  }

  tell(): void {
    for (const listener of [...this.#told]) listener();
  }
}

/** Registers this process among those that serve the workspace; those of them that are gone are forgotten. */
async function register(
  book: BookParts,
  process: Instance,
  { options, source, first }: ReloadableParts,
): Promise<ServingProcess> {
  const { directory } = options.config;
  const own: ServingProcess = { instance: process.id, directory, ...digestsOf(first.handle.config) };
  const gone = new Set<string>();
  for (const { instance } of (await readBook(book)).serving) {
    if (!(await isInstanceAlive(book, instance, process.id))) gone.add(instance);
  }
  await startServing(book, own, { by: source.principal, gone });
  return own;
}

async function unregister(book: BookParts, { id }: Instance, log: Log): Promise<void> {
  try {
    await moveBook(book, (now) => ({ book: { ...now, serving: withServing(now, id, undefined) } }));
  } catch (thrown) {
    // Its lease ends too, and whoever looks next takes it out.
    log('debug', 'the end of serving was not written', { error: asRuntimeError(thrown).message });
  }
}

/** What changes hands when a configuration is taken. */
class Reloadable {
  readonly generations: Generations;
  readonly reads: KeptReads;
  readonly tools: ToolsListeners = new ToolsListeners();
  readonly #log: Log;
  #works = false;

  constructor({ first }: ReloadableParts, log: Log) {
    this.#log = log;
    this.generations = new Generations(first, log);
    this.reads = new KeptReads(this.generations, log);
    this.tools.follow(first.handle);
  }

  startWorker(): Promise<Worker> {
    this.#works = true;
    return this.generations.handle.startWorker();
  }

  async take(next: Joined, record: () => Promise<void>): Promise<void> {
    await this.generations.take(next, record);
    this.tools.follow(next.handle);
    this.reads.moved();
    this.tools.tell();
    if (!this.#works) return;
    await next.handle.startWorker().catch((thrown: unknown) => {
      this.#log('error', 'the worker did not start again', { error: asRuntimeError(thrown).message });
    });
  }
}

function handleOf(held: Reloadable, close: () => Promise<void>): RuntimeHandle {
  const { generations, reads, tools } = held;
  const workflows = entering(generations, (handle) => handle.workflows());
  const own: Partial<RuntimeHandle> = {
    get config() {
      return generations.handle.config;
    },
    get store() {
      return generations.handle.store;
    },
    get kernel() {
      return generations.handle.kernel;
    },
    get gate() {
      return generations.handle.gate;
    },
    get directory() {
      return generations.handle.directory;
    },
    reads,
    managed: entering(generations, (handle) => handle.managed),
    workflows: () => Promise.resolve(workflows),
    startWorker: () => held.startWorker(),
    onToolsChanged: (listener) => tools.listen(listener),
    close,
  };
  return entering<RuntimeHandle>(generations, (handle) => handle as RuntimeHandle, own);
}

export async function openReloadable(parts: ReloadableParts): Promise<RuntimeHandle> {
  const { options, source, first, join } = parts;
  const { clock = systemClock, ids = randomIds, log = () => undefined } = options;
  const { store } = first.handle;
  const { tenant } = options.config.identity.stdio;
  const book: BookParts = { store, clock, tenant };
  const held = new Reloadable(parts, log);
  let process: Instance | undefined;
  let watch: ReloadWatch | undefined;
  const close = async (): Promise<void> => {
    await watch?.stop();
    if (process !== undefined) await unregister(book, process, log);
    await held.generations.close();
    await process?.stop().catch(() => undefined);
    await parts.closeStore();
  };
  try {
    process = await startInstance({ store, clock, id: ids.next('inst'), leaseMs: leaseOf(options) });
    watch = new ReloadWatch({
      book,
      clock,
      log,
      load: () => source.load(),
      running: () => held.generations.handle,
      join: (config) =>
        join(
          { ...options, config },
          {
            store,
            lines: first.lines.lines,
            defaults: first.defaults,
            results: first.results,
          },
        ),
      take: (next, record) => held.take(next, record),
      own: await register(book, process, parts),
    });
  } catch (thrown) {
    await close();
    throw thrown;
  }
  let closing: Promise<void> | undefined;
  return handleOf(held, () => (closing ??= close()));
}
