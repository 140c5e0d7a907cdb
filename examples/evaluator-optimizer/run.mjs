// Evaluator and optimizer: the judge's critique goes back to the writer until it passes; the rounds are bounded.
import { graphOf, json, nodeSession, statuses } from '../support/place.mjs';

const toldTo = ({ messages }) => messages.map(({ content }) => content).join('\n');

export async function run({ place, check, say }) {
  say('agent-runtime workflows run');
  const done = await json(place, ['workflows', 'run', place.file('workflow.yaml')]);
  const { session_id: id } = done;
  check('it ends', done.kind, 'completed');

  const graph = await graphOf(place, id);
  check('it was revised once, and the second text passed', statuses(graph), {
    draft: 'completed',
    judge_1: 'completed',
    revise_1: 'completed',
    judge_2: 'completed',
    revise_2: 'skipped',
    publish: 'completed',
  });
  const revised = toldTo(await nodeSession(place, graph, 'revise_1'));
  check('the writer was given the critique', revised.includes('Say what a user has to do.'), true);
  const judged = toldTo(await nodeSession(place, graph, 'judge_2'));
  check('the judge was given the revised text', judged.includes('sign in again once'), true);
  check('and not the critique of before', judged.includes('Say what a user has to do.'), false);
  const published = (await nodeSession(place, graph, 'publish')).messages;
  check(
    'the newest text is what was published',
    published.at(-1).content.endsWith('sign in again once.'),
    true,
  );
  return id;
}
