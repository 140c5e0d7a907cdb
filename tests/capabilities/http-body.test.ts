// What is looked for in the body of a server's answer, byte for byte: which bodies are looked through, where an event ends,
// and how much is held for it.
import { expect, test } from 'vitest';
import { guardedBody } from '../../src/capabilities/http-body.ts';
import { MessageScan } from '../../src/capabilities/message-text.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';

const MAX_BYTES = 1000;
const DOUBLED = '{"a":1,"a":2}';
const TWICE = 'the key "a" stands twice';
const TOO_LARGE = `more than ${MAX_BYTES} bytes`;

interface Read {
  text: string;
  /** Why nothing more was read, if so. */
  why: string | undefined;
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function read(method: string, type: string, chunks: readonly string[]): Promise<Read> {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(bytes(chunk));
      controller.close();
    },
  });
  const seen: Read = { text: '', why: undefined };
  const guarded = guardedBody(new Response(body, { headers: { 'content-type': type } }), method, {
    maxBytes: MAX_BYTES,
    clock: createFakeClock(),
    onBreach: (why) => (seen.why = why),
    onCut: () => undefined,
    onOver: () => undefined,
  });
  const decoder = new TextDecoder();
  try {
    for await (const chunk of guarded as ReadableStream<Uint8Array>) seen.text += decoder.decode(chunk);
  } catch {
    // Told by onBreach.
  }
  return seen;
}

test.each([
  ['POST', 'text/event-stream'],
  ['POST', 'Text/Event-Stream; charset=utf-8'],
  ['POST', 'text/event-stream ;x'],
  ['GET', 'text/plain'],
  ['GET', 'application/json'],
])(
  'an event in the answer to %s of the type %s is looked through before it is handed on',
  async (method, type) => {
    const { text, why } = await read(method, type, ['data: {}\n\n', `data: ${DOUBLED}\n\n`]);
    expect(text).toBe('data: {}\n\n');
    expect(why).toContain(TWICE);
  },
);

test.each(['application/json', 'Application/JSON; charset=utf-8', 'application/json;'])(
  'a message of the type %s is looked through',
  async (type) => {
    expect((await read('POST', type, [DOUBLED])).why).toContain(TWICE);
  },
);

test.each(['text/html', 'text/plain; a=application/json', 'text/event-streams'])(
  'a body of the type %s is nobody’s message: it is handed on within its bound',
  async (type) => {
    expect(await read('POST', type, [DOUBLED])).toEqual({ text: DOUBLED, why: undefined });
    expect((await read('POST', type, ['x'.repeat(MAX_BYTES + 1)])).why).toContain(TOO_LARGE);
  },
);

const LATIN_MARK = '\u00ef\u00bb\u00bf';

test.each([
  ['three letters for a mark', [`${LATIN_MARK}data: ${DOUBLED}\n\n`]],
  ['such letters in pieces', ['\u00ef', '\u00bb\u00bf', `data: ${DOUBLED}\n\n`]],
  ['two marks', [`\ufeff\ufeffdata: ${DOUBLED}\n\n`]],
  ['a mark and such letters', ['\ufeff', `${LATIN_MARK}data: ${DOUBLED}\n\n`]],
])('a stream that begins with %s is refused', async (_, chunks) => {
  expect((await read('GET', 'text/event-stream', chunks)).why).toContain('does not begin');
});

test('a stream may begin with one mark, and hold any letters after its first line', async () => {
  const chunks = ['\ufeffdata: {}\n\n', `${LATIN_MARK}: no field\n\n`];
  expect((await read('GET', 'text/event-stream', chunks)).why).toBeUndefined();
  expect((await read('GET', 'text/event-stream', [`\ufeffdata: ${DOUBLED}\n\n`])).why).toContain(TWICE);
});

const LARGE = `data: ${'y'.repeat(MAX_BYTES - 100)}\n`;

test.each([
  ['a line of one letter', [LARGE, 'x\n', LARGE, 'x\n']],
  ['a line of one letter in one piece', [`${LARGE}x\n${LARGE}x\n`]],
])('%s ends no event: what is held for it stays within the bound', async (_, chunks) => {
  expect((await read('GET', 'text/event-stream', chunks)).why).toContain(TOO_LARGE);
});

test.each([
  ['a newline', ['\n']],
  ['a return and a newline', ['\r\n']],
  ['a return and then a newline', ['\r', '\n']],
])('a line of %s ends an event, and what was held for it', async (_, end) => {
  const { why } = await read('GET', 'text/event-stream', [LARGE, ...end, LARGE, ...end]);
  expect(why).toBeUndefined();
});

test('what is looked through holds no more of an event than its bound, however its lines come', () => {
  const scan = new MessageScan(true, MAX_BYTES);
  expect(scan.take(bytes(LARGE))).toBeUndefined();
  expect(scan.take(bytes('\nx\n'))).toBeUndefined();
  expect(scan.take(bytes(LARGE))).toBeUndefined();
  expect(scan.take(bytes(LARGE))).toContain(TOO_LARGE);
  expect(new MessageScan(true, MAX_BYTES).take(bytes(`data: ${'y'.repeat(MAX_BYTES)}`))).toContain(TOO_LARGE);
});
