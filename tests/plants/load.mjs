// Loads TypeScript modules of this repository outside the test runner's own loader: as they are, or with a planted bug.
import { register } from 'node:module';
import { PLANTED } from './ts-hooks.mjs';

/** A loader; `patches` are the bugs that it can plant. One in a process. */
export function createLoader(patches = {}) {
  register('./ts-hooks.mjs', { parentURL: import.meta.url, data: { patches } });
  return async (path, plant) => {
    const query = plant === undefined ? '' : `?plant=${plant}`;
    const module = await import(new URL(`../../${path}${query}`, import.meta.url).href);
    if (plant !== undefined && !globalThis[PLANTED]?.has(plant))
      throw new Error(`${path} does not reach ${patches[plant]?.file}`);
    return module;
  };
}
