// The process that starts the chain, and dies by kill -9 as soon as the second stage is at work.
//   node first-process.mjs PLACE SESSION_ID
import { readFile } from 'node:fs/promises';
import { startGovernedAgentWorkflow } from 'agent-runtime-pack';
import { parse } from 'yaml';
import { localCaller, openRuntime } from '../support/place.mjs';

const [place, sessionId] = [JSON.parse(process.argv[2]), process.argv[3]];
const workflow = parse(await readFile(new URL('workflow.yaml', import.meta.url), 'utf8'));
const dieIn = (node) => {
  if (node === 'draft') process.kill(process.pid, 'SIGKILL');
};
await startGovernedAgentWorkflow({
  // A process that is gone is taken for gone after a second; the default is half a minute.
  runtime: await openRuntime(place, { instanceLeaseMs: 1000 }),
  caller: localCaller(),
  workflow,
  sessionId,
  snapshot: ({ data }) => dieIn(data.node_id),
});
