// Owns `config reload`: asks every process that serves this workspace to take the files as they are now, and tells what
// each of them answered.
import { RuntimeError, ERRORS } from '../../base/errors.ts';
import type { RuntimeConfig } from '../../config/types.ts';
import type { TrustVerdict } from '../../config/trust.ts';
import { isInstanceAlive } from '../../kernel/instance.ts';
import { booksOf, digestsOf, readBook, requestReload } from '../../runtime/config-book.ts';
import type { BookParts, ReloadAnswer, ReloadRequest, ServingProcess } from '../../runtime/config-book.ts';
import type { Store } from '../../store/contract.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { localCaller } from '../identity.ts';
import { withStoreIfAny } from '../open-store.ts';
import { cell, table } from '../print.ts';
import { assertStateOutside } from '../context.ts';
import { loadChecked, tellProblems } from './config.ts';

const LOOK_MS = 100;
// A process looks twice a second, and then joins its rooms anew; longer than this it is stuck or stopped.
const WAIT_MS = 30_000;

interface Told {
  instance: string;
  outcome: ReloadAnswer['outcome'] | 'gone' | 'no_answer';
  code?: string;
  message?: string;
}

interface Asked {
  told: Told[];
  /** Directories of processes that serve this workspace with another configuration. */
  elsewhere: string[];
}

function pause({ clock }: Context, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve);
  });
}

/** One after another: each is a small write. */
async function living(book: BookParts, asker: string): Promise<ServingProcess[]> {
  const found: ServingProcess[] = [];
  for (const one of (await readBook(book)).serving) {
    if (await isInstanceAlive(book, one.instance, asker)) found.push(one);
  }
  return found;
}

function toldBy({ instance, answer }: ServingProcess, request: string): Told | undefined {
  if (answer?.request !== request) return undefined;
  const { outcome } = answer;
  return outcome === 'refused'
    ? { instance, outcome, code: answer.code, message: answer.message }
    : { instance, outcome };
}

/** Until each has answered or is gone, or the time is over. */
async function answers(
  context: Context,
  book: BookParts,
  asked: readonly ServingProcess[],
  { id, by }: ReloadRequest,
): Promise<Told[]> {
  const until = context.clock.monotonic() + WAIT_MS;
  for (;;) {
    const { serving } = await readBook(book);
    const told = asked.map(({ instance }): Told => {
      const now = serving.find((one) => one.instance === instance);
      if (now === undefined) return { instance, outcome: 'gone' };
      return toldBy(now, id) ?? { instance, outcome: 'no_answer' };
    });
    if (told.every(({ outcome }) => outcome !== 'no_answer')) return told;
    if (context.clock.monotonic() >= until) {
      const alive = new Set((await living(book, by)).map(({ instance }) => instance));
      return told.map((one) =>
        one.outcome === 'no_answer' && !alive.has(one.instance) ? { ...one, outcome: 'gone' } : one,
      );
    }
    await pause(context, LOOK_MS);
  }
}

async function askIn(context: Context, config: RuntimeConfig, book: BookParts): Promise<Asked> {
  const { principal, actor } = localCaller(config.identity);
  const serving = await living(book, actor);
  const { directory } = config;
  const elsewhere = serving.filter((one) => one.directory !== directory).map((one) => one.directory);
  const asked = serving.filter((one) => one.directory === directory);
  if (asked.length === 0) return { told: [], elsewhere };
  const id = Buffer.from(context.ids.bytes(16)).toString('hex');
  const request = { id, directory, by: principal, ...digestsOf(config) };
  await requestReload(book, request);
  return { told: await answers(context, book, asked, request), elsewhere };
}

async function ask(context: Context, config: RuntimeConfig, store: Store): Promise<Asked> {
  const books = await booksOf({ store, clock: context.clock });
  const asked = await Promise.all(books.map((book) => askIn(context, config, book)));
  return { told: asked.flatMap(({ told }) => told), elsewhere: asked.flatMap((one) => one.elsewhere) };
}

function exitOf(told: readonly Told[]): Exit {
  if (told.some(({ outcome }) => outcome === 'no_answer')) return EXIT.fault;
  const refused = told.flatMap(({ code }) => (code === undefined ? [] : [code as keyof typeof ERRORS]));
  const exits = refused.map((code) => (code === 'CONFIGURATION_ERROR' ? EXIT.check : ERRORS[code].exit));
  return exits[0] ?? EXIT.ok;
}

const OUTCOMES: Readonly<Record<Told['outcome'], string>> = {
  taken: 'taken',
  same: 'has it already',
  refused: 'refused; it keeps what it had',
  gone: 'has ended',
  no_answer: 'has not answered; its log says what it does, and asking again says whether it has it',
};

async function text(config: RuntimeConfig, { told, elsewhere }: Asked): Promise<string> {
  const head =
    told.length === 0
      ? `No process serves this workspace with ${cell(config.directory, 1000)}; the next start takes ${config.digest}.`
      : await table(
          ['instance', 'configuration', 'why'],
          told.map(({ instance, outcome, message }) => [instance, OUTCOMES[outcome], message ?? '']),
          500,
        );
  const others = elsewhere.map(
    (one) => `A process serves this workspace with ${cell(one, 1000)}; it was not asked.`,
  );
  const approvals = told.some(({ outcome }) => outcome === 'taken')
    ? ['Approvals that were asked for under another policy are asked for again.']
    : [];
  return [head, ...others, ...approvals].join('\n');
}

function assertTrusted(context: Context, { directory, digest }: RuntimeConfig, trust: TrustVerdict): void {
  if (trust !== 'untrusted') return;
  const { workspace } = context;
  throw new RuntimeError(
    'WORKSPACE_NOT_TRUSTED',
    `The configuration in ${directory} is not trusted yet for the workspace ${workspace}; what runs stays as it is.`,
    { workspace, directory, digest },
  );
}

export async function reloadConfig(context: Context): Promise<Exit> {
  assertStateOutside(context);
  let checked: Awaited<ReturnType<typeof loadChecked>>;
  try {
    checked = await loadChecked(context);
  } catch (thrown) {
    return tellProblems(context, thrown);
  }
  const { config, trust } = checked;
  assertTrusted(context, config, trust);
  const asked = await withStoreIfAny(context, (store) =>
    store === undefined ? Promise.resolve({ told: [], elsewhere: [] }) : ask(context, config, store),
  );
  const { directory } = config;
  const { told, elsewhere } = asked;
  const result = { directory, ...digestsOf(config), trust, processes: told, elsewhere };
  await context.print.result(result, () => text(config, asked));
  return exitOf(told);
}
