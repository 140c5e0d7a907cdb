// Owns the use of the vendor package for chat-completions APIs; nothing of it is loaded before the first call.
import type { VendorModel, VendorSettings, WireKind } from '../model-port.ts';
import { arrange } from './request.ts';

async function open(settings: VendorSettings): Promise<VendorModel> {
  const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible');
  const provider = createOpenAICompatible({
    name: 'openaiCompatible',
    baseURL: settings.baseUrl,
    fetch: settings.fetch,
    includeUsage: true,
    ...(settings.apiKey === undefined ? {} : { apiKey: settings.apiKey }),
  });
  const model = provider.chatModel(settings.model);
  return {
    generate: async (call) => model.doGenerate(call),
    stream: async (call) => (await model.doStream(call)).stream,
  };
}

export const openaiCompatible: WireKind = { path: '/chat/completions', arrange, open };
