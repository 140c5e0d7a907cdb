// What a configuration without an http block says.
import { buildHttp, httpBlock } from '../src/config/files/http.ts';
import type { HttpSettings } from '../src/config/types.ts';

export const HTTP_DEFAULTS: HttpSettings = buildHttp(httpBlock.parse(undefined));
