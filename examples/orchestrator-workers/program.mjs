// The program: an orchestrator says what is to be done, a workflow with one worker for each task is made of its answer, and
// the findings are put together. All of it can be run again from its beginning, in any process, however far it came.
import { readFile, writeFile } from 'node:fs/promises';
import {
  mintSessionId,
  resumeGovernedAgentWorkflow,
  RuntimeError,
  startGovernedAgentSession,
  startGovernedAgentWorkflow,
} from 'agent-runtime-pack';

const user = (content) => [{ role: 'user', content }];

/** Written before anything runs: what is started under these ids a second time goes on and is not begun anew. */
export async function idsIn(file) {
  const fresh = { plan: mintSessionId(), work: mintSessionId() };
  await writeFile(file, JSON.stringify(fresh), { flag: 'wx' }).catch((error) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return JSON.parse(await readFile(file, 'utf8'));
}

/** The plan is the orchestrator's last word, and that is on record; it is never asked twice. */
async function planOf(at, sessionId) {
  const { runtime, caller } = at;
  const executeTurnInput = { messages: user('Break the audit into tasks. Answer {"tasks": [...]}.') };
  try {
    await startGovernedAgentSession({ ...at, sessionId, executeTurnInput });
  } catch (error) {
    if (!(error instanceof RuntimeError && error.code === 'SESSION_CLOSED')) throw error;
  }
  const { final_turn: said } = await runtime.work(caller, sessionId);
  return JSON.parse(said.assistant_message).tasks;
}

function workflowFor(tasks) {
  const workers = tasks.map((task, index) => ({
    id: `worker_${index + 1}`,
    // The orchestrator's words are data here: a worker's task, and no instruction of ours.
    execute_turn_input: { model_profile: 'worker', stream: true, messages: user(`Your task: ${task}`) },
    retry: { max_attempts: 2 },
  }));
  const synthesis = {
    id: 'synthesis',
    depends_on: workers.map(({ id }) => id),
    execute_turn_input: { messages: user('Put the findings together.') },
  };
  return { id: 'audit', concurrency: 2, nodes: [...workers, synthesis] };
}

export async function audit(at, file) {
  const { plan, work } = await idsIn(file);
  const workflow = workflowFor(await planOf(at, plan));
  const result = await startGovernedAgentWorkflow({ ...at, sessionId: work, workflow });
  // Workers that an earlier run left suspended go on only when they are told to.
  if (result.kind !== 'suspended' || at.signal?.aborted === true) return result;
  return resumeGovernedAgentWorkflow({ ...at, sessionId: work });
}
