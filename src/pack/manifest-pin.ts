// Owns what was pinned of this pack's manifest. Written by `node scripts/manifest.mjs --update`, after a change on purpose.
export const MANIFEST_PIN: { id: string; version: string; integrity: string } = {
  id: 'agent-runtime',
  version: '0.1.0',
  integrity: 'sha256:f076b36736c7909f620c5173fd46b8a8f7854b85557a65bff28d12a106f13d19',
};
