// Owns the key that this command signs with, and that its person is told of one that was made for it.
import { signingKey } from '../store/signing-key.ts';
import type { SigningKey } from '../store/signing-key.ts';
import type { Context } from './context.ts';

export function signerHere({ stateDirectory, ids, print }: Context): SigningKey {
  const key = signingKey(stateDirectory, ids);
  if (key.madeAt !== undefined) {
    print.remark(
      `A key to sign with was made: ${key.madeAt}. Who checks elsewhere needs its public half: agent-runtime evidence key`,
    );
  }
  return key;
}
