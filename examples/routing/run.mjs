// Routing: a classification chooses the specialist, each of which has a model of its own.
import { graphOf, json, nodeSession, recordsOf, statuses } from '../support/place.mjs';

export async function run({ place, check, say }) {
  say('agent-runtime workflows check, then run');
  const checked = await json(place, ['workflows', 'check', place.file('workflow.yaml')]);
  check('all nodes are understood before anything starts', checked.nodes.length, 5);
  const done = await json(place, ['workflows', 'run', place.file('workflow.yaml')]);
  const { session_id: id } = done;
  check('it ends', done.kind, 'completed');

  const graph = await graphOf(place, id);
  check('only the chosen way was taken', statuses(graph), {
    classify: 'completed',
    refund: 'completed',
    technical: 'skipped',
    general: 'skipped',
    answer: 'completed',
  });
  const started = (await recordsOf(place, id)).filter(({ type }) => type === 'node_started');
  check(
    'what was not chosen was never started',
    started.map(({ node }) => node),
    ['classify', 'refund', 'answer'],
  );
  const specialist = await nodeSession(place, graph, 'refund');
  check(
    'the specialist spoke',
    specialist.messages.at(-1).content,
    'The second charge of 19.90 is returned.',
  );
  const answer = await nodeSession(place, graph, 'answer');
  const told = answer.messages.map(({ content }) => content).join('\n');
  check('the answer was given what the specialist said', told.includes('19.90 is returned'), true);
  return id;
}
