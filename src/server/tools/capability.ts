// Owns how a governed capability is offered under its own name: its definition as its server declared it, its call
// through the gate.
import type { Tool } from '@modelcontextprotocol/server';
import type { GovernedTool, Runtime } from '../../runtime/contract.ts';
import { capabilityResult } from '../results.ts';
import type { ToolEntry } from './tool.ts';

type CapabilityCall = Parameters<Runtime['callCapability']>[1];

/** Where the list carries what policy says about a tool. */
const TOOL_META_KEY = 'agent-runtime/tool';

export function capabilityEntry(tool: GovernedTool): ToolEntry {
  const { id, approval_required } = tool;
  const definition = {
    ...(tool.title === undefined ? {} : { title: tool.title }),
    description: tool.description,
    inputSchema: tool.inputSchema,
    ...(tool.outputSchema === undefined ? {} : { outputSchema: tool.outputSchema }),
    ...(tool.annotations === undefined ? {} : { annotations: tool.annotations }),
    ...(tool.icons === undefined ? {} : { icons: tool.icons }),
    _meta: { ...tool._meta, [TOOL_META_KEY]: { id, approval_required } },
  };
  return {
    id,
    // Definitions are passed on untouched; whether they fit the protocol is judged where they are pinned.
    definition: definition as unknown as Omit<Tool, 'name'>,
    async run(args, { runtime, caller, io, governed, idempotencyKey }) {
      const outcome = await governed({
        tool: id,
        args,
        run: (toolCallId) => {
          const call: CapabilityCall = { tool: id, args: args ?? {} };
          if (idempotencyKey !== undefined) call.idempotencyKey = idempotencyKey;
          if (toolCallId !== undefined) call.callId = toolCallId;
          return runtime.callCapability(caller, call, io);
        },
      });
      if (outcome.kind === 'ask') return outcome.result;
      return capabilityResult(outcome.answer, tool.outputSchema !== undefined, outcome.note);
    },
  };
}
