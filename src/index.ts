// Owns the public surface of the package. Every line here is a promise: whatever is added is public from then on.
export { createRuntime } from './runtime/runtime.ts';
export type { Log, RuntimeHandle, RuntimeOptions } from './runtime/options.ts';
export type {
  ApprovalPrompt,
  ApprovalTicket,
  CallAnswer,
  CallStatus,
  CallToolInput,
  GovernedTool,
  Health,
  HealthCheck,
  Inspect,
  Inspection,
  InspectKind,
  ListPage,
  ListQuery,
  Runtime,
  RuntimeIo,
} from './runtime/contract.ts';
export { mintSessionId, resumeGovernedAgentSession, startGovernedAgentSession } from './runtime/managed.ts';
export type { ResumeSessionOptions, StartSessionOptions } from './runtime/managed.ts';
export type {
  Continuation,
  ManagedProgress,
  ManagedResult,
  ManagedSessions,
  ManagedStatus,
} from './pack/managed/contract.ts';
export { resumeGovernedAgentWorkflow, startGovernedAgentWorkflow } from './runtime/workflow-helpers.ts';
export type { ResumeWorkflowOptions, StartWorkflowOptions } from './runtime/workflow-helpers.ts';
export type {
  NodeOutput,
  NodeStatus,
  WaitingNode,
  WorkflowResult,
  WorkflowStatus,
  Workflows,
} from './pack/workflows/contract.ts';
export type { InputMapping, NodeDefinition, WorkflowDefinition } from './pack/workflows/definition.ts';
export { createAgentRuntimeWorkflowStateStore } from './runtime/state-store.ts';
export type { WorkflowStateStore } from './runtime/state-store.ts';
export type { SessionCopy } from './store/documents/session-copies.ts';
export { loadConfig } from './config/load.ts';
export type { LoadOptions } from './config/load.ts';
export type { Capability, Policy, RuntimeConfig } from './config/types.ts';
export {
  buildGovernedToolCatalog,
  createApprovalResolutionMessage,
  createHostContextMessages,
  createToolResultMessage,
  inProcessClient,
  runGovernedAgentLoop,
  toTurnCatalog,
  verifyApprovalResolution,
} from './pack/index.ts';
export type { HostContext, LoopOptions, LoopResult } from './pack/index.ts';
export type { TurnFailure, TurnInput, TurnMessage, TurnOutput } from './pack/turn/contract.ts';
export type { Answerer, Approval, Delivery } from './kernel/approvals/approval.ts';
export type { Execution, ExecutionResult, Executor } from './kernel/execution/executor.ts';
export type { Caller } from './kernel/identity.ts';
export { RuntimeError } from './base/errors.ts';
export { Series } from './base/series.ts';
export type { ErrorCode, ErrorView } from './base/errors.ts';
