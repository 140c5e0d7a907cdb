// Owns what was pinned of this pack's manifest. Written by `node scripts/manifest.mjs --update`, after a change on purpose.
export const MANIFEST_PIN: { id: string; version: string; integrity: string } = {
  id: 'agent-runtime',
  version: '0.1.0',
  integrity: 'sha256:302d9f7a98b8ce0b73687c390d82771310387f1da4e9a6b593eaca2976dcdd28',
};
