// Owns the requests that read: our own resources and prompts from the runtime, everybody else's through the gate, each
// listed as its server lists it.
import type {
  CompleteRequest,
  CompleteResult,
  GetPromptResult,
  InputRequiredResult,
  McpServer,
  ReadResourceResult,
  Result,
  ServerContext,
} from '@modelcontextprotocol/server';
import { ResourceNotFoundError } from '@modelcontextprotocol/server';
import { showCut } from '../../base/text.ts';
import { readArgs } from '../../kernel/catalog/reads.ts';
import type { ReadMethod } from '../../kernel/catalog/reads.ts';
import { answerable } from '../ask.ts';
import type { Connection } from '../connection.ts';
import { invalidParams, readFailure } from '../errors.ts';
import { page } from '../pages.ts';
import { promptText, PROMPTS } from '../prompts.ts';
import { isOwnResource, readResource, RESOURCES, TEMPLATES } from '../resources.ts';
import { inFlight, openRound } from '../round.ts';
import type { ClientRequest } from '../round.ts';
import { listedName } from '../tool-names.ts';
import { readResult } from './read-answer.ts';

interface Read {
  server: string;
  method: ReadMethod;
  params: Record<string, unknown>;
  /** Of the resource, for one. */
  uri?: string;
}

type Requested = (ctx: ServerContext) => ClientRequest;

/** One read through the door. Throws protocol errors only. */
async function governedRead(
  connection: Connection,
  request: ClientRequest,
  { server, method, params, uri }: Read,
): Promise<Result | InputRequiredResult> {
  const { runtime, caller, gate, log } = connection;
  const args = readArgs(method, params);
  if (args === undefined) throw invalidParams(`Not what ${method} takes`);
  const tool = `${server}:${method}`;
  const open = openRound(connection, request);
  try {
    const outcome = await inFlight(connection, () =>
      gate.governed(
        {
          tool,
          args,
          run: (callId) =>
            runtime.callCapability(
              caller,
              { tool, args, ...(callId === undefined ? {} : { callId }) },
              open.io,
            ),
        },
        open.round,
      ),
    );
    open.assertLent();
    return outcome.kind === 'ask' ? outcome.result : readResult(outcome.answer, outcome.note, uri);
  } catch (thrown) {
    throw readFailure(thrown, uri ?? tool, log);
  } finally {
    await open.end();
  }
}

function serveResources(server: McpServer, connection: Connection, requested: Requested): void {
  const { runtime, caller, log, reads } = connection;
  server.server.setRequestHandler('resources/list', async ({ params }, { mcpReq }) => {
    const others = (await reads.resources(mcpReq.signal)).map(({ item }) => item);
    const { items, nextCursor } = page([...RESOURCES, ...others], ({ uri }) => uri, params?.cursor);
    return { resources: items, ...nextCursor };
  });
  server.server.setRequestHandler('resources/templates/list', async ({ params }, { mcpReq }) => {
    const others = (await reads.templates(mcpReq.signal)).map(({ item }) => item);
    const all = [...TEMPLATES, ...others];
    const { items, nextCursor } = page(all, ({ uriTemplate }) => uriTemplate, params?.cursor);
    return { resourceTemplates: items, ...nextCursor };
  });
  server.server.setRequestHandler('resources/read', async ({ params }, ctx) => {
    const { uri } = params;
    if (isOwnResource(uri) || !reads.offered.resources) {
      try {
        return await readResource(runtime, caller, uri);
      } catch (thrown) {
        throw readFailure(thrown, uri, log);
      }
    }
    const owner = await reads.serverOf(uri, ctx.mcpReq.signal);
    if (owner === undefined) throw new ResourceNotFoundError(uri);
    const read: Read = { server: owner, method: 'resources/read', params, uri };
    return (await governedRead(connection, requested(ctx), read)) as ReadResourceResult;
  });
}

function servePrompts(server: McpServer, connection: Connection, requested: Requested): void {
  const { reads, options } = connection;
  server.server.setRequestHandler('prompts/list', async ({ params }, ctx) => {
    const { name: clientName } = requested(ctx).client;
    const others = (await reads.prompts(ctx.mcpReq.signal)).map(({ id, item }) => {
      return { ...item, name: listedName(id, options.toolNames, clientName) };
    });
    const { items, nextCursor } = page([...PROMPTS, ...others], ({ name }) => name, params?.cursor);
    return { prompts: items, ...nextCursor };
  });
  server.server.setRequestHandler('prompts/get', async ({ params }, ctx) => {
    const found = PROMPTS.some(({ name }) => name === params.name)
      ? undefined
      : await reads.prompt(params.name, ctx.mcpReq.signal);
    if (found === undefined) return promptText(params.name, params.arguments);
    const read: Read = {
      server: found.server,
      method: 'prompts/get',
      params: { ...params, name: found.item.name },
    };
    return (await governedRead(connection, requested(ctx), read)) as GetPromptResult;
  });
}

/** Whose the thing is that is to be completed, with its own name for it. */
async function completed(
  { reads }: Connection,
  { ref }: CompleteRequest['params'],
  signal: AbortSignal,
): Promise<{ server: string; ref: CompleteRequest['params']['ref'] } | undefined> {
  if (ref.type === 'ref/prompt') {
    const found = await reads.prompt(ref.name, signal);
    return found && { server: found.server, ref: { ...ref, name: found.item.name } };
  }
  const server = await reads.serverOf(ref.uri, signal);
  return server === undefined ? undefined : { server, ref };
}

function serveCompletion(server: McpServer, connection: Connection, requested: Requested): void {
  server.server.setRequestHandler('completion/complete', async ({ params }, ctx) => {
    const { ref } = params;
    const isOwn =
      ref.type === 'ref/prompt' ? PROMPTS.some(({ name }) => name === ref.name) : isOwnResource(ref.uri);
    if (isOwn) return { completion: { values: [] } };
    const found = await completed(connection, params, ctx.mcpReq.signal);
    if (found === undefined) {
      throw invalidParams(
        `Nothing to complete: ${showCut(ref.type === 'ref/prompt' ? ref.name : ref.uri, 80)}`,
      );
    }
    const read: Read = {
      server: found.server,
      method: 'completion/complete',
      params: { ...params, ref: found.ref },
    };
    // The protocol has no way to ask in the middle of a completion: one that has to be asked about is refused.
    const quiet = {
      ...requested(ctx),
      client: { ...answerable({}), takesTasks: false },
    };
    return (await governedRead(connection, quiet, read)) as CompleteResult;
  });
}

function serveSubscriptions(server: McpServer, { subscriptions, log }: Connection): void {
  if (subscriptions === undefined) return;
  server.server.setRequestHandler('resources/subscribe', async ({ params }) => {
    try {
      await subscriptions.subscribe(params.uri);
    } catch (thrown) {
      throw readFailure(thrown, params.uri, log);
    }
    return {};
  });
  server.server.setRequestHandler('resources/unsubscribe', ({ params }) => {
    subscriptions.unsubscribe(params.uri);
    return {};
  });
}

export function serveReads(server: McpServer, connection: Connection, requested: Requested): void {
  serveResources(server, connection, requested);
  servePrompts(server, connection, requested);
  if (connection.reads.offered.completions) serveCompletion(server, connection, requested);
  serveSubscriptions(server, connection);
}
