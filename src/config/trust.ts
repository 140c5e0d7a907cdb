// Owns trust in a configuration: a person says once, per workspace and digest, that a configuration is theirs.
// The store lives in the user's own state directory, never in the workspace; its engine is given, not chosen here.
import { join } from 'node:path';
import { z } from 'zod';
import type { EpochMs } from '../base/clock.ts';
import { isoTime } from '../base/clock.ts';
import { RuntimeError } from '../base/errors.ts';
import { directoryDigest } from './load.ts';
import type { RuntimeConfig } from './types.ts';

export interface TrustEntry {
  /** Absolute path of the workspace. */
  workspace: string;
  digest: string;
  trusted_at: string;
}

/** What is trusted on this machine by this user. */
export interface TrustStore {
  isTrusted(workspace: string, digest: string): Promise<boolean>;
  /** Trusting twice is trusting once; the first time stays. */
  trust(workspace: string, digest: string, at: EpochMs): Promise<void>;
  list(): Promise<TrustEntry[]>;
}

/** The document a store keeps. */
export interface TrustDocument {
  version: 1;
  trusted: TrustEntry[];
}

export const EMPTY_TRUST: TrustDocument = { version: 1, trusted: [] };

export const trustDocument: z.ZodType<TrustDocument> = z.strictObject({
  version: z.literal(1),
  trusted: z
    .array(
      z.strictObject({
        workspace: z.string().min(1).max(4096),
        digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
        trusted_at: z.iso.datetime(),
      }),
    )
    .max(10_000),
});

export function holdsTrust(document: TrustDocument, workspace: string, digest: string): boolean {
  return document.trusted.some((entry) => entry.workspace === workspace && entry.digest === digest);
}

/** The document with the entry added; the same document when it is there already. */
export function addTrust(
  document: TrustDocument,
  workspace: string,
  digest: string,
  at: EpochMs,
): TrustDocument {
  if (holdsTrust(document, workspace, digest)) return document;
  return { ...document, trusted: [...document.trusted, { workspace, digest, trusted_at: isoTime(at) }] };
}

/** Digest of the example that ships with this package, which needs nobody's trust. */
export async function bundledDigest(packageRoot: string): Promise<string | undefined> {
  return directoryDigest(join(packageRoot, 'configs'));
}

export type TrustVerdict = 'bundled' | 'trusted' | 'untrusted';

export async function judgeTrust(
  config: RuntimeConfig,
  workspace: string,
  store: TrustStore,
  packageRoot: string,
): Promise<TrustVerdict> {
  if (await store.isTrusted(workspace, config.digest)) return 'trusted';
  return config.digest === (await bundledDigest(packageRoot)) ? 'bundled' : 'untrusted';
}

/** Throws WORKSPACE_NOT_TRUSTED unless a person trusted this digest here, or it is the bundled example. */
export async function requireTrust(
  config: RuntimeConfig,
  workspace: string,
  store: TrustStore,
  packageRoot: string,
): Promise<void> {
  if ((await judgeTrust(config, workspace, store, packageRoot)) !== 'untrusted') return;
  const what = `The configuration in ${config.directory} is not trusted yet for the workspace ${workspace}.`;
  throw new RuntimeError('WORKSPACE_NOT_TRUSTED', what, {
    workspace,
    directory: config.directory,
    digest: config.digest,
  });
}
