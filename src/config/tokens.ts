// Owns what {package}, {sandbox}, {workspace} and {module:…} become in servers.yaml and in path scopes.
import { existsSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { didYouMean } from '../base/suggest.ts';

export interface TokenValues {
  packageRoot: string;
  sandbox: string;
  workspace: string;
}

const TOKEN = /\{([A-Za-z_]+)(?::([^{}]*))?\}/g;
const KNOWN = ['package', 'sandbox', 'workspace', 'module'];

/**
 * A file of an installed package, looked for beside and above this package only: a workspace that nobody trusts
 * must not be able to put its own code in the place of a server. Not installed: where it would be.
 */
function modulePath(specifier: string, packageRoot: string): string {
  for (let at = packageRoot; ; at = dirname(at)) {
    const candidate = join(at, 'node_modules', specifier);
    if (existsSync(candidate)) return candidate;
    if (dirname(at) === at) return join(packageRoot, 'node_modules', specifier);
  }
}

/** What is wrong with the tokens of a text, or undefined. */
export function tokenProblem(text: string): string | undefined {
  for (const [whole, name = '', argument] of text.matchAll(TOKEN)) {
    if (!KNOWN.includes(name)) {
      return `has the unknown token ${whole}${didYouMean(name, KNOWN)}; known: ${KNOWN.map((k) => `{${k}}`).join(' ')}`;
    }
    if (name !== 'module' && argument !== undefined)
      return `has ${whole}; {${name}} takes nothing after a colon`;
    if (name === 'module' && !isModuleFile(argument ?? '')) {
      return `has ${whole}; {module:…} names a file of a package, such as {module:some-package/dist/index.js}`;
    }
  }
  return undefined;
}

function isModuleFile(specifier: string): boolean {
  const segments = specifier.split('/');
  const least = specifier.startsWith('@') ? 3 : 2;
  return (
    segments.length >= least &&
    segments.every((one) => /^[\w@.+-]+$/.test(one) && one !== '.' && one !== '..')
  );
}

/** The text with its tokens replaced, once: a value that holds a token stays as it is. */
export function expandTokens(text: string, values: TokenValues): string {
  return text.replaceAll(TOKEN, (whole, name: string, argument: string | undefined) => {
    if (name === 'package') return values.packageRoot;
    if (name === 'sandbox') return values.sandbox;
    if (name === 'workspace') return values.workspace;
    return name === 'module' ? modulePath(argument ?? '', values.packageRoot) : whole;
  });
}

/** Why a text cannot be the place of a directory, whatever its tokens stand for. */
export function placeProblem(text: string): string | undefined {
  const wrong = tokenProblem(text);
  if (wrong !== undefined) return wrong;
  const plain = text.replace(/^\{(?:sandbox|workspace|package|module:[^{}]*)\}/, '/token');
  return isAbsolute(plain) ? undefined : 'must be absolute or begin with {sandbox}, {workspace} or {package}';
}
