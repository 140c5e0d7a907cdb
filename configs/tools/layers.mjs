// Who may import whom in src. Each room lists the rooms it may import; whatever it does not list is refused,
// so a new room imports nothing and is imported by nobody until it has a line here.
const rooms = {
  base: 'src/base/',
  config: 'src/config/',
  storeContract: 'src/store/(contract|chain|cursor)\\.ts$',
  engines: 'src/store/(?!(contract|chain|cursor)\\.ts$)',
  providerContract: 'src/providers/contract(\\.ts$|/)',
  vendors: 'src/providers/(?!contract(\\.ts$|/))',
  scripted: 'src/providers/scripted(\\.ts$|/)',
  kernel: 'src/kernel/',
  capabilities: 'src/capabilities/',
  pack: 'src/pack/',
  lifecycle: 'src/lifecycle/',
  inspect: 'src/inspect/',
  runtimeContract: 'src/runtime/contract\\.ts$',
  runtime: 'src/runtime/(?!contract\\.ts$)',
  telemetry: 'src/telemetry/',
  server: 'src/server/',
  console: 'src/console/',
  cli: 'src/cli/',
  testing: 'src/testing/',
  index: 'src/index\\.ts$',
};

const contracts = ['base', 'config', 'storeContract', 'providerContract'];
const governed = [...contracts, 'kernel', 'capabilities', 'pack'];
const inspected = [...governed, 'lifecycle', 'inspect'];
const joined = [...inspected, 'engines', 'vendors', 'runtimeContract', 'runtime'];

const mayImport = {
  base: [],
  config: ['base', 'providerContract'],
  storeContract: ['base'],
  providerContract: ['base'],
  engines: ['base', 'config', 'storeContract'],
  vendors: ['base', 'config', 'providerContract'],
  kernel: contracts,
  capabilities: [...contracts, 'kernel'],
  pack: [...contracts, 'kernel'],
  lifecycle: governed,
  inspect: [...governed, 'lifecycle'],
  runtimeContract: inspected,
  runtime: joined,
  telemetry: [...inspected, 'runtimeContract'],
  server: [...inspected, 'runtimeContract'],
  console: [...inspected, 'runtimeContract'],
  testing: ['base', 'storeContract', 'engines', 'providerContract', 'scripted'],
  index: [...joined, 'telemetry', 'server', 'testing'],
  cli: [...joined, 'telemetry', 'server', 'console', 'testing'],
};
// Their types may be named, their code may not run.
const mayName = { testing: ['kernel', 'pack'] };

const at = (names) => names.map((name) => `^${rooms[name]}`);
const everyRoom = at(Object.keys(mayImport));

const roomRules = Object.entries(mayImport).flatMap(([room, allowed]) => {
  const inside = at([room, ...allowed]);
  const typesOf = at(mayName[room] ?? []);
  const rule = { severity: 'error', from: { path: at([room]) } };
  const refused = {
    ...rule,
    name: `room-${room}`,
    comment: `${room} may import only: ${[...allowed, ...(mayName[room] ?? [])].join(', ') || 'nothing'}`,
    to: { path: '^src/', pathNot: [...inside, ...typesOf] },
  };
  if (typesOf.length === 0) return [refused];
  const valueOfTypes = {
    ...rule,
    name: `room-${room}-types-only`,
    comment: `${room} may import only types of: ${mayName[room].join(', ')}`,
    to: { path: typesOf, dependencyTypesNot: ['type-only'] },
  };
  return [refused, valueOfTypes];
});

/** A package (or Node module) that only the named folders may import. */
const only = (name, modules, homes) => ({
  name: `only-${name}`,
  comment: `${modules.join(', ')} only in ${homes.join(', ') || 'nothing'}`,
  severity: 'error',
  from: { path: '^src/', pathNot: homes.map((home) => `^${home}`) },
  to: { path: modules.map((module) => `(^|node_modules/|^node:)${module}(/|$)`) },
});

export default {
  forbidden: [
    ...roomRules,
    {
      name: 'room-unlisted',
      comment: 'a file of src outside every room: give it a room, or the room a line in this file',
      severity: 'error',
      from: { path: '^src/', pathNot: everyRoom },
      to: {},
    },
    {
      name: 'engines-apart',
      comment: 'one store engine does not import another',
      severity: 'error',
      from: { path: '^src/store/([^/]+)/' },
      to: { path: '^src/store/[^/]+/', pathNot: '^src/store/($1|contract)/' },
    },
    {
      name: 'vendors-apart',
      comment: 'one provider kind does not import another',
      severity: 'error',
      from: { path: '^src/providers/([^/]+)/' },
      to: { path: '^src/providers/[^/]+/', pathNot: '^src/providers/($1|contract)/' },
    },
    only('child-process', ['child_process'], ['src/kernel/sandbox', 'src/cli/', 'src/testing/']),
    only('libsql', ['libsql', '@libsql'], ['src/store/sqlite/', 'src/testing/servers/']),
    only('documents', ['lowdb', 'write-file-atomic'], ['src/store/documents/']),
    only('ai-sdk', ['@ai-sdk'], ['src/providers/(?!contract)[^/]+/']),
    only(
      'mcp-client',
      ['@modelcontextprotocol/client'],
      ['src/capabilities/', 'src/testing/', 'src/cli/demo'],
    ),
    only('mcp-server', ['@modelcontextprotocol/server'], ['src/server/', 'src/testing/servers/']),
    only('mcp-v1', ['@modelcontextprotocol/sdk'], []),
    {
      name: 'no-dev-dependency',
      comment: 'src runs at the user: a development dependency is not there',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: '@types/' },
    },
    {
      name: 'no-unresolved',
      comment: 'the import leads nowhere',
      severity: 'error',
      from: { path: '^src/' },
      to: { couldNotResolve: true },
    },
    {
      name: 'no-cycle',
      comment: 'no cycle of run-time imports (a type-only cycle inside one room is allowed)',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
