// Owns what a managed session was given to say: its first input and the messages of its later runs. They lie sealed in
// its own records until a turn takes them in, so a crash before that turn loses none.
import { RuntimeError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Store } from '../../store/contract.ts';
import { objectAt, objectsAt } from '../records.ts';
import { asRead, ownSealed } from '../sessions/own-record.ts';
import { unreadableHere } from '../sessions/sessions.ts';
import type { HeldSession } from '../sessions/sessions.ts';
import type { TurnInput, TurnMessage } from '../turn/contract.ts';

async function sealedAt(store: Store, held: HeldSession, seq: number): Promise<JsonObject> {
  const own = held.own.find((record) => record.seq === seq);
  const known = own && ownSealed(own);
  if (known !== undefined) return asRead(known);
  const sealed = await store.unseal(held.chain, seq);
  if (sealed.state === 'present') return sealed.value as JsonObject;
  if (sealed.state === 'unreadable') throw unreadableHere(held.state.facts.id);
  throw new RuntimeError(
    'NOT_FOUND',
    'The stored input of this session has been erased; start a new session.',
    {
      kind: 'session',
      session_id: held.state.facts.id,
    },
  );
}

/** The messages that no turn has taken in yet, in the order in which they came. */
export async function untakenMessages(store: Store, held: HeldSession | undefined): Promise<TurnMessage[]> {
  const messages: TurnMessage[] = [];
  if (held === undefined) return messages;
  for (const seq of held.state.managed?.untaken ?? []) {
    const sealed = await sealedAt(store, held, seq);
    const from = 'input' in sealed ? objectAt(sealed, 'input') : sealed;
    messages.push(...(objectsAt(from, 'messages') as unknown as TurnMessage[]));
  }
  return messages;
}

/** The input that the session was started with. */
export async function firstInput(store: Store, held: HeldSession, inputSeq: number): Promise<TurnInput> {
  return objectAt(await sealedAt(store, held, inputSeq), 'input') as unknown as TurnInput;
}
