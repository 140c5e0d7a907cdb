// The documents as tests see them: text, fenced blocks with their info strings, and links. All paths are of the repository.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT: string = fileURLToPath(new URL('../../', import.meta.url));

export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function markdownIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name}`);
}

/** Every document that people read. */
export function documents(): string[] {
  const top = ['README.md', 'ARCHITECTURE.md', 'AGENTS.md', '.agent-runtime/README.md'];
  return [...top, ...markdownIn('docs'), ...markdownIn('decisions')].sort();
}

export interface Block {
  lang: string;
  /** What follows the language: `file=calls.jsonl`. */
  info: string;
  text: string;
}

/** The fenced blocks of a document, in order. */
export function blocks(markdown: string): Block[] {
  const fence = /^```(\S+)[^\S\n]*(.*)\n([\s\S]*?)^```$/gm;
  return [...markdown.matchAll(fence)].map(([, lang = '', info = '', text = '']) => ({ lang, info, text }));
}

/** The cells of the first table whose header begins with `head`, rows as text without backticks. */
export function table(markdown: string, head: string): string[][] {
  const lines = markdown.split('\n');
  const start = lines.findIndex((line) => cells(line)[0] === head);
  if (start === -1) throw new Error(`no table ${head}`);
  const rows: string[][] = [];
  for (const line of lines.slice(start + 2)) {
    if (!line.startsWith('|')) break;
    rows.push(cells(line));
  }
  return rows;
}

function cells(line: string): string[] {
  if (!line.startsWith('|')) return [];
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}

/** What stands in backticks. */
export function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, inner = '']) => inner);
}
