// A caller's signal may outlive its calls by far: an ended call leaves nothing on it.
import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { CALLER, open, place } from './rig.ts';

test('a call that has ended listens to its signal no more', async () => {
  const { runtime } = await open(await place());
  const { signal } = new AbortController();
  for (let at = 0; at < 3; at++) {
    await runtime.callCapability(CALLER, { tool: 'look', args: { at } }, { signal });
  }
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
