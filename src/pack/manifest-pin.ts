// Owns what was pinned of this pack's manifest. Written by `node scripts/manifest.mjs --update`, after a change on purpose.
export const MANIFEST_PIN: { id: string; version: string; integrity: string } = {
  id: 'agent-runtime',
  version: '0.1.0',
  integrity: 'sha256:c8468e30623dd7539b30b9facb7314c715b7e74e785f5b83b17e0749db703b06',
};
