// Owns what the name of an argument says of its value: that it is a URL, a path, what a file holds, or no name of a field.

// The last word of a key: `url`, `callbackUrl`, `BASE_URL`, `links`, `image_href`, `xlink:href`, `redirect-uri`, `url_2`.
const URL_KEY = /(?:^|[^a-z0-9])(?:ur[li]|href|link|endpoint|callback|webhook)s?(?:[^a-z0-9]?\d+)?$/i;
const URL_CAMEL_KEY =
  /[a-z0-9](?:U(?:r[li]|R[LI])|H(?:ref|REF)|Link|Endpoint|Callback|Webhook)s?(?:[^a-z0-9]?\d+)?$/;
const PATHS = 'paths?|files?|file_?names?|dirs?|director(?:y|ies)|folders?|sources?|destinations?|roots?';
const PATH_KEY = new RegExp(`(?:^|[_-])(?:${PATHS})$`, 'i');
const PATH_CAMEL_KEY =
  /[a-z0-9](?:Paths?|Files?|File[Nn]ames?|Dirs?|Director(?:y|ies)|Folders?|Sources?|Destinations?|Roots?)$/;
const CONTENT_KEY = /(?:^|[_-])(?:contents?|text|body|data|blob|base64|bytes)$/i;
const CONTENT_CAMEL_KEY = /[a-z0-9](?:Contents?|Text|Body|Data|Blob|Base64|Bytes)$/;
const FIELD = /^[a-z_$@][\w-]*$/i;

export interface KeyMeaning {
  readonly isUrl: boolean;
  readonly isPath: boolean;
  readonly isContent: boolean;
  /** A plain word, as fields have; a map of files, addresses or accounts has others. */
  readonly isField: boolean;
}

/** What is to be said of a key, remembered: tools have few keys, and each call has them again. */
export function remembered<T>(say: (key: string) => T): (key: string) => T {
  const known = new Map<string, T>();
  return (key) => {
    const found = known.get(key);
    if (found !== undefined) return found;
    const answer = say(key);
    // Keys come from callers: what is remembered must not grow with them.
    if (known.size < 1000 && key.length <= 64) known.set(key, answer);
    return answer;
  };
}

export const meaningOf: (key: string) => KeyMeaning = remembered((key) => ({
  isUrl: URL_KEY.test(key) || URL_CAMEL_KEY.test(key),
  isPath: PATH_KEY.test(key) || PATH_CAMEL_KEY.test(key),
  isContent: CONTENT_KEY.test(key) || CONTENT_CAMEL_KEY.test(key),
  isField: FIELD.test(key),
}));
