// Owns what a wrapped server goes by: which names there can be, and the one that is made of what it is called elsewhere.
import { RuntimeError } from '../../base/errors.ts';

const NAME = /^[a-z][a-z0-9-]{0,30}$/;
// In the spelling that model APIs take, `-` and `:` are both `_`, and `agent_` begins the names of our own tools.
const RESERVED = /^agent(?:-|$)/;

/** A name that works, as near to the text as may be; undefined: nothing is left of it. */
export function wrapWord(text: string): string | undefined {
  const word = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^(?:agent-|[^a-z])+|-+$/g, '')
    .slice(0, 24);
  return NAME.test(word) && !RESERVED.test(word) ? word : undefined;
}

/** As it was given, with nothing mended. Throws USAGE. */
export function assertWrapName(name: string): void {
  if (!NAME.test(name)) {
    throw new RuntimeError('USAGE', '--name must be small letters, digits and -, and begin with a letter.');
  }
  if (RESERVED.test(name)) {
    throw new RuntimeError(
      'USAGE',
      '--name must not be `agent` or begin with `agent-`, which our own tools have. Take another, e.g. without it.',
    );
  }
}
