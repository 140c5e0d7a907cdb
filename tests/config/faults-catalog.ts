// Faults of every file but policy.yaml and runtime.yaml.
import { fault } from './fault.ts';
import type { Fault } from './fault.ts';

/** A record of memory.yaml, as JSON on one line. */
function record(over: Record<string, unknown>): string {
  const whole = {
    ...{ memory_id: 'mem-001', tenant_id: 'local', memory_class: 'long_term', kind: 'validated_fact' },
    ...{ content: 'Resets take five minutes.', source: 'handbook', confidence: 0.9, provenance: 'seed' },
    revision: 1,
  };
  return JSON.stringify({ ...whole, ...over });
}

export const CATALOG_FAULTS: Fault[] = [
  // agent.yaml
  fault(
    'a missing key',
    'agent.yaml',
    ['  owner_team: agent_platform\n', ''],
    ['agent:', '/agent/owner_team', 'is required'],
  ),
  fault(
    'an empty key',
    'agent.yaml',
    ['id: support-triage-ref', 'id:'],
    ['id:', '/agent/id', 'must be text, not empty'],
  ),
  fault(
    'a number for text',
    'agent.yaml',
    ['id: support-triage-ref', 'id: 7'],
    ['7', '/agent/id', 'must be text, not a number'],
  ),
  fault(
    'an unknown capability',
    'agent.yaml',
    ['  - read_doc', '  - read_docs'],
    [
      'read_docs',
      '/approved_capabilities/1',
      '"read_docs" is not a capability of capabilities.yaml; did you mean "read_doc"?',
    ],
  ),
  fault(
    'a tool named twice',
    'agent.yaml',
    ['  - read_doc', '  - desk:search_docs'],
    ['desk:search_docs\n', '/approved_capabilities/1', 'names desk:search_docs a second time'],
  ),
  // capabilities.yaml
  fault(
    'an unknown key',
    'capabilities.yaml',
    ['risk_tier: low', 'risk: low\n    risk_tier: low'],
    ['risk: low', '/capabilities/search_docs/risk', 'unknown key "risk"; did you mean "risk_tier"?'],
  ),
  fault(
    'a word outside the list',
    'capabilities.yaml',
    ['mode: read', 'mode: execute'],
    ['execute', '/capabilities/search_docs/mode', 'must be "read" or "write"'],
  ),
  fault(
    'a transport outside the list',
    'capabilities.yaml',
    ['transport: mcp_stdio', 'transport: any'],
    [
      'any\n',
      '/capabilities/search_docs/transport',
      'must be "mcp_stdio" or "mcp_http" or "in_process" or "host"',
    ],
  ),
  fault(
    'a risk_tier outside the list',
    'capabilities.yaml',
    ['risk_tier: low', 'risk_tier: any'],
    ['any\n', '/capabilities/search_docs/risk_tier', 'must be "low" or "medium" or "high" or "critical"'],
  ),
  fault(
    'a network_access outside the list',
    'capabilities.yaml',
    ['network_access: restricted', 'network_access: any'],
    [
      'any\n',
      '/capabilities/search_docs/network_access',
      'must be "none" or "restricted" or "brokered" or "full"',
    ],
  ),
  fault(
    'a number too small',
    'capabilities.yaml',
    ['timeout_seconds: 10', 'timeout_seconds: 0'],
    ['0\n    # A longer', '/capabilities/search_docs/timeout_seconds', 'must be at least 1'],
  ),
  fault(
    'text for a number',
    'capabilities.yaml',
    ['timeout_seconds: 10', 'timeout_seconds: "10"'],
    ['"10"', '/capabilities/search_docs/timeout_seconds', 'must be a number, not text'],
  ),
  fault(
    'text for true',
    'capabilities.yaml',
    ['expose: true', 'expose: yes'],
    ['yes', '/capabilities/search_docs/expose', 'must be true or false, not text'],
  ),
  fault(
    'egress missing',
    'capabilities.yaml',
    ['    allowed_egress: [docs.internal]\n    # none, principal', '    # none, principal'],
    [
      'search_docs:',
      '/capabilities/search_docs',
      'network_access restricted needs a non-empty allowed_egress',
    ],
  ),
  fault(
    'egress without network',
    'capabilities.yaml',
    ['network_access: restricted', 'network_access: none'],
    [
      '[docs.internal]',
      '/capabilities/search_docs/allowed_egress',
      'has no effect while network_access is none',
    ],
  ),
  fault(
    'a network class that policy lacks',
    'capabilities.yaml',
    ['network_access: restricted', 'network_access: full'],
    [
      'full\n    allowed',
      '/capabilities/search_docs/network_access',
      'full is not in execution.allow_network_access of policy.yaml',
    ],
  ),
  fault(
    'a wildcard host',
    'capabilities.yaml',
    ['[docs.internal]', '["*.internal"]'],
    [
      '"*.internal"',
      '/capabilities/search_docs/allowed_egress/0',
      'must be one host, host:port or origin; wildcards are not accepted',
    ],
  ),
  fault(
    'a network scope beyond egress',
    'capabilities.yaml',
    ['scopes: []', 'scopes: [{ type: network, posture: allowlist, entries: [other.internal] }]'],
    ['{ type: network', '/capabilities/search_docs/scopes/0', '"other.internal" is not in allowed_egress'],
  ),
  fault(
    'a full network scope',
    'capabilities.yaml',
    ['scopes: []', 'scopes: [{ type: network, posture: full }]'],
    ['{ type: network', '/capabilities/search_docs/scopes/0', 'posture full needs network_access full'],
  ),
  fault(
    'an allowlist without entries',
    'capabilities.yaml',
    ['scopes: []', 'scopes: [{ type: network, posture: allowlist, entries: [] }]'],
    ['[] }]', '/capabilities/search_docs/scopes/0/entries', 'must have at least 1 entry'],
  ),
  fault(
    'a relative path scope',
    'capabilities.yaml',
    ["pattern: '{sandbox}/**', access: write", 'pattern: notes/**, access: write'],
    [
      'notes/**',
      '/capabilities/write_file/scopes/0/pattern',
      'must be absolute or begin with {sandbox} or {workspace}, with * and ** as its only wildcards',
    ],
  ),
  fault(
    'a path scope that climbs',
    'capabilities.yaml',
    ["pattern: '{sandbox}/**', access: write", "pattern: '{sandbox}/../x', access: write"],
    ["'{sandbox}/../x'", '/capabilities/write_file/scopes/0/pattern', 'must not hold ".."'],
  ),
  fault(
    'a pointer without slash',
    'capabilities.yaml',
    ['url_arguments: []', 'url_arguments: [link]'],
    [
      'link]',
      '/capabilities/search_docs/url_arguments/0',
      'must be a JSON pointer such as /path, with - for every element of a list',
    ],
  ),
  fault(
    'an unknown server',
    'capabilities.yaml',
    ['server: desk\n    # The', 'server: desk1\n    # The'],
    [
      'desk1',
      '/capabilities/search_docs/server',
      '"desk1" is not a server of servers.yaml; did you mean "desk"?',
    ],
  ),
  fault(
    'no server',
    'capabilities.yaml',
    ['    server: desk\n    # The', '    # The'],
    ['search_docs:', '/capabilities/search_docs', 'server is required for transport mcp_stdio'],
  ),
  fault(
    'another transport',
    'capabilities.yaml',
    ['transport: mcp_stdio', 'transport: mcp_http'],
    [
      'mcp_http\n',
      '/capabilities/search_docs/transport',
      'is mcp_http, but the server desk is reached over stdio',
    ],
  ),
  fault(
    'a server for a host tool',
    'capabilities.yaml',
    ['transport: mcp_stdio', 'transport: host\n    input_schema: { type: object }'],
    ['desk\n', '/capabilities/search_docs/server', 'has no effect: a tool with transport host has no server'],
  ),
  fault(
    'a schema for a served tool',
    'capabilities.yaml',
    ['scopes: []', 'scopes: []\n    input_schema: { type: object }'],
    [
      '{ type: object }',
      '/capabilities/search_docs/input_schema',
      'has no effect: the server declares the arguments of this tool',
    ],
  ),
  fault(
    'the same tool twice',
    'capabilities.yaml',
    [
      '    server: desk\n    tool_principal: svc-knowledge-reader',
      '    server: desk\n    tool: search_docs\n    tool_principal: svc-knowledge-reader',
    ],
    ['read_doc:', '/capabilities/read_doc', 'is the same tool as search_docs: desk:search_docs'],
  ),
  fault(
    'a name that is no name',
    'capabilities.yaml',
    ['  read_doc:', '  read doc:'],
    [
      'read doc:',
      '/capabilities/read doc',
      'a name: a letter, then letters, digits, _ and -, at most 64'.replace(/^/, 'must be '),
    ],
  ),
  fault(
    'a write that is permitted as read',
    'capabilities.yaml',
    ['mode: write', 'mode: write\n    permission: read'],
    [
      'read\n    transport: mcp_stdio\n    server: desk\n    tool_principal: svc-ticket',
      '/capabilities/create_ticket/permission',
      'is read, but mode is write',
    ],
  ),
  fault(
    'a key of later',
    'capabilities.yaml',
    ['idempotent: true', 'idempotent: true\n    retry_on: [timeout]'],
    [
      'retry_on:',
      '/capabilities/search_docs/retry_on',
      'retry_on is not supported yet: only `idempotent` decides whether a call is tried again',
    ],
  ),
  fault(
    'an odd approval',
    'capabilities.yaml',
    ['approval: manager', 'approval: the boss'],
    [
      'the boss',
      '/capabilities/create_ticket/approval',
      'must be none, principal, other, or a role such as manager',
    ],
  ),
  // servers.yaml
  fault(
    'the reserved server name',
    'servers.yaml',
    ['  files:\n', '  agent:\n    { transport: stdio, command: node }\n  files:\n'],
    ['agent:', '/servers/agent', 'agent is a reserved server name: our own tools have it'],
  ),
  fault(
    'a server without transport',
    'servers.yaml',
    [
      "    transport: stdio\n    command: node\n    args: ['{module",
      "    command: node\n    args: ['{module",
    ],
    ['files:', '/servers/files/transport', 'must be "stdio" or "http"'],
  ),
  fault(
    'a server without command',
    'servers.yaml',
    ["    command: node\n    args: ['{module", "    args: ['{module"],
    ['files:', '/servers/files/command', 'is required'],
  ),
  fault(
    'a secret in env',
    'servers.yaml',
    ['env: {}', 'env: { NSS_WRAPPER_PASSWD: { value: /etc/passwd }, DESK_API_KEY: { value: abc } }'],
    [
      '{ value: abc }',
      '/servers/desk/env/DESK_API_KEY',
      'DESK_API_KEY looks like a secret, which must not be written here; use from_env or from_file',
    ],
  ),
  fault(
    'a secret on the command line',
    'servers.yaml',
    ["desk.js', --db,", "desk.js', --api-key=abc, --db,"],
    [
      '--api-key=abc',
      '/servers/desk/args/1',
      'looks like a secret on a command line, which every process can read; hand it over in env',
    ],
  ),
  fault(
    'an env value of two kinds',
    'servers.yaml',
    ['env: {}', 'env: { A: { value: a, from_env: B } }'],
    ['{ value: a', '/servers/desk/env/A', 'must have exactly one of the keys value, from_env, from_file'],
  ),
  fault(
    'an unknown token',
    'servers.yaml',
    ["'{sandbox}']", "'{sanbox}']"],
    [
      "'{sanbox}'",
      '/servers/files/args/1',
      'has the unknown token {sanbox}; did you mean "sandbox"?; known: {package} {sandbox} {workspace} {module}',
    ],
  ),
  fault(
    'a module that climbs',
    'servers.yaml',
    ['{module:@modelcontextprotocol/server-filesystem/', '{module:@modelcontextprotocol/../'],
    [
      "'{module:",
      '/servers/files/args/0',
      'has {module:@modelcontextprotocol/../dist/index.js}; {module:…} names a file of a package, such as {module:some-package/dist/index.js}',
    ],
  ),
  fault(
    'a URL for a program',
    'servers.yaml',
    ['    era: auto', '    url: https://desk.internal\n    era: auto'],
    ['url:', '/servers/desk/url', 'url is for transport http'],
  ),
  // identity.yaml
  fault(
    'a token in the file',
    'identity.yaml',
    ['principals: []', 'principals: [{ id: a, tenant: t, token: abc }]'],
    [
      'token: abc',
      '/identity/principals/0/token',
      'token must not be written here: write its SHA-256 as token_sha256',
    ],
  ),
  fault(
    'a digest that is none',
    'identity.yaml',
    ['principals: []', 'principals: [{ id: a, tenant: t, token_sha256: ABC }]'],
    ['ABC', '/identity/principals/0/token_sha256', 'must be a SHA-256 in 64 small hexadecimal digits'],
  ),
  fault(
    'a principal twice',
    'identity.yaml',
    [
      'principals: []',
      'principals: [{ id: a, tenant: t }, { id: a, tenant: u }, { id: a, tenant: t, roles: [x] }]',
    ],
    ['a, tenant: t, roles', '/identity/principals/2/id', '"a" stands twice in tenant t'],
  ),
  fault(
    'an unknown lane',
    'identity.yaml',
    ['    scopes: []\n', '    scopes: []\n    lane: defualt\n'],
    ['defualt', '/identity/stdio/lane', '"defualt" is not a lane of policy.yaml; did you mean "default"?'],
  ),
  fault(
    'a delegation twice',
    'identity.yaml',
    [
      'delegations: []',
      'delegations: [{ actor: a, principal: b, scope: c }, { actor: a, principal: b, scope: c }]',
    ],
    ['{ actor: a, principal: b, scope: c }]', '/identity/delegations/1', 'stands twice'],
  ),
  // memory.yaml, approvals.yaml, runtime-controls.yaml
  fault(
    'a record without its kind',
    'memory.yaml',
    ['seed_records: []', `seed_records:\n    - ${record({ kind: undefined })}`],
    ['{"memory_id"', '/memory/seed_records/0/kind', 'Memory record #1 field is required: kind'],
  ),
  fault(
    'a confidence above one',
    'memory.yaml',
    ['seed_records: []', `seed_records:\n    - ${record({ confidence: 1.5 })}`],
    ['1.5', '/memory/seed_records/0/confidence', 'must be at most 1'],
  ),
  fault(
    'a record that nothing would keep',
    'memory.yaml',
    ['seed_records: []', `seed_records:\n    - ${record({})}`],
    [
      'seed_records:',
      '/memory/seed_records',
      'seed_records are not supported yet: nothing keeps a memory that would begin with them',
    ],
  ),
  fault(
    'delegation in approvals',
    'approvals.yaml',
    ['  default_reviewer: manager', '  delegated_authorization: {}\n  default_reviewer: manager'],
    [
      'delegated_authorization:',
      '/approvals/delegated_authorization',
      'delegated_authorization stands in runtime-controls.yaml; who may act for whom is listed in identity.yaml, delegations',
    ],
  ),
  fault(
    'an odd expiry',
    'runtime-controls.yaml',
    ['on_expiry: cancel_run', 'on_expiry: explode'],
    ['explode', '/runtime_controls/on_expiry', 'must be "cancel_run" or "keep"'],
  ),
];
