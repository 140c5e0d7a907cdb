// Owns the commands and flags of serving over HTTP, as data.
import type { Option } from 'commander';
import { collect, count, option } from './leaf.ts';
import type { Leaf } from './leaf.ts';

export const httpFlags = (): Option[] => [
  option('--http', 'serve many clients over Streamable HTTP instead'),
  option('--port <n>', 'the port (default: 8931); 0 takes a free one, which the log names').argParser(count),
  option('--host <address>', 'the address (default: 127.0.0.1); beyond loopback only with a token'),
  option('--path <path>', 'the one route (default: /mcp)'),
];

export const TOKEN_LEAVES: readonly Leaf[] = [
  {
    name: 'add',
    summary: 'make a token for a caller over HTTP and print it, this once',
    example: 'tokens add --principal alice --tenant acme --role operator',
    notes: 'Only its digest is kept, in your state directory. It counts in this workspace only.',
    options: [
      option('--principal <id>', 'on whose behalf its calls are').makeOptionMandatory(),
      option('--tenant <id>', 'in which tenant').default('local'),
      option('--role <name>', 'a role; may be repeated').argParser(collect).default([], 'none'),
      option('--scope <name>', 'a scope; may be repeated').argParser(collect).default([], 'none'),
      option('--client <id>', 'the program it is for; calls of one client belong together'),
      option('--days <n>', 'days until it expires (default: never)').argParser(count),
    ],
    load: async () => (await import('./commands/tokens.ts')).addTokenTo,
  },
  {
    name: 'list',
    summary: 'the tokens of this workspace, without anything that could be tried against them',
    example: 'tokens list',
    load: async () => (await import('./commands/tokens.ts')).listTokens,
  },
  {
    name: 'revoke <id>',
    summary: 'end a token, and within a second every stream and session of it',
    example: 'tokens revoke tok_0123456789',
    load: async () => {
      const { revokeTokenOf } = await import('./commands/tokens.ts');
      return (context, _options, id = '') => revokeTokenOf(context, id);
    },
  },
];
