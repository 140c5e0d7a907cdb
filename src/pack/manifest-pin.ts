// Owns what was pinned of this pack's manifest. Written by `node scripts/manifest.mjs --update`, after a change on purpose.
export const MANIFEST_PIN: { id: string; version: string; integrity: string } = {
  id: 'agent-runtime',
  version: '0.1.0',
  integrity: 'sha256:3b64a72f86666e579b01e03d42fd85b1475bf30eb56fc8e58850f3f1812ea8b2',
};
