// Owns the pack's public face: what the runtime, the server and library users take from it.
export { createPack } from './pack.ts';
export type { Pack } from './pack.ts';
export type { PackDeps } from './deps.ts';
export type { SessionCopies } from './managed/copy.ts';
export type { ApprovalBook, KernelPort, ModelAdmission, ModelCall } from './kernel-port.ts';
export { decisionView, PACK_RECORDS } from './records.ts';
export type { DirectCall } from './sessions/default-sessions.ts';
export type { Requested } from './sessions/requested-call.ts';
export type {
  DecisionView,
  RequestedTool,
  TurnFailure,
  TurnInput,
  TurnMessage,
  TurnOutput,
  TurnSnapshot,
  TurnStatus,
} from './turn/contract.ts';
export type { TurnIo } from './turn/run-turn.ts';
export { turnInputSchema } from './turn/input.ts';
export { turnOutputSchema } from './turn/output.ts';
export { runGovernedAgentLoop } from './loop/loop.ts';
export type { HistoryEntry, LoopOptions, LoopProgress, LoopResult } from './loop/loop.ts';
export { inProcessClient } from './loop/client-port.ts';
export type {
  LoopCallAnswer,
  LoopClient,
  LoopError,
  LoopRuntime,
  LoopToolResult,
} from './loop/client-port.ts';
export { createHostContextMessages, createToolResultMessage } from './host-messages.ts';
export type { HostContext, ToolResult } from './host-messages.ts';
export { createApprovalResolutionMessage, verifyApprovalResolution } from './approval-message.ts';
export type { ApprovalOwner, ApprovalResolution, VerifiedResolution } from './approval-message.ts';
export { buildGovernedToolCatalog, toTurnCatalog } from './tool-catalog.ts';
export type { CatalogEntry, CatalogTool } from './tool-catalog.ts';
export { CONFIG_KEY, createManifest, PACK_ID, verifyManifest } from './manifest.ts';
export { MANIFEST_PIN } from './manifest-pin.ts';
export type { Manifest, ManifestParts } from './manifest.ts';
