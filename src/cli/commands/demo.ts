// Owns the command `demo`: its flags. The stories themselves are cli/demo.
import type { CommonOptions, Context } from '../context.ts';
import { runDemo } from '../demo/run-demo.ts';
import type { Exit } from '../exits.ts';

export interface DemoOptions extends CommonOptions {
  yes?: boolean;
}

export function demo(context: Context, options: DemoOptions): Promise<Exit> {
  return runDemo(context, { yes: options.yes === true });
}
