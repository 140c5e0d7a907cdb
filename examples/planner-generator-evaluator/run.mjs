// Planner, generator and evaluator: three sessions, joined by a sprint contract and an artifact in the sandbox.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { graphOf, json, nodeSession, statuses } from '../support/place.mjs';

const HANDOFF = { type: 'path', pattern: '{sandbox}/handoff/**', access: 'write' };

function allowHandoff(tree) {
  const { notes } = tree.agent_runtime.intents;
  const free = { ...notes, allow_tools: [...notes.allow_tools, 'write_file'], approval_required_tools: [] };
  const intents = { ...tree.agent_runtime.intents, notes: free };
  return { ...tree, agent_runtime: { ...tree.agent_runtime, intents } };
}

/** Nobody is asked about a file of the handoff folder; anywhere else nothing can be written at all. */
export const setup = {
  pins: true,
  folders: ['handoff'],
  changes: {
    'capabilities.yaml': ({ capabilities }) => ({
      capabilities: {
        ...capabilities,
        write_file: { ...capabilities.write_file, approval: 'none', scopes: [HANDOFF] },
      },
    }),
    'policy.yaml': ({ policy }) => ({
      policy: { ...policy, capabilities: { ...policy.capabilities, write_file: { decision: 'allow' } } },
    }),
    'runtime.yaml': allowHandoff,
  },
};

/** What the contract demands, tried on the artifact itself. */
async function unmet(contract, artifact) {
  const { slug } = await import(pathToFileURL(artifact).href);
  return contract.accept.filter(([given, expected]) => slug(given) !== expected);
}

export async function run({ place, check, say }) {
  say('agent-runtime workflows run');
  const done = await json(place, ['workflows', 'run', place.file('workflow.yaml')]);
  const { session_id: id } = done;
  check('it ends', done.kind, 'completed');
  const graph = await graphOf(place, id);
  check('all three did their part', statuses(graph), {
    planner: 'completed',
    generator: 'completed',
    evaluator: 'completed',
  });
  check('in three sessions', new Set(graph.nodes.map(({ session_id: one }) => one)).size, 3);

  const contract = JSON.parse(await readFile(join(place.sandbox, 'handoff/sprint-contract.json'), 'utf8'));
  const artifact = join(place.sandbox, 'handoff/slug.mjs');
  check('the artifact does what the contract demands', await unmet(contract, artifact), []);

  const evaluator = await nodeSession(place, graph, 'evaluator');
  const told = evaluator.messages.map(({ content }) => content).join('\n');
  check('the evaluator read the contract', told.includes('exports slug(text)'), true);
  check('and the artifact', told.includes('export function slug'), true);
  check('and knows nothing of how it was made', told.includes('I will write what it asks for'), false);
  check('its verdict', JSON.parse(evaluator.messages.at(-1).content).verdict, 'pass');
  const { items } = await json(place, ['requests', 'list', '--limit', '20']);
  check(
    'two files were written, and no more',
    items.filter(({ tool }) => tool === 'files:write_file').length,
    2,
  );
  const odd = items.filter(({ status }) => status !== 'done');
  check('every call was allowed and done', odd, []);
  return id;
}
