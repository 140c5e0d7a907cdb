// Owns what the session of a node is given: its own turn input, and before it one message with what other nodes said.
// That is data of models and tools, so it comes fenced, in the user's place, never in the system's voice.
import { isObject } from '../../base/json.ts';
import type { JsonObject } from '../../base/json.ts';
import type { TurnInput, TurnMessage } from '../turn/contract.ts';
import { asData, bounded } from '../untrusted.ts';
import type { NodeOutput } from './contract.ts';
import { inputsOf } from './graph.ts';
import type { GraphNode, Outputs } from './graph.ts';
import type { NodeState } from './state.ts';

// Of all dependencies together; more would crowd out the node's own words.
const MAX_CONTEXT_CHARS = 65_536;

function contextMessage(label: string, value: JsonObject): TurnMessage {
  const { text, cutFrom } = bounded(JSON.stringify(value, null, 2), MAX_CONTEXT_CHARS);
  const said = cutFrom === undefined ? text : `${text}\n[cut, ${cutFrom} characters in all]`;
  return { role: 'user', content: asData(label, said) };
}

function withContext(input: TurnInput, label: string, value: JsonObject): TurnInput {
  return { ...input, messages: [contextMessage(label, value), ...input.messages] };
}

/** The mapped inputs of a node, or, where it maps none, the whole output of each dependency. */
function handedOver(one: GraphNode, states: ReadonlyMap<string, NodeState>, outputs: Outputs): JsonObject {
  if (one.node.inputs !== undefined) {
    const inputs = inputsOf(one, states, outputs);
    return inputs.ok ? { inputs: inputs.values } : {};
  }
  const dependencies: JsonObject = {};
  for (const id of one.dependsOn) {
    const output = outputs.get(id);
    dependencies[id] = output === undefined ? null : (output as unknown as JsonObject);
  }
  return one.dependsOn.length === 0 ? {} : { dependencies };
}

export interface Before {
  states: ReadonlyMap<string, NodeState>;
  outputs: Outputs;
  /** Of the iteration before. */
  last: NodeOutput | undefined;
}

export function nodeInput(one: GraphNode, { states, outputs, last }: Before): TurnInput {
  const value = handedOver(one, states, outputs);
  if (last !== undefined) value.previous_iteration = last as unknown as JsonObject;
  const { execute_turn_input: input } = one.node;
  return Object.keys(value).length === 0 ? input : withContext(input, 'Results of earlier steps:', value);
}

/** The input of a node's compensation knows what the node had said. */
export function compensationInput(one: GraphNode, output: NodeOutput | undefined): TurnInput | undefined {
  const input = one.node.compensate?.execute_turn_input;
  if (input === undefined || !isObject(output)) return input;
  return withContext(input, 'Result of the step to be undone:', { output: output as unknown as JsonObject });
}
