// Owns the reading of citations: which ids the calls of `verifies` name, in the tests and in the suites that they share.
// It runs nothing.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import ts from 'typescript';

/** The list of ids and `verifies` itself: they say what can be cited, and cite nothing. */
const OF_THE_LIST = /^e2e\/(requirements\/.*|requirements\.ts|verifies\.ts)$/;

/** Every citation under `folder`, with a fault for each one that names no known id or cannot be read. */
export function readCitations(folder, ids) {
  const known = new Set(ids);
  const found = { proved: new Set(), partial: new Set(), faults: [] };
  for (const name of citingFiles(folder)) {
    const source = ts.createSourceFile(
      name,
      readFileSync(join(folder, name), 'utf8'),
      ts.ScriptTarget.Latest,
    );
    visit(source, (call) => {
      const { line } = source.getLineAndCharacterOfPosition(call.getStart(source));
      const place = `${name}:${line + 1}`;
      const cited = citedIds(call.arguments[0]);
      if (cited === undefined) return found.faults.push(`${place}: verifies takes a literal list of ids`);
      for (const id of cited.ids) {
        if (known.has(id)) found[cited.kind].add(id);
        else found.faults.push(`${place}: no requirement ${id}`);
      }
    });
  }
  return found;
}

function citingFiles(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((name) => !name.split('/').includes('fixtures') && !OF_THE_LIST.test(name))
    .sort();
}

function visit(node, onVerifies) {
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 'verifies') {
    onVerifies(node);
  }
  ts.forEachChild(node, (child) => visit(child, onVerifies));
}

/** `['LY-01']` or `{ partial: ['LY-01'] }`; anything else cannot be read without running it. */
function citedIds(argument) {
  if (argument === undefined) return undefined;
  if (ts.isObjectLiteralExpression(argument)) {
    const [property] = argument.properties;
    if (property === undefined || !ts.isPropertyAssignment(property)) return undefined;
    const list = citedIds(property.initializer);
    return list && { kind: 'partial', ids: list.ids };
  }
  if (!ts.isArrayLiteralExpression(argument) || argument.elements.length === 0) return undefined;
  if (!argument.elements.every((element) => ts.isStringLiteral(element))) return undefined;
  return { kind: 'proved', ids: argument.elements.map((element) => element.text) };
}
