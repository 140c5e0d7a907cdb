// Owns the step from sandbox.path_template to the sandbox root: environment patterns, and where the root may not lie.
import { isAbsolute, parse, relative, resolve, sep } from 'node:path';
import { showCut } from '../base/text.ts';

export interface TemplateContext {
  env: Readonly<Record<string, string | undefined>>;
  workspace: string;
  directory: string;
  /** Where it lies when it is reached through a link. */
  realDirectory?: string | undefined;
}

export type SandboxRoot = { root: string; usedEnvironment: boolean } | { problem: string };

const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^${}]*))?\}/g;

function isBeneath(path: string, parent: string): boolean {
  const way = relative(parent, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

function templateProblem(template: string): string | undefined {
  if (/<[^>]*>/.test(template)) {
    return 'must not hold <run-id> or another <…>: sandboxes are per workspace in this version, not per run';
  }
  if (/[$`]/.test(template.replaceAll(VARIABLE, ''))) {
    return 'may use the environment only as ${NAME} or ${NAME:-fallback}, without nesting';
  }
  if (/[{}]/.test(template.replaceAll(VARIABLE, '').replaceAll('{workspace}', ''))) {
    return 'knows no token but {workspace}';
  }
  return undefined;
}

function rootProblem(expanded: string, context: TemplateContext): string | undefined {
  const shown = showCut(expanded, 200);
  // eslint-disable-next-line no-control-regex -- control characters are what is refused here
  if (/[\u0000-\u001f\u007f]/.test(expanded)) return 'becomes a path with a control character';
  if (!isAbsolute(expanded)) return `becomes "${shown}", which is not an absolute path`;
  if (expanded.split(/[\\/]/).includes('..')) return `becomes "${shown}", which holds ".."`;
  const root = resolve(expanded);
  if (root === parse(root).root) return `becomes "${root}", the root of the file system`;
  const { directory, realDirectory = directory } = context;
  if ([directory, realDirectory].some((place) => isBeneath(root, resolve(place)))) {
    return `becomes "${showCut(root, 200)}", which lies in the configuration directory; tools may never touch that`;
  }
  if (isBeneath(root, resolve(context.workspace, '.agent-runtime'))) {
    return `becomes "${showCut(root, 200)}", which lies in the state directory; tools may never touch that`;
  }
  return undefined;
}

/** Expands the template over the given environment; a value from it is inserted as it is, never read again. */
export function sandboxRoot(template: string, context: TemplateContext): SandboxRoot {
  const wrong = templateProblem(template);
  if (wrong !== undefined) return { problem: wrong };
  let missing: string | undefined;
  let usedEnvironment = false;
  const expanded = template.replaceAll(
    /\{workspace\}|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^${}]*))?\}/g,
    (_whole, name: string | undefined, fallback: string | undefined) => {
      if (name === undefined) return context.workspace;
      const value = Object.hasOwn(context.env, name) ? context.env[name] : undefined;
      if (value !== undefined && value !== '') {
        usedEnvironment = true;
        return value;
      }
      if (fallback === undefined) missing ??= name;
      return fallback ?? '';
    },
  );
  if (missing !== undefined) {
    return {
      problem: `needs the environment variable ${missing}; set it, or write \${${missing}:-fallback}`,
    };
  }
  const problem = rootProblem(expanded, context);
  return problem === undefined ? { root: resolve(expanded), usedEnvironment } : { problem };
}
