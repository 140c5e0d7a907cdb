// The public surface of `agent-runtime-pack/server`.
export type { ServeOptions, ServerLog, ServerParts, ToolSet } from './connection.ts';
export { createTokenIndex } from './http/credentials.ts';
export type { Credential, TokenEntry, TokenIndex, TokenVerifier } from './http/credentials.ts';
export type { FrontCounts } from './http/front.ts';
export { serveRuntimeHttp } from './http/serve.ts';
export type { HttpServer, ServeHttpInput } from './http/serve.ts';
export type { StateKeys } from './request-state.ts';
export { serveRuntimeStdio } from './stdio.ts';
export type { ServeStdioInput, StdioServer } from './stdio.ts';
export type { NameMode } from './tool-names.ts';
