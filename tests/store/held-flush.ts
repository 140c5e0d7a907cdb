// A flush that ends when the test says so, and what it takes to look at promises meanwhile.

/** A flush that ends when the test says so. */
export function heldFlush(): {
  run: () => Promise<void>;
  close: () => void;
  end: (error?: Error) => void;
  begun: number;
  now: () => void;
  atOnce: number;
  fails: boolean;
} {
  let settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
  const flush = {
    begun: 0,
    atOnce: 0,
    fails: false,
    now: () => {
      if (flush.fails) throw Object.assign(new Error('no'), { code: 'EIO' });
      flush.atOnce++;
    },
    run: () => {
      flush.begun++;
      return new Promise<void>((resolve, reject) => {
        settle = { resolve, reject };
      });
    },
    close: () => undefined,
    end: (error?: Error) => {
      if (error === undefined) settle?.resolve();
      else settle?.reject(error);
    },
  };
  return flush;
}

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** Whether it has settled by now, and how. */
export function watch(promise: Promise<unknown>): { how: () => unknown } {
  let how: unknown = 'open';
  promise.then(
    () => (how = 'kept'),
    (error: unknown) => (how = (error as { code: string }).code),
  );
  return { how: () => how };
}
