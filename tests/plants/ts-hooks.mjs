// Module hooks: TypeScript sources run as they are (Node 20 cannot strip types), and a graph that was entered by
// `x.ts?plant=NAME` is a copy of its own in which one passage of one source file reads otherwise.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** Where the modules that were loaded with a bug say so: a bug that is not there would be found by nobody. */
export const PLANTED = 'plantedBugs';

const compilerOptions = {
  module: ts.ModuleKind.ESNext,
  target: ts.ScriptTarget.ES2023,
  verbatimModuleSyntax: true,
};
const root = new URL('../../', import.meta.url).href;
const compiled = new Map();
let patches = {};

/** `{ NAME: { file, find, put } }`, with `file` relative to the repository. */
export function initialize(data) {
  patches = data?.patches ?? {};
}

const isOurs = (url) => url.startsWith(root) && /\.ts$/.test(url) && !url.includes('/node_modules/');

export async function resolve(specifier, context, next) {
  const found = await next(specifier, context);
  const plant = /\.ts\?plant=([\w-]+)$/.exec(context.parentURL ?? '')?.[1];
  return plant !== undefined && isOurs(found.url) ? { ...found, url: `${found.url}?plant=${plant}` } : found;
}

export async function load(url, context, next) {
  const [plain, plant] = url.split('?plant=');
  if (!isOurs(plain)) return next(url, context);
  const patch = plant === undefined ? undefined : patches[plant];
  if (plant !== undefined && patch === undefined) throw new Error(`no plant ${plant}`);
  const isPatched = patch !== undefined && plain === `${root}${patch.file}`;
  const source = isPatched
    ? `${compile(planted(await text(plain), patch), plain)}\n(globalThis.${PLANTED} ??= new Set()).add('${plant}');`
    : await original(plain);
  return { format: 'module', source, shortCircuit: true };
}

const text = (url) => readFile(fileURLToPath(url), 'utf8');

async function original(url) {
  const known = compiled.get(url) ?? compile(await text(url), url);
  compiled.set(url, known);
  return known;
}

function compile(source, url) {
  const { outputText } = ts.transpileModule(source, { compilerOptions, fileName: fileURLToPath(url) });
  return outputText;
}

/** A passage that is not there exactly once would plant nothing, or something else than was meant. */
function planted(source, { file, find, put }) {
  const parts = source.split(find);
  if (parts.length !== 2) throw new Error(`${file} holds ${JSON.stringify(find)} ${parts.length - 1} times`);
  return parts.join(put);
}
