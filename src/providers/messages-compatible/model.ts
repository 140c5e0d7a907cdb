// Owns the use of the vendor package for messages APIs; nothing of it is loaded before the first call.
import type { VendorCall, VendorModel, VendorSettings, WireKind } from '../model-port.ts';
import { arrange } from './request.ts';

// Without this the API may stream tool arguments that it has not checked to be whole JSON.
const PROVIDER_OPTIONS = { anthropic: { toolStreaming: false } };

async function open(settings: VendorSettings): Promise<VendorModel> {
  const { createAnthropic } = await import('@ai-sdk/anthropic');
  const provider = createAnthropic({
    baseURL: settings.baseUrl,
    fetch: settings.fetch,
    // Always given, for the package would look for a missing key in the environment of the process.
    apiKey: settings.apiKey ?? '',
  });
  const model = provider.messages(settings.model);
  const options = (call: VendorCall): VendorCall & { providerOptions: typeof PROVIDER_OPTIONS } => ({
    ...call,
    providerOptions: PROVIDER_OPTIONS,
  });
  return {
    generate: async (call) => model.doGenerate(options(call)),
    stream: async (call) => (await model.doStream(options(call))).stream,
  };
}

export const messagesCompatible: WireKind = { path: '/messages', arrange, open };
