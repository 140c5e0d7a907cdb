// Owns which environment names a child gets. Everything is left out that is not listed here or by the caller, so a
// provider key, a database address or a token of ours is never there to be read.

// What a program needs to find its files, its user, its language and its scratch space. No name here holds a secret.
const BASE_NAMES: readonly string[] = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'LANGUAGE',
  'LC_ALL',
  'LC_CTYPE',
  'TERM',
  'TZ',
  'TMPDIR',
  // Windows
  'SYSTEMROOT',
  'SYSTEMDRIVE',
  'TEMP',
  'TMP',
  'USERPROFILE',
  'USERNAME',
  'APPDATA',
  'LOCALAPPDATA',
  'PROGRAMFILES',
  'PATHEXT',
  'COMSPEC',
];

export type Environment = Readonly<Record<string, string | undefined>>;

/** The child's whole environment. `set` wins over copied names. */
export function childEnvironment(
  ambient: Environment,
  allow: readonly string[],
  set: Readonly<Record<string, string>>,
): Record<string, string> {
  const out: Record<string, string> = {};
  for (const name of [...BASE_NAMES, ...allow]) {
    const value = Object.hasOwn(ambient, name) ? ambient[name] : undefined;
    // `()` at the start is how a shell passes a function, which a child's shell would run.
    if (value !== undefined && !value.startsWith('()')) out[name] = value;
  }
  return { ...out, ...set };
}
