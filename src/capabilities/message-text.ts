// Owns what is refused of the text of a server's message before anybody reads it, whichever way it came: a key that stands
// twice, and depth. Over HTTP the texts are found in the bytes as they come.
import { asRuntimeError } from '../base/errors.ts';
import { scanJsonText } from '../base/strict-json.ts';

/** What results may hold, and the envelope around them. */
const MAX_DEPTH = 72;

/** Why the message is refused, if it is. Whether it is JSON at all is for whoever parses it. */
export function messageFault(text: string): string | undefined {
  try {
    scanJsonText(text, MAX_DEPTH);
    return undefined;
  } catch (thrown) {
    return `sent a message that is refused: ${asRuntimeError(thrown).message}`;
  }
}

const LINE_END = /\r\n|\n|\r/;
// Readers differ in how many marks of the byte order, and of its three letters, they take from the first line.
const MARK = /^[\u00ef\ufeff]/;
const DATA = /^data(?:: ?|$)/;

/** Looks through the messages of one body, each before the bytes that complete it are handed on. */
export class MessageScan {
  readonly #isStream: boolean;
  readonly #maxBytes: number;
  readonly #decoder = new TextDecoder();
  /** Of a stream the line that has not ended, else all that has come. */
  #held = '';
  #data: string[] = [];
  #dataLength = 0;
  #isFirstLine = true;
  #isAfterReturn = false;

  constructor(isStream: boolean, maxBytes: number) {
    this.#isStream = isStream;
    this.#maxBytes = maxBytes;
  }

  take(chunk: Uint8Array): string | undefined {
    const text = this.#decoder.decode(chunk, { stream: true });
    if (this.#isStream) return this.#lines(text);
    this.#held += text;
    return undefined;
  }

  /** What is left when nothing more comes. */
  end(): string | undefined {
    return this.#isStream ? undefined : messageFault(this.#held);
  }

  #lines(text: string): string | undefined {
    // A line ends at once with its return; a newline right after it ends no other.
    const rest = this.#isAfterReturn && text.startsWith('\n') ? text.slice(1) : text;
    if (text !== '') this.#isAfterReturn = text.endsWith('\r');
    const lines = rest.split(LINE_END);
    lines[0] = this.#held + (lines[0] ?? '');
    this.#held = lines.pop() ?? '';
    for (const line of lines) {
      const fault = this.#line(line);
      if (fault !== undefined) return fault;
    }
    return this.#tooMuch();
  }

  #tooMuch(): string | undefined {
    const isTooMuch = this.#dataLength + this.#held.length > this.#maxBytes;
    return isTooMuch ? `sent a message of more than ${this.#maxBytes} bytes` : undefined;
  }

  /** An empty line ends an event. */
  #line(line: string): string | undefined {
    if (this.#isFirstLine && MARK.test(line)) return 'sent a stream that does not begin with a field';
    this.#isFirstLine = false;
    if (line !== '') {
      if (!DATA.test(line)) return undefined;
      this.#data.push(line.replace(DATA, ''));
      this.#dataLength += line.length;
      return this.#tooMuch();
    }
    const text = this.#data.join('\n');
    this.#data = [];
    this.#dataLength = 0;
    return text === '' ? undefined : messageFault(text);
  }
}
