// Owns the flags that more than one command takes, as data.
import type { Option } from 'commander';
import { count, option } from './leaf.ts';
import { LOG_LEVELS } from './log.ts';

/** Of a command that serves on standard output. */
export const servingFlags = (): Option[] => [
  option('--tool-names <mode>', 'spelling of the names')
    .choices(['auto', 'canonical', 'portable'])
    .default('auto'),
  option('--log-level <level>', 'least level to log').choices(LOG_LEVELS).default('info'),
];

export const pinFlags = (): Option[] => [
  option('--lock <file>', 'pin file to read tool definitions from (default: .agent-runtime/tools.lock.json)'),
  option('--assume-pinned', 'take every configured tool as pinned; without a known schema, any object fits'),
];

export const pageFlags = (): Option[] => [
  option('--status <status>', 'only items with this status'),
  option('--limit <n>', 'at most this many, 1 to 200').argParser(count),
  option('--cursor <cursor>', 'from where the page before ended'),
];

export const invocationFlags = (): Option[] => [
  option('--max-turns <n>', 'turns of this invocation; then it is suspended').argParser(count),
  option('--background', 'put it into the queue; `serve` and `worker` carry it out'),
];
