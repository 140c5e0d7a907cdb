// A fault of one bundled file: the edit that makes it and the problem that must be found.

export interface Fault {
  name: string;
  file: string;
  /** Text of the bundled file and what stands there instead. */
  from: string;
  to: string;
  /** Text at whose beginning the problem is, in the edited file. */
  at: string;
  path: string;
  message: string;
}

export function fault(
  name: string,
  file: string,
  edit: [from: string, to: string],
  found: [string, string, string],
): Fault {
  const [at, path, message] = found;
  return { name, file, from: edit[0], to: edit[1], at, path, message };
}

/** Adds a model to runtime.yaml. */
export const model = (lines: string): [string, string] => [
  '  intents:\n    triage:',
  `    main:\n${lines}  intents:\n    triage:`,
];
