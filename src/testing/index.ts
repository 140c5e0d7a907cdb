// Owns the published test kit: what a user needs to test a governed agent without a clock, a network or a model.
export { createFakeClock } from './fake-clock.ts';
export type { FakeClock } from './fake-clock.ts';
export { createFixedIds } from './fixed-ids.ts';
export { createMemoryStore } from '../store/memory/memory-store.ts';
export { memoryTenantKeys } from '../store/sealing.ts';
export { createScriptedProvider } from '../providers/scripted/model.ts';
