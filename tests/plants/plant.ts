// Owns what a planted bug is: one passage of one source file, exchanged as the file is loaded. Nothing in src knows of it.
export interface Plant {
  /** The rule of the gate that it breaks, or the promise of the door. */
  rule: string;
  bug: string;
  file: string;
  /** Stands exactly once in the file, or planting fails. */
  find: string;
  put: string;
  /** The oracle, or the name of an attack or a check. */
  caughtBy: string;
}
