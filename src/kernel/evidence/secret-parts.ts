// Owns which parts of a value from outside are secret by themselves: whoever tells one need not tell the rest.

// `Bearer abc` in a header.
const SCHEME = /^(?:Bearer|Basic|Token|ApiKey)\s+(\S+)$/i;

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What an address says openly: a password that is its user, its host or its database keeps nobody out. */
function openWords({ protocol, username, hostname, pathname }: URL): Set<string> {
  const path = decoded(pathname).split('/');
  const words = [protocol.slice(0, -1), decoded(username), hostname, ...hostname.split('.'), ...path];
  return new Set(words.map((word) => word.toLowerCase()));
}

function passwordOf(value: string): string[] {
  if (!value.includes('@') || !URL.canParse(value)) return [];
  const address = new URL(value);
  const open = openWords(address);
  const { password } = address;
  return [password, decoded(password)].filter((text) => !open.has(text.toLowerCase()));
}

/** The credentials within a value that is no secret as a whole: what follows a scheme, the password of an address. */
export function credentialsIn(value: string): string[] {
  const trimmed = value.trim();
  const [, behind] = SCHEME.exec(trimmed) ?? [];
  return behind === undefined ? passwordOf(trimmed) : [behind];
}

/** Every text by which a secret value is known. It is sent without the white space around it, such as the line end of its file. */
export function secretTexts(value: string): string[] {
  return [value, value.trim(), ...credentialsIn(value)];
}
