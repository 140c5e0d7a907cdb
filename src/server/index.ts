// The public surface of `agent-runtime-pack/server`.
export type { ServeOptions, ServerLog, ServerParts, ToolSet } from './connection.ts';
export type { StateKeys } from './request-state.ts';
export { serveRuntimeStdio } from './stdio.ts';
export type { ServeStdioInput, StdioServer } from './stdio.ts';
export type { NameMode } from './tool-names.ts';
