// Owns which parts of a value from outside are secret by themselves: whoever tells one need not tell the rest.

// `Bearer abc` in a header.
const SCHEME = /^(Bearer|Basic|Token|ApiKey)\s+(\S+)$/i;

// `postgres://user:password@host/base`, `jdbc:postgresql://…`, `mongodb://user:password@one:1,two:2/base`.
const ADDRESS = /^([a-z][\w+.:-]*):\/\/(.+)$/is;
// `user:password@tcp(host)/base` of a driver, `user:password@host:80` of a proxy.
const BARE = /^[^\s:@/?#]+:\S+@(?:\w+\(|\/|[\w.-]+:\d{1,5}$)/;
// `?password=abc`, `;AccountKey=abc`, `password='a b c'`.
const NAMED =
  /(?:^|[?&;\s])[\w.-]*(?:password|passwd|passphrase|secret|token|(?:api|access|account)[_-]?key|pwd(?==[^/]))=(?:'([^']*)'|"([^"]*)"|([^&;#\s]+))/gi;

// Over HTTP a user may be a token by itself; this is what stands in the place of its password then.
const TOKEN_HOLDER = /^(?:git\+)?https?$/i;
const NO_PASSWORD = /^(?:x-oauth-basic)?$/;

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What an address says openly: a password that is its user, its host or its database keeps nobody out. */
function openWords(...texts: readonly string[]): Set<string> {
  const words = texts.flatMap((text) => [text, ...text.split(/[/,:()+]/)]);
  return new Set(words.flatMap((word) => [word, ...word.split('.')]).map((word) => word.toLowerCase()));
}

interface Credential {
  scheme: string;
  user: string;
  password: string;
  /** The host and what follows it. */
  rest: string;
}

function secretsOf({ scheme, user, password, rest }: Credential): string[] {
  if (NO_PASSWORD.test(password)) {
    return user !== '' && TOKEN_HOLDER.test(scheme) ? [user, decoded(user)] : [];
  }
  const [place = ''] = rest.split(/[?#]/, 1);
  const open = openWords(scheme, user, decoded(user), place);
  return [password, decoded(password)].filter((text) => !open.has(text.toLowerCase()));
}

function split(userinfo: string): { user: string; password: string } {
  const colon = userinfo.indexOf(':');
  return colon < 0
    ? { user: userinfo, password: '' }
    : { user: userinfo.slice(0, colon), password: userinfo.slice(colon + 1) };
}

/** As written: drivers read what is no URL, as several hosts, or a password with `#` or `/`. */
function written(scheme: string, text: string): string[] {
  const [authority = ''] = text.split(/[/?#]/, 1);
  const end = authority.lastIndexOf('@');
  if (end < 0 && URL.canParse(`${scheme}://${text}`)) return [];
  // Nobody can say which `@` is the last of the password where it is not written as it should be.
  const ends = new Set([end, text.indexOf('@'), text.lastIndexOf('@')]);
  return [...ends].flatMap((at) => {
    const { user, password } = split(text.slice(0, Math.max(at, 0)));
    const isCertain = at === end || password !== '';
    return at > 0 && isCertain ? secretsOf({ scheme, user, password, rest: text.slice(at + 1) }) : [];
  });
}

/** As a program shows it that has read it as a URL. */
function normal(text: string): string[] {
  if (!URL.canParse(text)) return [];
  const { protocol, username: user, password, hostname, pathname } = new URL(text);
  return secretsOf({ scheme: protocol.slice(0, -1), user, password, rest: hostname + pathname });
}

function inAddress(value: string): string[] {
  if (!value.includes('@')) return [];
  const [, schemes, text] = ADDRESS.exec(value) ?? [];
  if (schemes === undefined || text === undefined) return BARE.test(value) ? written('', value) : [];
  const scheme = schemes.slice(schemes.lastIndexOf(':') + 1);
  return [...written(scheme, text), ...normal(`${scheme}://${text}`)];
}

/** `user:password` in base64. */
function inBasic(coded: string): string[] {
  const text = Buffer.from(coded, 'base64').toString();
  return text.includes(':') ? secretsOf({ scheme: 'https', ...split(text), rest: '' }) : [];
}

/** The credentials within a value that is no secret as a whole: what follows a scheme, the password of an address. */
export function credentialsIn(value: string): string[] {
  const trimmed = value.trim();
  const [, scheme, behind] = SCHEME.exec(trimmed) ?? [];
  if (behind !== undefined) return [behind, ...(scheme?.toLowerCase() === 'basic' ? inBasic(behind) : [])];
  const named = Array.from(
    trimmed.matchAll(NAMED),
    ([, single, double, bare]) => single ?? double ?? bare ?? '',
  );
  return [...new Set([...inAddress(trimmed), ...named.flatMap((secret) => [secret, decoded(secret)])])];
}

/** Every text by which a secret value is known. It is sent without the white space around it, such as the line end of its file. */
export function secretTexts(value: string): string[] {
  return [value, value.trim(), ...credentialsIn(value)];
}
