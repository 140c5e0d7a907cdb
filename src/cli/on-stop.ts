// Owns how a command hears that it is to stop: the first signal asks it to, and any second one ends the process at once, as
// if nobody listened.
const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM'];

/** Calls `stop` at the first signal; the answer ends the listening. */
export function onStop(stop: (signal: NodeJS.Signals) => void): () => void {
  const leave = (): void => {
    for (const signal of SIGNALS) process.off(signal, heard);
  };
  const heard = (signal: NodeJS.Signals): void => {
    leave();
    stop(signal);
  };
  for (const signal of SIGNALS) process.on(signal, heard);
  return leave;
}
