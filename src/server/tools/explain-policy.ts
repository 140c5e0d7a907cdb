// Owns the tool `agent:explain-policy`: what would be decided for a call, and why, without making it.
import { z } from 'zod';
import { structuredResult } from '../results.ts';
import { jsonObject, OPEN } from './schemas.ts';
import { agentTool, LOOKS_ONLY } from './tool.ts';
import type { AgentTool } from './tool.ts';

export const explainPolicy: AgentTool = agentTool({
  id: 'agent:explain-policy',
  sets: ['operate'],
  audience: 'operators',
  title: 'Explain a decision',
  description: 'What policy would decide for a call with these arguments, and why. Nothing runs.',
  annotations: LOOKS_ONLY,
  input: z.strictObject({
    tool: z.string().min(1).describe('Either spelling of the tool.'),
    arguments: jsonObject,
    session_id: z.exactOptional(z.string().min(1)),
    intent: z.exactOptional(z.string().min(1)),
  }),
  output: OPEN,
  async run({ tool, arguments: args, ...rest }, { runtime, caller, canonicalId }) {
    const asked = { tool: canonicalId(tool) ?? tool, args, ...rest };
    return structuredResult(await runtime.explainPolicy(caller, asked));
  },
});
