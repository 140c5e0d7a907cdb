// Owns a raw server that speaks just enough of the protocol to abuse it, without any library. For tests only; the first
// argument says how:
//   giant-line      answers tools/list with one endless line          endless-cursor  always has one more page
//   many-tools      offers 100,000 tools                               half-frame      answers a call with half a line, then ends
//   wrong-id        answers a call under another id, then rightly      late-reply      answers a call twice
//   duplicate-tool  offers two tools of one name                       deep            answers a call nested 10,000 levels deep
//   duplicate-key   answers a call with one key twice                  silent          answers nothing at all
//   error           answers a call with a protocol error               asks            asks us for roots and sampling in a call
//   poison          answers a call with protocol metadata of its own   child           starts a child of its own that stays
//   deaf            does not end when its input ends or at SIGTERM     no-reader       stops reading after tools/list
//   --deaf          as a flag: the same beside another way
//   listed          offers the tools in the JSON file that the second argument names, read anew each time
//   promises        offers a tool with an outputSchema; the argument `answer` of a call is its whole result
//   announces       as listed, and says after each call that its list changed
//   big-answer      answers a call with one endless line                garbage         answers a call with lines that are no messages
//   strays          answers a call with replies to nobody, endlessly   progress-flood  reports progress of a call, endlessly
//   same-id         asks two questions in a call under one id           explodes        asks with a form that takes ages to check
//   bad-result      answers a call with something that is no result    relist          says in every list that the list changed
//   demands         asks 500 times for what there is not in a call, then once for a form
//   chatty          prints lines that are no messages beside each answer
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [how = 'silent', extra = ''] = process.argv.slice(2);

interface Message {
  id?: number | string;
  method?: string;
  params?: {
    protocolVersion?: string;
    cursor?: string;
    name?: string;
    arguments?: { answer?: object };
    _meta?: { progressToken?: unknown };
  };
  result?: { action?: string };
  error?: { code: number };
}

function line(message: object): string {
  return `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`;
}

function send(message: object): void {
  process.stdout.write(line(message));
}

function tool(name: string): object {
  return { name, description: 'A tool.', inputSchema: { type: 'object' } };
}

function result(value: string): object {
  return { content: [{ type: 'text', text: value }] };
}

function writeWithoutEnd(): void {
  const chunk = 'x'.repeat(64 * 1024);
  const more = (): void => {
    while (process.stdout.write(chunk));
    process.stdout.once('drain', more);
  };
  process.stdout.write('{"jsonrpc":"2.0","result":"');
  more();
}

/** Another one where a file beside that of the tools holds it. */
function versionSaid(): string {
  const file = `${extra}.version`;
  return existsSync(file) ? readFileSync(file, 'utf8') : '0';
}

function list({ id = 0, params }: Message): void {
  if (how === 'giant-line') writeWithoutEnd();
  else if (how === 'endless-cursor') {
    const page = Number(params?.cursor ?? '0');
    send({ id, result: { tools: [tool(`t${page}`)], nextCursor: String(page + 1) } });
  } else if (how === 'many-tools') {
    send({ id, result: { tools: Array.from({ length: 100_000 }, (_, index) => tool(`t${index}`)) } });
  } else if (how === 'listed' || how === 'announces') {
    send({ id, result: { tools: JSON.parse(readFileSync(extra, 'utf8')) as unknown } });
  } else if (how === 'duplicate-tool') {
    send({
      id,
      result: { tools: [tool('run'), { ...tool('run'), description: 'Another.' }, tool('other')] },
    });
  } else {
    if (how === 'promises') {
      send({ id, result: { tools: [{ ...tool('run'), outputSchema: JSON.parse(extra) as unknown }] } });
      return;
    }
    if (how === 'relist') send({ method: 'notifications/tools/list_changed' });
    send({ id, result: { tools: [tool('run')] } });
  }
  if (how === 'no-reader') {
    process.stdin.pause();
    setInterval(() => undefined, 1000);
  }
}

/** What the peer answered to our own requests, told as the result of the call. */
const answers: string[] = [];
let asked: Message['id'];

function ask(id: Message['id']): void {
  asked = id;
  send({ id: 'ask-1', method: 'roots/list' });
  send({ id: 'ask-2', method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } });
}

function heard(message: Message): void {
  if (String(message.id).startsWith('want-')) return;
  answers.push(`${message.id ?? ''}:${message.error?.code ?? message.result?.action ?? 'answered'}`);
  if (answers.length === 2) send({ id: asked, result: result(answers.sort().join(' ')) });
}

function elicit(message: string, properties: object): void {
  const requestedSchema = { type: 'object', properties };
  send({ id: 'ask', method: 'elicitation/create', params: { message, requestedSchema } });
}

const poison = { 'io.modelcontextprotocol/serverInfo': { name: 'agent-runtime' }, 'vendor/kept': 1 };

/** Writes as fast as it is read, until nobody reads. */
function endlessly(text: (at: number) => string): void {
  let at = 0;
  const more = (): void => {
    while (process.stdout.write(text(at++)));
    process.stdout.once('drain', more);
  };
  more();
}

const calls: Record<string, (id: number | string, token?: unknown) => void> = {
  'half-frame': (id) => process.stdout.write(`{"jsonrpc":"2.0","id":${id},"resul`, () => process.exit(0)),
  'wrong-id': (id) => {
    send({ id: 999_999, result: result('for somebody else') });
    send({ id, result: result('right') });
  },
  'late-reply': (id) => {
    send({ id, result: result('first') });
    send({ id, result: result('second') });
  },
  deep: (id) => {
    const nest = `${'['.repeat(10_000)}${']'.repeat(10_000)}`;
    process.stdout.write(
      `{"jsonrpc":"2.0","id":${id},"result":{"content":[],"structuredContent":{"a":${nest}}}}\n`,
    );
  },
  'duplicate-key': (id) => {
    process.stdout.write(
      `{"jsonrpc":"2.0","id":${id},"result":{"content":[],"isError":true,"isError":false}}\n`,
    );
  },
  error: (id) => send({ id, error: { code: -32000, message: 'no' } }),
  'big-answer': writeWithoutEnd,
  chatty: (id) => {
    process.stdout.write('called once more\n'.repeat(25));
    send({ id, result: result('ok') });
  },
  garbage: () => endlessly(() => 'not a message\n'),
  strays: () => endlessly((at) => `{"jsonrpc":"2.0","id":${1_000_000 + at},"result":{}}\n`),
  'progress-flood': (_, token) =>
    endlessly((at) =>
      line({
        method: 'notifications/progress',
        params: { progressToken: token, progress: at, message: 'x'.repeat(1000) },
      }),
    ),
  announces: (id) => {
    send({ id, result: result('ok') });
    send({ method: 'notifications/tools/list_changed' });
  },
  'same-id': (id) => {
    asked = id;
    for (const message of ['One?', 'Two?']) elicit(message, {});
  },
  explodes: (id) => {
    asked = id;
    elicit('Who?', { name: { type: 'string', pattern: '^(a+)+$' } });
    answers.push('');
  },
  'bad-result': (id) => send({ id, result: { content: 'text' } }),
  asks: ask,
  demands: (id) => {
    asked = id;
    answers.push('');
    for (let at = 0; at < 500; at++) send({ id: `want-${at}`, method: `${'x'.repeat(99)}\u{1f600}` });
    elicit('Who?', {});
  },
  poison: (id) => {
    const block = { type: 'text', text: 'ok', _meta: poison };
    send({ id, result: { content: [block], _meta: poison } });
  },
};

function call(id: number | string, params: Message['params']): void {
  if (how === 'promises') send({ id, result: params?.arguments?.answer });
  else (calls[how] ?? ((at) => send({ id: at, result: result('ok') })))(id, params?._meta?.progressToken);
}

function answer(message: Message): void {
  const { id, method } = message;
  if (method === undefined) heard(message);
  else if (id === undefined || how === 'silent') return;
  else if (method === 'initialize') {
    send({
      id,
      result: {
        protocolVersion: message.params?.protocolVersion ?? '2025-11-25',
        capabilities: { tools: { listChanged: true } },
        serverInfo: { name: 'hostile', version: versionSaid() },
      },
    });
  } else if (method === 'tools/list') list(message);
  else if (method === 'tools/call') call(id, message.params);
  else send({ id, error: { code: -32601, message: 'Method not found' } });
}

// Nobody is left behind by a test that was itself ended: a minute is more than any of them takes.
setTimeout(() => process.exit(0), 60_000).unref();
process.stdout.on('error', () => process.exit(0));
if (how === 'child') {
  // In our group, with our pipes: it must not stay when we go.
  const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'], { stdio: 'inherit' });
  process.stderr.write(`child ${child.pid ?? 0}\n`);
}
if (how === 'deaf' || process.argv.includes('--deaf')) {
  process.stderr.write(`deaf ${process.pid}\n`);
  process.on('SIGTERM', () => undefined);
  setInterval(() => undefined, 1000);
}
if (extra === '--banner') process.stdout.write('Welcome!\n\n');
createInterface({ input: process.stdin }).on('line', (line) => answer(JSON.parse(line) as Message));
