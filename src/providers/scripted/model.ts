// Owns the scripted model: a provider that answers from a file, offline and the same every time.
import { RuntimeError } from '../../base/errors.ts';
import type { ModelProfile, ModelProvider } from '../contract.ts';
import type { Script } from './script.ts';

/** Pieces as a streaming model gives them, so that whoever shows them has something to show. */
const PIECE = /[\s\S]{1,24}/gu;

async function loadScript(profile: ModelProfile): Promise<Script> {
  if (profile.script === undefined) {
    throw new RuntimeError('CONFIGURATION_ERROR', `Model profile ${profile.name} names no script.`, {
      model_profile: profile.name,
      field: 'script',
    });
  }
  const { readScript } = await import('./script.ts');
  return readScript(profile.script);
}

function assertWanted(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw new RuntimeError('CANCELED', undefined, { provider_kind: 'scripted', request_url: '', attempts: 1 });
}

/** The script is read at every call: it may be edited while a session is open. */
export function createScriptedProvider(profile: ModelProfile): ModelProvider {
  return {
    kind: 'scripted',
    model: profile.model,
    baseUrl: '',
    async generate(input, { signal, onText }) {
      assertWanted(signal);
      const script = await loadScript(profile);
      const { speak } = await import('./turn.ts');
      const output = speak(script, input);
      assertWanted(signal);
      if (onText !== undefined) for (const piece of output.text.match(PIECE) ?? []) onText(piece);
      return { output, facts: { requestUrl: '', attempts: 1 } };
    },
  };
}
