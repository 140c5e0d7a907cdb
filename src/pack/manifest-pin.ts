// Owns what was pinned of this pack's manifest. Written by `node scripts/manifest.mjs --update`, after a change on purpose.
export const MANIFEST_PIN: { id: string; version: string; integrity: string } = {
  id: 'agent-runtime',
  version: '0.1.0',
  integrity: 'sha256:63019fc40497a83d4b856e8309feef281a3599e686d91093eb9397a11848ebaa',
};
