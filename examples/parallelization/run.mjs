// Parallelization: three branches at once, and a join that is given what each of them said.
import { graphOf, json, nodeSession, recordsOf, statuses } from '../support/place.mjs';

const REVIEWERS = ['security', 'performance', 'style'];

export async function run({ place, check, say }) {
  say('agent-runtime workflows run');
  const done = await json(place, ['workflows', 'run', place.file('workflow.yaml')]);
  const { session_id: id } = done;
  check('it ends', done.kind, 'completed');

  const records = await recordsOf(place, id);
  const at = (type) => records.filter((one) => one.type === type && REVIEWERS.includes(one.node));
  const lastStart = Math.max(...at('node_started').map(({ seq }) => seq));
  const firstEnd = Math.min(...at('node_completed').map(({ seq }) => seq));
  check('all three were at work before the first had ended', lastStart < firstEnd, true);
  const joins = records.filter(({ type, node }) => type === 'join_ready' && node === 'count');
  check('the join became ready once', joins.length, 1);

  const graph = await graphOf(place, id);
  const count = await nodeSession(place, graph, 'count');
  const told = count.messages[0].content;
  const votes = REVIEWERS.map((name) => new RegExp(`"${name}": "(\\w+)"`).exec(told)?.[1]);
  check('it was given all three votes', votes, ['refuse', 'accept', 'accept']);
  check('two of three are enough', statuses(graph).merge, 'completed');
  return id;
}
