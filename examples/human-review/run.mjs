// Human review: a client of the first SDK generation starts the workflow over MCP, a person approves the one call that needs
// it in another process, and a third process finishes. No process outlives its part.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { parse } from 'yaml';
import { graphOf, json, MAIN, nodeSession, recordsOf, statuses } from '../support/place.mjs';
import { approveAtTerminal } from '../support/terminal.mjs';
import { ticketsIn } from '../support/desk.mjs';

export const setup = { pins: true };

/** Starts the workflow as a host would; the server ends with the client. */
async function startOverMcp(place) {
  const client = new Client({ name: 'human-review', version: '1.0.0' }, { capabilities: {} });
  const { env, workspace: cwd } = place;
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [MAIN, 'serve', '--tools', 'turn'],
    env,
    cwd,
    stderr: 'ignore',
  });
  await client.connect(transport);
  try {
    const workflow = parse(await readFile(place.file('workflow.yaml'), 'utf8'));
    const { tools } = await client.listTools();
    const name = tools.find((tool) => /^agent.start-workflow$/.test(tool.name)).name;
    const { structuredContent } = await client.callTool({ name, arguments: { workflow } });
    return structuredContent;
  } finally {
    await client.close();
  }
}

export async function run({ place, check, say, draw }) {
  say('first process: an MCP client (SDK 1.x) over stdio calls agent:start-workflow');
  const asked = await startOverMcp(place);
  const { session_id: id, pending_request_id: approval } = asked;
  check(
    'the workflow waits for a person',
    [asked.kind, asked.node_id, asked.requested_tool?.name],
    ['approval_required', 'ticket', 'desk:create_ticket'],
  );
  check('the branch beside it did not wait', statuses(await graphOf(place, id)), {
    assess: 'completed',
    ticket: 'waiting_approval',
    summary: 'completed',
    reply: 'pending',
  });
  check('nothing was opened', ticketsIn(join(place.workspace, 'desk.db')), []);

  await draw(id);

  const early = await json(place, ['workflows', 'resume', id]);
  check('resumed before the answer, it waits for the same one', early.pending_request_id, approval);

  say(`second process: agent-runtime approvals resolve ${approval} --decision approve`);
  const screen = await approveAtTerminal(place, approval);
  check('the person saw what would be done', screen.includes('Customer 4711 asks for a refund of 640'), true);
  check('an answer alone opens nothing', ticketsIn(join(place.workspace, 'desk.db')), []);

  say(`third process: agent-runtime workflows resume ${id}`);
  const done = await json(place, ['workflows', 'resume', id]);
  check('the third process finishes it', done.kind, 'completed');
  const tickets = ticketsIn(join(place.workspace, 'desk.db'));
  check('the ticket was opened once', tickets, ['Refund above the limit']);
  const { state } = await json(place, ['approvals', 'show', approval]);
  check(
    'the approval is used up, with the note',
    [state.status, state.resolution_note],
    ['consumed', 'within the yearly budget'],
  );

  const graph = await graphOf(place, id);
  check(
    'every step is done',
    Object.values(statuses(graph)),
    Array.from({ length: 4 }, () => 'completed'),
  );
  const reply = await nodeSession(place, graph, 'reply');
  const told = reply.messages.map(({ content }) => content).join('\n');
  check('the reply knew that the ticket is open', told.includes('The ticket is open.'), true);
  const started = (await recordsOf(place, id)).filter(({ type }) => type === 'node_started');
  check('each step was started once', started.length, 4);
  return id;
}
