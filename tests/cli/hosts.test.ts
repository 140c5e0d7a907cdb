// The files of hosts: where they lie, that a change to one leaves everything else as it was, and that nothing secret is shown.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RuntimeError } from '../../src/base/errors.ts';
import { HOST_IDS, hostOf } from '../../src/cli/hosts/host.ts';
import { addMember, applySplices } from '../../src/cli/hosts/json-edit.ts';
import { readJsonText, valueOf } from '../../src/cli/hosts/json-text.ts';
import { lineDiff } from '../../src/cli/hosts/line-diff.ts';
import { masked } from '../../src/cli/hosts/masked.ts';
import { planFor } from '../../src/cli/hosts/plan.ts';
import type { Aim, Plan } from '../../src/cli/hosts/plan.ts';
import { withBlock } from '../../src/cli/hosts/toml-block.ts';

const PROGRAM = { node: '/usr/bin/node', main: '/opt/pack/dist/cli/main.js' };

function plan(host: string, text: string | undefined, wrap?: string[]): Plan {
  const aim: Aim = {
    host: hostOf(host),
    file: 'the-file',
    program: PROGRAM,
    workspace: '/work',
    config: undefined,
    wrap,
  };
  return planFor(aim, text);
}

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof RuntimeError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

test('each host has its file where that host looks for it', () => {
  const where = (platform: NodeJS.Platform, env: Record<string, string> = {}): Record<string, string> =>
    Object.fromEntries(
      HOST_IDS.map((id) => [id, hostOf(id).file({ workspace: '/work', home: '/home/ada', platform, env })]),
    );
  expect(where('linux')).toEqual({
    'claude-code': '/work/.mcp.json',
    'claude-desktop': '/home/ada/.config/Claude/claude_desktop_config.json',
    vscode: '/work/.vscode/mcp.json',
    cursor: '/work/.cursor/mcp.json',
    codex: '/home/ada/.codex/config.toml',
  });
  expect(where('darwin')['claude-desktop']).toBe(
    '/home/ada/Library/Application Support/Claude/claude_desktop_config.json',
  );
  expect(where('win32', { APPDATA: '/roaming' })['claude-desktop']).toBe(
    '/roaming/Claude/claude_desktop_config.json',
  );
  expect(where('linux', { CODEX_HOME: '/codex' })['codex']).toBe('/codex/config.toml');
  expect(refusal(() => hostOf('emacs'))).toContain('--host must be one of');
});

describe('JSON with its places', () => {
  const dictionary = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }), { maxKeys: 5 });

  test('reads what JSON.parse reads, and nothing else', () => {
    fc.assert(
      fc.property(dictionary, fc.constantFrom(0, 1, 2, '\t'), fc.nat(), (value, indent, seed) => {
        const text = JSON.stringify(value, null, indent);
        expect(valueOf(readJsonText('f', text, false).root)).toEqual(JSON.parse(text));
        const at = seed % text.length;
        const broken = text.slice(0, at) + text.slice(at + 1);
        let parsed: unknown;
        try {
          parsed = JSON.parse(broken);
        } catch {
          expect(refusal(() => readJsonText('f', broken, false))).toMatch(/^CONFIGURATION_ERROR f:\d+: /);
          return;
        }
        const read = refusal(() => {
          expect(valueOf(readJsonText('f', broken, false).root)).toEqual(parsed);
        });
        expect(['accepted', expect.stringContaining('stands twice') as string]).toContainEqual(read);
      }),
      { numRuns: 300 },
    );
  });

  test('a member is added and every other character stays', () => {
    fc.assert(
      fc.property(dictionary, fc.constantFrom(0, 2, '\t'), (value, indent) => {
        fc.pre(!Object.hasOwn(value, 'ours'));
        const text = JSON.stringify(value, null, indent);
        const { root } = readJsonText('f', text, false);
        if (root.kind !== 'object') throw new Error('not an object');
        const splices = addMember(text, root, 'ours', { a: [1] });
        const after = applySplices(text, splices);
        const before = JSON.parse(text) as Record<string, unknown>;
        expect(JSON.parse(after)).toEqual({ ...before, ours: { a: [1] } });
        // What is replaced is blank.
        for (const { start, end } of splices) expect(text.slice(start, end).trim()).toBe('');
      }),
      { numRuns: 300 },
    );
  });

  test('what is wrong is named by line and never quoted', () => {
    const at = (text: string, isLenient = false): string => refusal(() => readJsonText('f', text, isLenient));
    expect(at('{\n"a": 1,\n"b": hunter2\n}')).toBe(
      'CONFIGURATION_ERROR f:3: this is not JSON: a value is missing or malformed. Nothing was changed.',
    );
    expect(at('{\n// no\n}')).toContain('f:2: this host takes no comments');
    expect(at('{"a": 1,\n}')).toContain('f:2: this host takes no comma');
    expect(at('{"a": 1,\n}', true)).toBe('accepted');
    expect(at('{ /* x\n', true)).toContain('f:1: a comment is not closed');
    expect(at('{"a": 1, "a": 2}')).toContain('stands twice');
    expect(at('['.repeat(70))).toContain('nested deeper');
    expect(at('{} {}')).toContain('nothing may follow');
    expect(at('')).toContain('a value is missing');
  });
});

const COMMENTED = `{
  // first
  "inputs": [{ "id": "key", "password": true }], /* second */
  "servers": {
    "docs": {
      "command": "npx", // third
      "args": [
        "-y", // fourth
        "server-docs",
      ],
      "env": { "TOKEN": "hunter2-hunter2" }
    }, // fifth
    // sixth
  },
}
`;

describe('a file with comments', () => {
  test('keeps all of them, and its own manner', () => {
    const { after } = plan('vscode', COMMENTED);
    expect(after).toBe(
      COMMENTED.replace(
        '    // sixth\n',
        `    // sixth
    "agent-runtime": {
      "type": "stdio",
      "command": "/usr/bin/node",
      "args": [
        "/opt/pack/dist/cli/main.js",
        "serve",
        "--workspace",
        "/work",
        "--tool-names",
        "portable"
      ]
    }
`,
      ),
    );
    expect(plan('vscode', after)).toMatchObject({ after, diff: [] });
  });

  test('is refused by a host that reads none', () => {
    expect(refusal(() => plan('claude-code', COMMENTED))).toContain(
      'the-file:2: this host takes no comments',
    );
  });

  test('has a server wrapped in place; its environment stays there and is not shown', () => {
    const { after, diff, wrapped } = plan('vscode', COMMENTED, ['docs']);
    expect(wrapped).toEqual([{ name: 'docs', as: 'docs' }]);
    const words = ['/opt/pack/dist/cli/main.js', 'wrap', '--name', 'docs', '--workspace', '/work'];
    const all = [...words, '--tool-names', 'portable', '--pass-env', 'TOKEN', '--', 'npx'];
    expect(after).toBe(
      COMMENTED.replace('"command": "npx"', '"command": "/usr/bin/node"').replace(
        '        "-y", // fourth',
        `${all.map((word) => `        "${word}",\n`).join('')}        "-y", // fourth`,
      ),
    );
    expect(diff.join('\n')).not.toMatch(/hunter2|third|fourth/);
  });
});

test('line ends, tabs and a mark at the beginning stay', () => {
  const text = '\uFEFF{\r\n\t"mcpServers": {}\r\n}\r\n';
  const { after } = plan('cursor', text);
  expect(after.replaceAll('\r\n', '')).not.toContain('\n');
  expect(after).toMatch(/^\uFEFF\{\r\n\t"mcpServers": \{\r\n\t\t"agent-runtime": \{\r\n\t\t\t"command"/);
  expect(after.endsWith('\r\n\t}\r\n}\r\n')).toBe(true);
});

test('an empty file and a missing one are the same beginning', () => {
  expect(plan('cursor', '  \n').after).toBe(plan('cursor', undefined).after);
  expect(JSON.parse(plan('cursor', undefined).after)).toMatchObject({
    mcpServers: { 'agent-runtime': { command: '/usr/bin/node' } },
  });
});

test('a server of our name that is another program is left alone', () => {
  const text = '{\n"mcpServers": {\n"agent-runtime": { "command": "other" } } }';
  expect(refusal(() => plan('cursor', text))).toContain('the-file:3: another server is called agent-runtime');
  expect(refusal(() => plan('cursor', '{"mcpServers": []}'))).toContain('must be an object');
  expect(refusal(() => plan('cursor', '[]'))).toContain('must hold an object');
});

test('what cannot be wrapped is left, with the reason', () => {
  const servers = {
    'My Docs!': { command: 'docs' },
    'my docs': { command: '/opt/my tools/docs', args: [] },
    'agent-browser': { command: 'browser' },
    'Agent!': { command: 'docs' },
    remote: { url: 'https://example.org/mcp' },
    line: { command: 'npx -y docs' },
    filed: { command: 'docs', envFile: '.env' },
    odd: { command: 'docs', env: { 'A-B': '1' } },
    agent: { command: 'docs', args: [1] },
  };
  const text = JSON.stringify({ mcpServers: servers });
  const { after, wrapped, left } = plan('cursor', text, ['all']);
  expect(wrapped).toEqual([
    { name: 'My Docs!', as: 'my-docs' },
    { name: 'my docs', as: 'my-docs-2' },
    { name: 'agent-browser', as: 'browser' },
    { name: 'Agent!', as: 'server' },
  ]);
  expect(left.map(({ name }) => name)).toEqual(['remote', 'line', 'filed', 'odd', 'agent']);
  const now = (JSON.parse(after) as { mcpServers: Record<string, { args: string[] }> }).mcpServers;
  expect(now['my docs']?.args.slice(-2)).toEqual(['--', '/opt/my tools/docs']);
  expect(now['My Docs!']?.args.slice(-2)).toEqual(['--', 'docs']);
  expect(now['remote']).toEqual(servers.remote);

  const again = plan('cursor', after, ['all']);
  expect([again.after, again.wrapped]).toEqual([after, []]);
  expect(refusal(() => plan('cursor', text, ['remote']))).toMatch(/^USAGE .*reached over a URL/);
  expect(refusal(() => plan('cursor', text, ['nobody']))).toMatch(/^NOT_FOUND .*it has: My Docs!/);
  expect(refusal(() => plan('cursor', undefined, ['all']))).toMatch(/^NOT_FOUND/);
});

test('nothing that may be secret is shown', () => {
  const secret = 'hunter2-hunter2';
  const text = JSON.stringify(
    {
      mcpServers: {
        a: {
          command: 'x',
          args: ['--api-key', secret, `--token=${secret}`, '--header', `Authorization: ${secret}`, secret],
          env: { PLAIN: secret, DEEP: [secret] },
          headers: { 'x-any': secret },
        },
        b: { url: `https://ada:${secret}@example.org/`, apiToken: secret },
        c: { url: `https://example.org/mcp?k=${secret}` },
        d: { command: 'x', args: [`postgres://u:${secret}@db/x`, 'sk-0123456789abcdef0123'] },
      },
      '//': secret,
    },
    null,
    2,
  );
  const shown = masked(readJsonText('f', text, false));
  expect(shown).not.toMatch(/hunter2|sk-0123/);
  expect(shown.split('\n')).toHaveLength(text.split('\n').length);
  expect(shown).toContain('"--api-key"');
});

test('a difference leads from the one text to the other', () => {
  const line = fc.constantFrom('a', 'b', 'c', '');
  const texts = fc.array(line, { maxLength: 12 }).map((lines) => lines.map((one) => `${one}\n`).join(''));
  fc.assert(
    fc.property(texts, texts, (before, after) => {
      const diff = lineDiff(before, after);
      const count = (text: string): number => text.split('\n').length - 1;
      const of = (mark: string): number => diff.filter((one) => one.startsWith(mark)).length;
      expect(count(before) - of('- ') + of('+ ')).toBe(count(after));
      if (before === after) expect(diff).toEqual([]);
      const made = before.split('\n').slice(0, -1);
      let goneHere = 0;
      for (const one of diff) {
        const head = /^@@ line (\d+) @@$/.exec(one);
        if (head !== null) goneHere = Number(head[1]) - 1;
        else if (one.startsWith('- ')) expect(made.splice(goneHere, 1)).toEqual([one.slice(2)]);
        else made.splice(goneHere++, 0, one.slice(2));
      }
      expect(made).toEqual(after.split('\n').slice(0, -1));
    }),
    { numRuns: 300 },
  );
});

describe('a TOML file', () => {
  const entry = { command: '/usr/bin/node', args: ['main.js', 'say "hi"\\'] };
  const TEXT = '# mine\nmodel = "x"\n[mcp_servers.docs]\ncommand = "npx"';

  test('gets a marked block at its end, and nothing else changes', () => {
    const after = withBlock('f', TEXT, entry);
    expect(after.startsWith(`${TEXT}\n\n# >>> agent-runtime`)).toBe(true);
    expect(after).toContain('[mcp_servers.agent-runtime]\ncommand = "/usr/bin/node"\n');
    expect(after).toContain(String.raw`args = ["main.js", "say \"hi\"\\"]`);
    expect(withBlock('f', after, entry)).toBe(after);
    const moved = withBlock('f', `${after}\n[other]\nx = 1\n`, { command: '/opt/node', args: [] });
    expect(moved).toContain('[other]\nx = 1\n');
    expect(moved.match(/agent-runtime\]/g)).toHaveLength(1);
    expect(withBlock('f', 'a = 1\r\n', entry).replaceAll('\r\n', '')).not.toContain('\n');
  });

  test('is refused where the table stands already, could not stand, or a text is open', () => {
    for (const [text, line] of [
      ['a = 1\n[mcp_servers.agent-runtime]\n', 2],
      ['[ mcp_servers . "agent-runtime" ]\n', 1],
      ['[mcp_servers]\nagent-runtime = { command = "x" }\n', 2],
      ['[mcp_servers]\nagent-runtime.command = "x"\n', 2],
      ['mcp_servers = { docs = { command = "x" } }\n', 1],
      ['a = 1\nb = """\nopen\n', 2],
      ["b = '''\nopen\n", 1],
      ['a = 1\nb\u0000', 2],
      ['# >>> agent-runtime: written by `agent-runtime init --host`; take it out with --undo\n', 1],
    ] as const) {
      expect(refusal(() => withBlock('f', text, entry))).toMatch(
        new RegExp(`^CONFIGURATION_ERROR f:${line}:`),
      );
    }
    expect(refusal(() => withBlock('f', '# [mcp_servers.agent-runtime]\n', entry))).toBe('accepted');
    expect(refusal(() => plan('codex', TEXT, ['all']))).toMatch(/^USAGE .*by hand/);
  });
});
