// Owns that no child outlives this process, however it ends: at `exit`, which an uncaught exception reaches too, and at
// a signal that nobody else handles and that would end us without one.
//
// E1: a signal that somebody else listens to is theirs: they end the process, and `exit` does the rest.
// E2: a signal that only we listen to has the effect it would have had without us, once the children are gone.
// Limit: SIGKILL tells nobody; a child then ends because its standard input does.
import type { Sandbox } from './contract.ts';

const SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];
// One for the process: with a listener for each sandbox, each would take the others' for somebody who handles it.
const sandboxes = new Set<Pick<Sandbox, 'killAllNow'>>();

function endAll(): void {
  for (const sandbox of sandboxes) sandbox.killAllNow();
}

function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return; // E1
  endAll();
  stopListening();
  process.kill(process.pid, signal); // E2
}

function listen(): void {
  process.on('exit', endAll);
  for (const signal of SIGNALS) process.on(signal, onSignal);
}

function stopListening(): void {
  process.off('exit', endAll);
  for (const signal of SIGNALS) process.off(signal, onSignal);
}

/** Ends the sandbox's children with the process, until the answer is called. */
export function endWithProcess(sandbox: Pick<Sandbox, 'killAllNow'>): () => void {
  if (sandboxes.size === 0) listen();
  sandboxes.add(sandbox);
  return () => {
    sandboxes.delete(sandbox);
    if (sandboxes.size === 0) stopListening();
  };
}
