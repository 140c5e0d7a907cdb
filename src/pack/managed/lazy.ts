// Owns the loading of managed sessions at their first use: most processes serve turns and calls and never start one.
import type { ManagedPack } from './managed-sessions.ts';

export function managedAtFirstUse(load: () => Promise<ManagedPack>): ManagedPack {
  let loading: Promise<ManagedPack> | undefined;
  const loaded = (): Promise<ManagedPack> => (loading ??= load());
  return {
    create: async (...args) => (await loaded()).create(...args),
    start: async (...args) => (await loaded()).start(...args),
    run: async (...args) => (await loaded()).run(...args),
    cancel: async (...args) => (await loaded()).cancel(...args),
    status: async (...args) => (await loaded()).status(...args),
    continuations: async (...args) => (await loaded()).continuations(...args),
    assertResumes: async (...args) => (await loaded()).assertResumes(...args),
    result: async (...args) => (await loaded()).result(...args),
    recover: async (...args) => (await loaded()).recover(...args),
    nodes: {
      create: async (...args) => (await loaded()).nodes.create(...args),
      run: async (...args) => (await loaded()).nodes.run(...args),
      cancel: async (...args) => (await loaded()).nodes.cancel(...args),
      result: async (...args) => (await loaded()).nodes.result(...args),
      assertTakes: async (...args) => (await loaded()).nodes.assertTakes(...args),
    },
    rebuildSnapshot: async (...args) => (await loaded()).rebuildSnapshot(...args),
    settled: async () => (await loading)?.settled(),
  };
}
