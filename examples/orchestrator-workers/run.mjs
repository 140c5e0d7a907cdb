// Orchestrator and workers: how many workers there are is known only when the orchestrator has spoken. The program is
// stopped while the workers are at work, and run again from its beginning.
import { join } from 'node:path';
import {
  graphOf,
  json,
  localCaller,
  nodeSession,
  openRuntime,
  recordsOf,
  statuses,
} from '../support/place.mjs';
import { audit, idsIn } from './program.mjs';

const notesOf = (place) => join(place.workspace, 'audit.json');

async function runProgram(place, watch = () => ({})) {
  const runtime = await openRuntime(place);
  try {
    return await audit({ runtime, caller: localCaller(), ...watch() }, notesOf(place));
  } finally {
    await runtime.close();
  }
}

/** Stops the program as soon as the second worker says something. */
function stopEarly() {
  const stopping = new AbortController();
  const snapshot = ({ data }) => {
    if (data.node_id === 'worker_2') stopping.abort();
  };
  return { signal: stopping.signal, snapshot };
}

export async function run({ place, check, say, draw }) {
  say('first run of the program, stopped while its workers are at work');
  const first = await runProgram(place, stopEarly);
  const { plan: planId, work: workId } = await idsIn(notesOf(place));
  check('it did not finish', [first.kind, first.over], ['suspended', false]);
  const planned = await json(place, ['sessions', 'show', planId]);
  check('the plan is on record', planned.state.status, 'completed');
  await draw(workId);

  say('second run of the same program');
  const second = await runProgram(place);
  check('the second finishes it', second.kind, 'completed');
  const again = await json(place, ['sessions', 'show', planId]);
  check('the orchestrator was asked once', again.state.turn_count, 1);
  const records = await recordsOf(place, workId);
  const started = records.filter(({ type }) => type === 'node_started').map(({ node }) => node);
  check('each worker was started once', started.sort(), ['synthesis', 'worker_1', 'worker_2', 'worker_3']);

  const graph = await graphOf(place, workId);
  check(
    'all work is done',
    Object.values(statuses(graph)),
    Array.from({ length: 4 }, () => 'completed'),
  );
  const synthesis = await nodeSession(place, graph, 'synthesis');
  const told = synthesis.messages[0].content;
  const findings = ['Two admins.', 'One token, it ends in March.', 'No open port.'];
  check(
    'every finding reached the synthesis',
    findings.filter((one) => !told.includes(one)),
    [],
  );
  const third = await runProgram(place);
  check('a third run does nothing and says the same', third, second);
  return workId;
}
