// Owns what every cell is given: connections of one client kind in one place, opened when first needed, and the ways to
// look at what a call left behind.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, isModern } from './clients.mjs';
import { stopHttpServer } from './http.mjs';
import { effectsIn } from './place.mjs';

const PATIENCE_MS = 10_000;

/** Waits for something that another process does. */
export async function eventually(what, look) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(20)) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
  }
  throw new Error(`did not happen: ${what}`);
}

/** A person, or a program, who answers after a while. */
export function answers(reaction, after = 0) {
  return async () => {
    await sleep(after);
    return reaction;
  };
}

export const never = () => new Promise(() => undefined);

/** What the kernel says about a call, from a result of a capability under its own name. */
export function callOf(result) {
  const said = result._meta?.['agent-runtime/call'];
  assert.ok(said, `no call in the result: ${JSON.stringify(result).slice(0, 300)}`);
  return said;
}

export function createSession(kind, place) {
  const open = new Map();
  const owned = new Set();
  const start = async (setup) => {
    const connection = await connect(kind, place, setup);
    owned.add(connection);
    return connection;
  };
  const kept = (key, setup) => {
    if (!open.has(key)) open.set(key, start(setup));
    return open.get(key);
  };
  const session = {
    kind,
    place,
    modern: isModern(kind),
    /** A client with a person behind it. */
    asked: () => kept('asked', { elicits: true }),
    /** A client that declares no elicitation. */
    bare: () => kept('bare', { elicits: false }),
    /** One that no other cell shares. */
    own: (setup = {}) => start({ elicits: true, ...setup }),
    file: (name) => join(place.sandbox, name),
    effects: (name) => effectsIn(join(place.sandbox, name)),
    /** The one approval for that file: as it is listed, with the deliveries on record in full. */
    async approval(name) {
      // The list and the record are two reads; a delivery may come in between, so both are read until they agree.
      return eventually('the list and the record of the approval agree', async () => {
        const looker = await session.bare();
        const { structuredContent } = await looker.call('agent:list-approvals', { limit: 200 });
        const file = session.file(name);
        const found = structuredContent.items.filter((one) => one.arguments.file === file);
        assert.equal(found.length, 1, `${found.length} approvals, not one`);
        const [approval] = found;
        const { state, timeline } = await session.inspect('approval', approval.approval_id);
        const delivered = timeline.filter(({ type }) => type === 'approval_delivered');
        const kinds = ({ kind }) => kind;
        const listed = JSON.stringify([approval.status, approval.deliveries.map(kinds)]);
        const recorded = JSON.stringify([state.status, delivered.map(kinds)]);
        return listed === recorded && { ...approval, delivered, steps: timeline.map(({ type }) => type) };
      });
    },
    async inspect(what, id) {
      const looker = await session.bare();
      return (await looker.call('agent:inspect', { kind: what, id })).structuredContent;
    },
    async close() {
      await Promise.all([...owned].map((one) => one.close()));
      await stopHttpServer(place);
    },
  };
  return session;
}

/** The deliveries of an approval as short words, oldest first. */
export function deliveries(approval) {
  return approval.delivered.map(({ kind, why }) => (kind === 'not_shown' ? `${kind}/${why}` : kind));
}

/** Nothing ran, and the approval waits with exactly these deliveries. */
export async function assertPending(session, name, expected) {
  assert.deepEqual(await session.effects(name), []);
  const approval = await session.approval(name);
  assert.equal(approval.status, 'pending');
  assert.deepEqual(deliveries(approval), expected);
  return approval;
}
