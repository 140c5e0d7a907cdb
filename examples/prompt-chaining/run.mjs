// Prompt chaining: outline → draft → polish, with a gate after the outline. The process that starts it is killed in the
// second stage; the command `workflows resume` finishes it in another.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mintSessionId } from 'agent-runtime-pack';
import { graphOf, jsonWhenFree, nodeSession, recordsOf, statuses } from '../support/place.mjs';

// Chosen by whoever starts the chain, so that it can be found again whatever happens to the process that runs it.
const ID = mintSessionId();

async function startAndDie(place) {
  const args = [place.file('first-process.mjs'), JSON.stringify(place), ID];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const [, signal] = await once(child, 'exit');
  return signal;
}

export async function run({ place, check, say, draw }) {
  say('first process: starts the chain and is killed in its second stage');
  check('the first process died by kill -9', await startAndDie(place), 'SIGKILL');
  check('its first stage is done, its second is cut off', statuses(await graphOf(place, ID)), {
    outline: 'completed',
    draft: 'active',
    polish: 'pending',
  });
  await draw(ID);
  const before = await recordsOf(place, ID);

  say('second process: agent-runtime workflows resume');
  const done = await jsonWhenFree(place, ['workflows', 'resume', ID]);
  check('the chain is finished by the second', done.kind, 'completed');
  const records = await recordsOf(place, ID);
  check('what was recorded stands as it was', records.slice(0, before.length), before);
  const started = records.filter(({ type }) => type === 'node_started').map(({ node }) => node);
  check('each stage was started once, in its order', started, ['outline', 'draft', 'polish']);

  const graph = await graphOf(place, ID);
  check('every stage is done', statuses(graph), {
    outline: 'completed',
    draft: 'completed',
    polish: 'completed',
  });
  const polish = await nodeSession(place, graph, 'polish');
  const told = polish.messages.map(({ content }) => content).join('\n');
  check('the last stage was given the draft', told.includes('copy the backup back, verify it'), true);
  check('its words are the result', polish.messages.at(-1).role, 'assistant');
  return ID;
}
