// Owns the proof that whatever the package exports says what it is: an editor shows that sentence, and nothing else.
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const SURFACES = ['index.ts', 'server/index.ts', 'testing/index.ts'].map((name) =>
  fileURLToPath(new URL(`../../src/${name}`, import.meta.url)),
);

const LONG = 60_000;

function exportsOf(program: ts.Program, checker: ts.TypeChecker, file: string): ts.Symbol[] {
  const source = program.getSourceFile(file);
  const surface = source && checker.getSymbolAtLocation(source);
  return surface === undefined ? [] : checker.getExportsOfModule(surface);
}

function declared(checker: ts.TypeChecker, symbol: ts.Symbol): ts.Symbol {
  return (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol);
}

test(
  'every name of the public surface has its sentence',
  () => {
    const program = ts.createProgram(SURFACES, {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      allowImportingTsExtensions: true,
      noEmit: true,
      skipLibCheck: true,
    });
    const checker = program.getTypeChecker();
    for (const file of SURFACES) {
      const names = exportsOf(program, checker, file);
      expect(names.length).toBeGreaterThan(0);
      const silent = names.filter(
        (one) => declared(checker, one).getDocumentationComment(checker).length === 0,
      );
      expect(silent.map(({ name }) => name)).toEqual([]);
    }
  },
  LONG,
);
