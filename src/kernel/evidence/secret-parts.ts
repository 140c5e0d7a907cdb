// Owns which parts of a value from outside are secret by themselves: whoever tells one need not tell the rest.

// `Bearer abc` in a header.
const SCHEME = /^(?:Bearer|Basic|Token|ApiKey)\s+(\S+)$/i;

function passwordOf(value: string): string[] {
  if (!value.includes('@') || !URL.canParse(value)) return [];
  const { password } = new URL(value);
  if (password === '') return [];
  try {
    return [password, decodeURIComponent(password)];
  } catch {
    return [password];
  }
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
