// Owns the operations: what a principal does for itself, and what it tries with handles that the other was given. Each says
// what is wrong with its outcome, or nothing.
import type { Random } from '../../attack/random.ts';
import { HANDLE, mark, OTHER } from './witness.ts';
import type { Witness, Who } from './witness.ts';
import type { Reply, Wire } from './wire.ts';
import type { World } from './world.ts';

/** A question that a modern client was asked and may still answer. */
interface Question {
  args: object;
  requestState: string;
}

export interface Actor {
  who: Who;
  wire: Wire;
  /** Sessions of the older era that are open. */
  sessions: string[];
  questions: Question[];
  words: number;
}

export interface Scene {
  world: World;
  witness: Witness;
  by: Random;
  actors: Readonly<Record<Who, Actor>>;
}

type Wrong = string | undefined;
export type Operation = (actor: Actor, scene: Scene) => Promise<Wrong>;

const NO_ID = '0'.repeat(26);
const progressToken = 'p';

function nextWord(actor: Actor): string {
  return `${mark(actor.who)}${++actor.words}`;
}

function needs(isSo: boolean, what: string, reply: Reply): Wrong {
  return isSo ? undefined : `${what}: ${reply.status} ${reply.text.slice(0, 200)}`;
}

/** A handle of the other, and one like it that nobody has. */
function foreign(
  actor: Actor,
  scene: Scene,
  prefix: string,
): { theirs: string; nobodys: string } | undefined {
  const known = scene.witness.handles(OTHER[actor.who], prefix);
  return known.length === 0
    ? undefined
    : { theirs: scene.by.pick(known), nobodys: `${prefix}${NO_ID}`.slice(0, prefix.length + 26) };
}

function own(actor: Actor, scene: Scene, prefix: string): string | undefined {
  const known = scene.witness.handles(actor.who, prefix);
  return known.length === 0 ? undefined : scene.by.pick(known);
}

/** The answer to a foreign handle is the answer to none, to the last character but the handle itself. */
async function likeNone(
  handles: { theirs: string; nobodys: string },
  ask: (handle: string) => Promise<Reply>,
): Promise<Wrong> {
  const patient = async (handle: string): Promise<Reply> => {
    // Two turns of one caller with one handle exclude each other, whosever it is.
    let reply = await ask(handle);
    while (reply.text.includes('CONFLICT: Another turn')) reply = await ask(handle);
    return reply;
  };
  const [theirs, nobodys] = [await patient(handles.theirs), await patient(handles.nobodys)];
  // A failure has ids of its own, new each time.
  const plain = (reply: Reply, handle: string): string =>
    JSON.stringify([reply.status, reply.error, reply.result])
      .replaceAll(handle, '<handle>')
      .replaceAll(HANDLE, '<id>');
  const [one, two] = [plain(theirs, handles.theirs), plain(nobodys, handles.nobodys)];
  if (theirs.status === 200 && theirs.result !== undefined && theirs.result.isError !== true) {
    return `a foreign handle was served: ${one.slice(0, 200)}`;
  }
  return one === two ? undefined : `told apart: ${one.slice(0, 300)} | ${two.slice(0, 300)}`;
}

async function legacyId(actor: Actor): Promise<string> {
  const known = actor.sessions[0];
  if (known !== undefined) return known;
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } };
  const body = { jsonrpc: '2.0', id: 0, method: 'initialize', params };
  const { sessionId = '' } = await actor.wire.send({ body });
  actor.sessions.push(sessionId);
  return sessionId;
}

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  async turn(actor, { by }) {
    const word = nextWord(actor);
    const content = by.below(3) === 0 ? `use look with ${word}` : word;
    const messages = [{ role: 'user', content }];
    const reply = await actor.wire.modern('tools/call', {
      name: 'agent:execute-turn',
      arguments: { messages },
    });
    return needs(reply.text.includes(word), 'a turn that does not answer', reply);
  },

  async look(actor) {
    const word = nextWord(actor);
    const params = { name: 'look', arguments: { word }, _meta: { progressToken } };
    const reply = await actor.wire.modern('tools/call', params);
    const isDone = reply.text.includes(`done ${word}`) && reply.text.includes('notifications/progress');
    return needs(isDone, 'a call without its result or progress', reply);
  },

  async 'look, older era'(actor) {
    const word = nextWord(actor);
    const params = { name: 'look', arguments: { word }, _meta: { progressToken } };
    const reply = await actor.wire.legacy(await legacyId(actor), 'tools/call', params);
    return needs(reply.text.includes(`done ${word}`), 'a call without its result', reply);
  },

  async 'keep in a server that remembers'(actor) {
    const word = nextWord(actor);
    const reply = await actor.wire.modern('tools/call', { name: 'shelf:keep', arguments: { word } });
    return needs(reply.text.includes(word), 'a word that was not kept', reply);
  },

  async ask(actor) {
    const args = { word: nextWord(actor) };
    const reply = await actor.wire.modern('tools/call', { name: 'pay', arguments: args });
    const { requestState } = reply.result ?? {};
    if (typeof requestState !== 'string') return needs(false, 'a call that did not ask', reply);
    actor.questions.push({ args, requestState });
    if (actor.questions.length > 50) actor.questions.shift();
    return undefined;
  },

  async answer(actor, { by, world }) {
    const question = actor.questions.shift();
    if (question === undefined) return undefined;
    const decision = by.pick(['approve', 'reject']);
    // Nobody reads and answers within a second.
    world.clock.advance(1500);
    const reply = await actor.wire.modern('tools/call', {
      name: 'pay',
      arguments: question.args,
      requestState: question.requestState,
      inputResponses: { approval: { action: 'accept', content: { decision } } },
    });
    const isRight = decision === 'approve' ? reply.text.includes('done ') : reply.result?.isError === true;
    return needs(isRight, `answered with ${decision}`, reply);
  },

  async read(actor, scene) {
    const [prefix, place] = scene.by.pick([
      ['ses_', 'sessions'],
      ['run_', 'runs'],
      ['apr_', 'approvals'],
      ['cap_', 'capability-sessions'],
    ] as const);
    const id = own(actor, scene, prefix);
    const uri = id === undefined ? 'agent://approvals/pending' : `agent://${place}/${id}`;
    const reply = await actor.wire.modern('resources/read', { uri });
    // A turn that failed has told the id of a run that nothing is recorded of.
    const isThere = reply.result !== undefined || prefix === 'run_';
    return needs(isThere, 'an own resource that is not read', reply);
  },

  async lists(actor, { by }) {
    const name = by.pick([
      'agent:list-requests',
      'agent:list-sessions',
      'agent:list-approvals',
      'agent:list-capability-sessions',
    ]);
    await actor.wire.modern('tools/call', { name, arguments: { limit: 20 } });
    await actor.wire.modern('resources/read', { uri: 'agent://approvals/pending' });
    await actor.wire.modern('resources/read', { uri: 'agent://health' });
    return undefined;
  },

  async 'read a foreign resource'(actor, scene) {
    const [prefix, place] = scene.by.pick([
      ['ses_', 'sessions'],
      ['run_', 'runs'],
      ['apr_', 'approvals'],
      ['cap_', 'capability-sessions'],
    ] as const);
    const handles = foreign(actor, scene, prefix);
    if (handles === undefined) return undefined;
    return likeNone(handles, (id) => actor.wire.modern('resources/read', { uri: `agent://${place}/${id}` }));
  },

  async 'inspect a foreign thing'(actor, scene) {
    const [prefix, kind] = scene.by.pick([
      ['ses_', 'session'],
      ['run_', 'run'],
      ['apr_', 'approval'],
      ['call', 'request'],
      ['cap_', 'capability_session'],
    ] as const);
    const handles = foreign(actor, scene, prefix);
    if (handles === undefined) return undefined;
    const name = 'agent:inspect';
    return likeNone(handles, (id) => actor.wire.modern('tools/call', { name, arguments: { kind, id } }));
  },

  async 'go on in a foreign session'(actor, scene) {
    const handles = foreign(actor, scene, 'ses_');
    if (handles === undefined) return undefined;
    const messages = [{ role: 'user', content: nextWord(actor) }];
    return likeNone(handles, (session_id) =>
      actor.wire.modern('tools/call', { name: 'agent:execute-turn', arguments: { session_id, messages } }),
    );
  },

  async 'run a foreign call'(actor, scene) {
    const handles = foreign(actor, scene, 'ses_');
    const call = foreign(actor, scene, 'call');
    if (handles === undefined || call === undefined) return undefined;
    return likeNone(handles, (session_id) =>
      actor.wire.modern('tools/call', {
        name: 'agent:call-tool',
        arguments: { session_id, tool_call_id: call.theirs },
      }),
    );
  },

  async 'cancel foreign work'(actor, scene) {
    const handles = foreign(actor, scene, 'ses_');
    if (handles === undefined) return undefined;
    if (scene.by.below(2) === 0) {
      return likeNone(handles, (taskId) => actor.wire.modern('tasks/cancel', { taskId }));
    }
    return likeNone(handles, (session_id) =>
      actor.wire.modern('tools/call', { name: 'agent:cancel', arguments: { session_id } }),
    );
  },

  async 'answer a foreign question'(actor, { actors }) {
    const question = actors[OTHER[actor.who]].questions[0];
    if (question === undefined) return undefined;
    const reply = await actor.wire.modern('tools/call', {
      name: 'pay',
      arguments: question.args,
      requestState: question.requestState,
      inputResponses: { approval: { action: 'accept', content: { decision: 'approve' } } },
    });
    return needs(reply.error?.code === -32_602, 'a foreign state was taken', reply);
  },

  async 'use a foreign Mcp-Session-Id'(actor, { actors, by }) {
    const theirs = actors[OTHER[actor.who]].sessions[0];
    if (theirs === undefined) return undefined;
    const nobodys = `${theirs.slice(0, -6)}AAAAAA`;
    const ask = by.pick<(id: string) => Promise<Reply>>([
      (id) => actor.wire.legacy(id, 'tools/call', { name: 'look', arguments: { word: 'x' } }),
      (id) => actor.wire.send({ method: 'GET', headers: { 'mcp-session-id': id } }),
      (id) => actor.wire.send({ method: 'DELETE', headers: { 'mcp-session-id': id } }),
    ]);
    return likeNone({ theirs, nobodys }, ask);
  },

  async 'subscribe to a foreign thing'(actor, scene) {
    const handles = foreign(actor, scene, scene.by.pick(['ses_', 'apr_']));
    if (handles === undefined) return undefined;
    const sessionId = await legacyId(actor);
    const place = handles.theirs.startsWith('ses_') ? 'sessions' : 'approvals';
    return likeNone(handles, (id) =>
      actor.wire.legacy(sessionId, 'resources/subscribe', { uri: `agent://${place}/${id}` }),
    );
  },
};
