// Real clients over real pipes: the v2 SDK in both eras, the v1 SDK, and bare lines.
import { PassThrough } from 'node:stream';
import { Client } from '@modelcontextprotocol/client';
import type { CallToolResult, JSONRPCMessage, Transport } from '@modelcontextprotocol/client';
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js';
import { ElicitRequestSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';

export interface Pipes {
  toServer: PassThrough;
  fromServer: PassThrough;
}

export function openPipes(): Pipes {
  return { toServer: new PassThrough(), fromServer: new PassThrough() };
}

function eachLine(stream: PassThrough, take: (line: string) => void): void {
  let held = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (held + chunk).split('\n');
    held = lines.pop() ?? '';
    lines.forEach(take);
  });
}

class PipeTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #pipes: Pipes;

  constructor(pipes: Pipes) {
    this.#pipes = pipes;
  }

  async start(): Promise<void> {
    eachLine(this.#pipes.fromServer, (line) => this.onmessage?.(JSON.parse(line) as JSONRPCMessage));
    this.#pipes.fromServer.on('end', () => this.onclose?.());
  }

  async send(message: JSONRPCMessage): Promise<void> {
    this.#pipes.toServer.write(`${JSON.stringify(message)}\n`);
  }

  async close(): Promise<void> {
    this.#pipes.toServer.end();
    this.onclose?.();
  }
}

export type Elicit = (params: {
  message: string;
  requestedSchema?: unknown;
}) => Promise<{ action: 'accept' | 'decline' | 'cancel'; content?: Record<string, string> }>;

export interface ClientSetup {
  name?: string;
  /** Absent: the client declares no elicitation. */
  elicit?: Elicit;
  onToolsChanged?: () => void;
}

export interface CallOptions {
  onprogress?: (progress: Record<string, unknown>) => void;
  signal?: AbortSignal;
  meta?: Record<string, unknown>;
}

interface Listed {
  tools: {
    name: string;
    inputSchema: Record<string, unknown>;
    outputSchema?: Record<string, unknown> | undefined;
    [key: string]: unknown;
  }[];
  nextCursor?: string | undefined;
}

/** What the tests need of any client. */
export interface AnyClient {
  list(cursor?: string): Promise<Listed>;
  call(name: string, args?: Record<string, unknown>, options?: CallOptions): Promise<CallToolResult>;
  read(uri: string): Promise<string>;
  resources(): Promise<string[]>;
  prompts(): Promise<string[]>;
  prompt(name: string, args?: Record<string, string>): Promise<string>;
  instructions(): string | undefined;
  close(): Promise<void>;
}

export const CLIENT_KINDS = ['v2 modern', 'v2 legacy', 'v1'] as const;
export type ClientKind = (typeof CLIENT_KINDS)[number];

function callParams(name: string, args: Record<string, unknown> | undefined, meta: CallOptions['meta']) {
  return {
    name,
    ...(args === undefined ? {} : { arguments: args }),
    ...(meta === undefined ? {} : { _meta: meta }),
  };
}

// A call without a token must send none; a plain `undefined` callback would still ask for progress.
function requestOptions({ onprogress, signal }: CallOptions) {
  return {
    ...(onprogress === undefined ? {} : { onprogress: (p: object) => onprogress({ ...p }) }),
    ...(signal === undefined ? {} : { signal }),
  };
}

const text = (content: unknown): string => (content as { text: string }).text;

async function connectV2(transport: Transport, modern: boolean, setup: ClientSetup): Promise<AnyClient> {
  const client = new Client(
    { name: setup.name ?? 'test-client', version: '1.0.0' },
    {
      capabilities: setup.elicit === undefined ? {} : { elicitation: { form: {} } },
      versionNegotiation: { mode: modern ? { pin: '2026-07-28' } : 'legacy' },
      ...(setup.onToolsChanged === undefined
        ? {}
        : { listChanged: { tools: { autoRefresh: false, onChanged: setup.onToolsChanged } } }),
    },
  );
  const { elicit } = setup;
  if (elicit !== undefined) {
    client.setRequestHandler('elicitation/create', async ({ params }) => elicit(params as never));
  }
  await client.connect(transport);
  return {
    list: (cursor) => client.listTools(cursor === undefined ? {} : { cursor }),
    call: (name, args, options = {}) =>
      client.callTool(callParams(name, args, options.meta), requestOptions(options)),
    read: async (uri) => text((await client.readResource({ uri })).contents[0]),
    resources: async () => [
      ...(await client.listResources()).resources.map(({ uri }) => uri),
      ...(await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    ],
    prompts: async () => (await client.listPrompts()).prompts.map(({ name }) => name),
    prompt: async (name, args) =>
      text((await client.getPrompt({ name, ...(args ? { arguments: args } : {}) })).messages[0]?.content),
    instructions: () => client.getInstructions(),
    close: () => client.close(),
  };
}

async function connectV1(transport: Transport, setup: ClientSetup): Promise<AnyClient> {
  const client = new V1Client(
    { name: setup.name ?? 'test-client', version: '1.0.0' },
    { capabilities: setup.elicit === undefined ? {} : { elicitation: {} } },
  );
  const { elicit, onToolsChanged } = setup;
  if (elicit !== undefined) {
    client.setRequestHandler(ElicitRequestSchema, async ({ params }) => elicit(params as never));
  }
  if (onToolsChanged !== undefined) {
    client.setNotificationHandler(ToolListChangedNotificationSchema, onToolsChanged);
  }
  await client.connect(transport);
  return {
    list: (cursor) => client.listTools(cursor === undefined ? {} : { cursor }),
    call: (name, args, options = {}) =>
      client.callTool(
        callParams(name, args, options.meta),
        undefined,
        requestOptions(options),
      ) as Promise<CallToolResult>,
    read: async (uri) => text((await client.readResource({ uri })).contents[0]),
    resources: async () => [
      ...(await client.listResources()).resources.map(({ uri }) => uri),
      ...(await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    ],
    prompts: async () => (await client.listPrompts()).prompts.map(({ name }) => name),
    prompt: async (name, args) =>
      text((await client.getPrompt({ name, ...(args ? { arguments: args } : {}) })).messages[0]?.content),
    instructions: () => client.getInstructions(),
    close: () => client.close(),
  };
}

export function connectTo(kind: ClientKind, transport: Transport, setup: ClientSetup): Promise<AnyClient> {
  return kind === 'v1' ? connectV1(transport, setup) : connectV2(transport, kind === 'v2 modern', setup);
}

export function connectClient(kind: ClientKind, pipes: Pipes, setup: ClientSetup): Promise<AnyClient> {
  return connectTo(kind, new PipeTransport(pipes), setup);
}

export interface RawMessage {
  id?: string | number | null;
  method?: string;
  result?: Record<string, unknown>;
  error?: { code: number; message: string; data?: unknown };
  params?: Record<string, unknown>;
}

/** Bare lines, for what no SDK would send. Messages wait until they are taken. */
export class RawClient {
  readonly lines: string[] = [];
  #waiting: (() => void)[] = [];
  readonly #pipes: Pipes;

  constructor(pipes: Pipes) {
    this.#pipes = pipes;
    eachLine(pipes.fromServer, (line) => {
      this.lines.push(line);
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  write(bytes: string | Buffer): void {
    this.#pipes.toServer.write(bytes);
  }

  send(message: object): void {
    this.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  }

  end(): void {
    this.#pipes.toServer.end();
  }

  /** Takes the first message that fits, waiting for it. */
  async take(fits: (message: RawMessage) => boolean): Promise<RawMessage> {
    for (;;) {
      const at = this.lines.findIndex((line) => fits(JSON.parse(line) as RawMessage));
      if (at >= 0) return JSON.parse(this.lines.splice(at, 1)[0]!) as RawMessage;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  answer(id: string | number | null): Promise<RawMessage> {
    return this.take((message) => message.id === id && message.method === undefined);
  }

  async request(id: string | number, method: string, params: object = {}): Promise<RawMessage> {
    this.send({ id, method, params });
    return this.answer(id);
  }

  /** A legacy handshake. */
  async initialize(capabilities: object = {}): Promise<RawMessage> {
    const hello = await this.request('init', 'initialize', {
      protocolVersion: '2025-11-25',
      capabilities,
      clientInfo: { name: 'raw', version: '1' },
    });
    this.send({ method: 'notifications/initialized' });
    return hello;
  }

  /** A modern request with its envelope. */
  modern(id: string | number, method: string, params: object = {}, elicits = true): Promise<RawMessage> {
    return this.request(id, method, {
      ...params,
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': elicits ? { elicitation: { form: {} } } : {},
      },
    });
  }
}
