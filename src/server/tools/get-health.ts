// Owns the tool `agent:get-health`: what works and what does not, failing checks first, each with what to do.
import { z } from 'zod';
import { stopped } from '../../base/text.ts';
import { structuredResult } from '../results.ts';
import { BOOL, closed, list, oneOf, orError, TEXT } from './schemas.ts';
import { agentTool, LOOKS_ONLY } from './tool.ts';
import type { AgentTool } from './tool.ts';

const status = oneOf('fail', 'warn', 'ok');

const inventory = closed({
  has_drift: BOOL,
  missing_from_catalog: list(TEXT),
  missing_from_inventory: list(TEXT),
  changed: list(closed({ tool: TEXT, what: TEXT })),
});
const check = closed({ check: TEXT, status, detail: TEXT, action: TEXT, inventory }, ['action', 'inventory']);

export const getHealth: AgentTool = agentTool({
  id: 'agent:get-health',
  sets: ['turn', 'operate'],
  audience: 'everybody',
  title: 'Health',
  description: 'The state of this runtime: failing checks first, each with what to do.',
  annotations: LOOKS_ONLY,
  input: z.strictObject({}),
  output: orError(closed({ status, checks: list(check) })),
  async run(_nothing, { runtime, caller }) {
    const health = await runtime.getHealth(caller);
    const lines = health.checks.map((one) => {
      const said = `${one.status} ${one.check}: ${one.detail}`;
      return one.action === undefined ? said : `${stopped(said)} ${one.action}`;
    });
    return structuredResult(health, [`Health: ${health.status}.`, ...lines].join('\n'));
  },
});
