// The model of the workflow suite: it does what its message says, and says again the same to the same conversation.

function dataOf(text) {
  const found = /<<<DATA\n([\s\S]*)\nDATA>>>/.exec(text);
  return found === null ? {} : JSON.parse(found[1]);
}

function asks(step, data) {
  const args = {
    wf: step.wf,
    node: step.node,
    ...(data.inputs === undefined ? {} : { inputs: data.inputs }),
  };
  const iteration = step.counts ? { iteration: (data.previous_iteration?.structured?.v ?? 0) + 1 } : {};
  const key = step.tool === 'ticket' ? { key: `${step.wf}-${step.node}` } : {};
  const input = { ...args, ...iteration, ...key };
  return {
    text: '',
    toolCalls: [{ id: 'native-1', name: step.tool, rawInput: JSON.stringify(input) }],
    finishReason: 'tool_calls',
  };
}

function valueOf(step, data) {
  return step.counts ? (data.previous_iteration?.structured?.v ?? 0) + 1 : step.v;
}

/** What the model says to these messages. */
export function think(messages) {
  const isStep = ({ role, content }) => role === 'user' && content.startsWith('STEP ');
  const at = messages.findLastIndex(isStep);
  const step = JSON.parse(messages[at].content.slice(5));
  const data = dataOf(messages.find((one) => one.role === 'user').content);
  const told = messages.slice(at).find((one) => one.role === 'tool');
  if (told === undefined && step.tool !== undefined) return asks(step, data);
  // Its first attempt fails: only the process that counts effects knows which one that is.
  const isWrong = step.wrong === true || (step.flaky === true && told.content.includes('time 1 '));
  return { text: isWrong ? 'not what was promised' : JSON.stringify({ v: valueOf(step, data) }) };
}
