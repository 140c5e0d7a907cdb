// Removes dist, so that a deleted source never survives as a stale build.
import { rmSync } from 'node:fs';

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
