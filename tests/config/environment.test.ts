// Where a configuration may speak of the environment, and that a value from there is only ever that value.
import { isAbsolute, join, resolve } from 'node:path';
import fc from 'fast-check';
import { expect } from 'vitest';
import { sandboxRoot } from '../../src/config/sandbox-root.ts';
import { verifies } from '../e2e/verifies.ts';
import { load, loadAll, refusal, swap } from './fixture.ts';

const CONTEXT = { workspace: '/work/space', directory: '/work/space/configs' };
const RESERVED = [CONTEXT.directory, join(CONTEXT.workspace, '.agent-runtime')];

const anyPiece = fc.constantFrom(
  ...['/a', '/b c', '/..', '/', '//', 'x', '.', '-', '${A}', '${B:-/f}', '${B:-}', '{workspace}', '$', '`'],
  ...[
    '$A',
    '$(id)',
    '${A:-${B}}',
    '{sandbox}',
    '<run-id>',
    '<x>',
    '\n',
    '\u0000',
    '/configs',
    '/.agent-runtime',
  ],
);
const anyText = fc.array(anyPiece, { maxLength: 6 }).map((pieces) => pieces.join(''));
const anyEnv = fc.record({ A: anyText, B: anyText }, { requiredKeys: [] });

/** The template with each pattern replaced by what it names, read by hand from left to right. */
function byHand(template: string, env: { A?: string; B?: string }): string {
  const values: Record<string, string> = {
    '${A}': env.A ?? '',
    '${B:-/f}': env.B === undefined || env.B === '' ? '/f' : env.B,
    '${B:-}': env.B ?? '',
    '{workspace}': CONTEXT.workspace,
  };
  let out = '';
  for (let at = 0; at < template.length;) {
    const found = Object.keys(values).find((pattern) => template.startsWith(pattern, at));
    out += found === undefined ? (template[at] ?? '') : (values[found] ?? '');
    at += found?.length ?? 1;
  }
  return out;
}

verifies(
  ['CV-09'],
  'whatever stands in a path template and in the environment, it is refused with the reason, or is the one absolute path that its words say',
  async () => {
    let made = 0;
    fc.assert(
      fc.property(anyText, anyEnv, (template, env) => {
        const found = sandboxRoot(template, { ...CONTEXT, env });
        if ('problem' in found) {
          expect(found.problem).toMatch(/^(must not hold|may use|knows no token|needs the|becomes )/);
          return;
        }
        made++;
        const expected = byHand(template, env);
        expect(found.root).toBe(resolve(expected));
        expect(isAbsolute(expected) && !expected.split('/').includes('..')).toBe(true);
        expect(found.root).not.toBe('/');
        for (const control of ['\n', '\u0000']) expect(found.root).not.toContain(control);
        for (const place of RESERVED) expect(`${found.root}/`.startsWith(`${place}/`)).toBe(false);
        // Only what was put in is in there: a pattern inside of a value is text.
        expect(template).not.toMatch(/\$\(|`|<|\$A/);
      }),
      { numRuns: 3000 },
    );
    expect(made).toBeGreaterThan(100);

    // The source systems' own template: its environment expands, and the place per run is refused by name.
    const own = '${TMPDIR:-/tmp}/agent-runtime-observability/';
    const rootOf = async (text: string, env = {}): Promise<string> =>
      (await load({ 'policy.yaml': swap("'{workspace}/sandbox'", `'${text}'`) }, env)).policy.sandbox.root;
    expect(await rootOf(`${own}sandbox`)).toBe('/tmp/agent-runtime-observability/sandbox');
    expect(await rootOf(`${own}sandbox`, { TMPDIR: '/var/t' })).toBe(
      '/var/t/agent-runtime-observability/sandbox',
    );
    const { problems } = await refusal({
      'policy.yaml': swap("'{workspace}/sandbox'", `'${own}<run-id>/sandbox'`),
    });
    expect(problems).toMatchObject([
      { path: '/policy/sandbox/path_template', message: expect.stringContaining('per workspace') as string },
    ]);
  },
);

verifies(
  ['CV-09'],
  'nothing else in a configuration is expanded: elsewhere a pattern is refused or stays the text it is, and a secret is named, never inserted',
  async () => {
    const env = { HOME: '/home/canary', TOKEN: 'canary-token' };
    const own = (value: string) => (text: string) =>
      `${text}  own:\n    transport: stdio\n    command: tool\n    args: ['${value}']\n    env: { SAID: { value: '$TOKEN' }, API_TOKEN: { from_env: TOKEN } }\n`;
    for (const pattern of ['${HOME}', '${TOKEN:-x}']) {
      const { problems } = await refusal({ 'servers.yaml': own(pattern) }, env);
      expect(problems).toMatchObject([{ path: '/servers/own/args/0' }]);
      expect(problems[0]?.message).toContain('has the unknown token');
    }
    const { config, effective } = await loadAll(
      {
        'agent.yaml': swap('display_name: ', "display_name: '${HOME} $HOME' # "),
        'servers.yaml': own('$HOME'),
      },
      env,
    );
    expect(config.agent.displayName).toBe('${HOME} $HOME');
    expect(config.servers['own']).toMatchObject({
      args: ['$HOME'],
      env: { SAID: { value: '$TOKEN' }, API_TOKEN: { fromEnv: 'TOKEN' } },
    });
    expect(JSON.stringify([config, effective])).not.toContain('canary');
  },
);
