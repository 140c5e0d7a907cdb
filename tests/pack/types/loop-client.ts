// Both client generations and an in-process runtime meet the loop's port by structure alone; compiling is the test.
import type { Client as V2Client } from '@modelcontextprotocol/client';
import type { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { Kernel } from '../../../src/kernel/create-kernel.ts';
import type { KernelPort, LoopClient, LoopRuntime } from '../../../src/pack/index.ts';
import type { Runtime } from '../../../src/runtime/contract.ts';

type Meets<Port, Given extends Port> = Given;

export type V1IsClient = Meets<LoopClient, V1Client>;
export type V2IsClient = Meets<LoopClient, V2Client>;
export type RuntimeIsRuntime = Meets<LoopRuntime, Runtime>;
export type KernelIsPort = Meets<KernelPort, Kernel>;
