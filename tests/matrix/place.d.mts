// The types of place.mjs, for tests in TypeScript.
export interface Place {
  workspace: string;
  sandbox: string;
  config: string;
  env: Record<string, string | undefined>;
  close(): Promise<void>;
}

export const MAIN: string;
export function openPlaces(count: number): Promise<Place[]>;
export function command(place: Place, ...args: string[]): Promise<{ code: number; out: string; err: string }>;
export function effectsIn(file: string): Promise<string[]>;
