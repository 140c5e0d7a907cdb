// Owns our block at the end of a host's TOML file. The rest of the file is never read as TOML, so where our table could stand
// already, or could not stand at the end, the answer is no.
import { RuntimeError } from '../../base/errors.ts';

const OPENS = '# >>> agent-runtime: written by `agent-runtime init --host`; take it out with --undo';
const CLOSES = '# <<< agent-runtime';
// An unquoted key, and quoted ones as far as they could mean the same.
const MENTIONS = /mcp_servers["'\s]*\.[\s"']*agent-runtime|^\s*["']?mcp_servers["']?\s*=/;

function refuse(file: string, line: number, why: string): never {
  throw new RuntimeError('CONFIGURATION_ERROR', `${file}:${line}: ${why}. Nothing was changed.`, {
    file,
    line,
  });
}

/** A string as TOML and JSON both write it. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll('\u007f', '\\u007f');
}

function assertRoom(file: string, text: string): void {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => !line.trimStart().startsWith('#') && MENTIONS.test(line));
  if (at >= 0)
    refuse(
      file,
      at + 1,
      'the table mcp_servers.agent-runtime, or a mcp_servers that takes no more, stands here',
    );
  const within = lines.findIndex((line) => /^\s*["']?agent-runtime["']?\s*[.=]/.test(line));
  if (within >= 0)
    refuse(file, within + 1, 'a key agent-runtime that this command did not write stands here');
  for (const fence of ['"""', "'''"]) {
    const parts = text.split(fence);
    if (parts.length % 2 === 0) {
      refuse(
        file,
        (parts.slice(0, -1).join(fence).match(/\n/g)?.length ?? 0) + 1,
        `a text is opened by ${fence} and never closed`,
      );
    }
  }
  const nul = text.search(/[^\P{Cc}\t\r\n]/u);
  if (nul >= 0) refuse(file, text.slice(0, nul).split('\n').length, 'a control character stands here');
}

/** The text with our block at its end; the same text where exactly that block stands. Throws CONFIGURATION_ERROR. */
export function withBlock(
  file: string,
  text: string,
  entry: { command: string; args: readonly string[] },
): string {
  const newline = text.includes('\r\n') ? '\r\n' : '\n';
  const block = [
    OPENS,
    '[mcp_servers.agent-runtime]',
    `command = ${quoted(entry.command)}`,
    `args = [${entry.args.map(quoted).join(', ')}]`,
    CLOSES,
    '',
  ].join(newline);
  const opens = text.indexOf(OPENS);
  if (opens < 0) {
    assertRoom(file, text);
    const gap = text === '' ? '' : text.endsWith('\n') ? newline : `${newline}${newline}`;
    return `${text}${gap}${block}`;
  }
  const closes = text.indexOf(CLOSES, opens);
  if (closes < 0)
    refuse(file, text.slice(0, opens).split('\n').length, 'the block of agent-runtime has no end');
  const end = text.startsWith(newline, closes + CLOSES.length)
    ? closes + CLOSES.length + newline.length
    : closes + CLOSES.length;
  const rest = text.slice(0, opens) + text.slice(end);
  assertRoom(file, rest);
  return text.slice(0, opens) + block + text.slice(end);
}
