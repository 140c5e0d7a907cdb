// Owns the demo: the stories that show what the runtime does, told by a real client against a real server process.
import { RuntimeError } from '../../base/errors.ts';
import type { Context } from '../context.ts';
import type { Exit } from '../exits.ts';

export interface DemoSettings {
  /** Answer every question with yes instead of asking. */
  yes: boolean;
}

export async function runDemo(_context: Context, _settings: DemoSettings): Promise<Exit> {
  throw new RuntimeError('PROVIDER_UNSUPPORTED', 'The demo is not part of this build.');
}
