// Owns the command and flags of wrapping a server, as data.
import { collect, option } from './leaf.ts';
import type { Leaf } from './leaf.ts';
import { servingFlags } from './tree-flags.ts';

const NOTES =
  'The command stands after --; a server that is reached over Streamable HTTP is named by --url instead. Every call asks ' +
  'until the tools have been classed once with --classify; what was accepted holds for exactly the definition that was ' +
  'seen. A tool that changes is quarantined until it is classed again. Values of headers are taken from the environment ' +
  'only.';

export const WRAP_LEAF: Leaf = {
  name: 'wrap [command...]',
  summary: 'put an existing MCP server behind the runtime, with no configuration file',
  example: 'wrap -- npx -y @modelcontextprotocol/server-filesystem ~/docs',
  notes: NOTES,
  options: [
    option('--url <url>', 'the address of a server that is running, instead of a command'),
    option('--header-env <name=variable>', 'a header, from this variable; repeatable').argParser(collect),
    option('--bearer-env <variable>', 'the variable that has the bearer token for --url'),
    option('--name <name>', 'what the tools go by, as <name>:<tool> (default: from the command or address)'),
    option('--root <dir>', 'the folder that paths must lie in (default: a folder of the command, else here)'),
    option('--allow-host <host>', 'a host that URLs may name; repeatable').argParser(collect),
    option('--pass-env <name>', 'a variable that the server gets; repeatable').argParser(collect),
    option('--classify', 'look at the tools and say which may run without asking; serves nothing'),
    option('--yes', 'with --classify: take what is suggested'),
    option('--trust-annotations', "take a tool's own word that it only reads, where nobody has classed it"),
    ...servingFlags(),
  ],
  load: async () => (await import('./commands/wrap.ts')).wrap,
};
