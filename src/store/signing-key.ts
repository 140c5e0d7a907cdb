// Owns the key that signs closed segments: a pair in the user's own state directory, made at first use. It lies outside the
// workspace and the database, so that whoever can change those cannot sign.
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { RuntimeError } from '../base/errors.ts';
import type { Ids } from '../base/ids.ts';
import { makePrivateDir } from './private-dir.ts';
import { createOnce } from './sealing.ts';

export interface SigningKey {
  publicKey: string;
  sign(text: string): string;
  /** Its file, where this very use made it. */
  madeAt?: string;
}

function keyPath(stateDirectory: string): string {
  return join(stateDirectory, 'keys', 'checkpoints.pem');
}

function readKey(path: string): SigningKey {
  try {
    const key = createPrivateKey(readFileSync(path));
    const publicKey = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
    return { publicKey, sign: (text) => sign(null, Buffer.from(text), key).toString('base64') };
  } catch {
    throw new RuntimeError('STORE_CORRUPT', `The key file ${path} does not hold a private key.`, {
      file: path,
    });
  }
}

/** The key of this state directory; made when there is none. */
export function signingKey(stateDirectory: string, ids: Ids): SigningKey {
  const path = keyPath(stateDirectory);
  if (existsSync(path)) return readKey(path);
  makePrivateDir(join(stateDirectory, 'keys'));
  const { privateKey } = generateKeyPairSync('ed25519');
  createOnce(path, Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })), ids);
  return { ...readKey(path), madeAt: path };
}

/** Its public half; undefined while nothing was ever signed here. */
export function signingPublicKey(stateDirectory: string): string | undefined {
  const path = keyPath(stateDirectory);
  // A key that may not be looked at is not none: what it signed would be taken for damage.
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? undefined : readKey(path).publicKey;
}
