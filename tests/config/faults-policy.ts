// Faults of policy.yaml and runtime.yaml.
import { fault, model } from './fault.ts';
import type { Fault } from './fault.ts';

export const POLICY_FAULTS: Fault[] = [
  // policy.yaml
  fault(
    'a block that must be there',
    'policy.yaml',
    ['  arg_schema_enforcement: strict\n', ''],
    ['policy:', '/policy/arg_schema_enforcement', 'is required'],
  ),
  fault(
    'a limit that is infinite',
    'policy.yaml',
    ['max_tokens: 50000', 'max_tokens: .inf'],
    ['.inf', '/policy/loop_budget/max_tokens', 'is not a finite number'],
  ),
  fault(
    'a limit that is a fraction',
    'policy.yaml',
    ['max_tokens: 50000', 'max_tokens: 0.5'],
    ['0.5', '/policy/loop_budget/max_tokens', 'must be a whole number'],
  ),
  fault(
    'a time of a window, which nothing would count',
    'policy.yaml',
    ['max_tokens: 50000', 'max_tokens: 50000\n    per_tenant: { max_wall_seconds: 60 }'],
    [
      'max_wall_seconds: 60',
      '/policy/loop_budget/per_tenant/max_wall_seconds',
      'has no effect on a window: the time counts from the beginning of a session; it may stand in loop_budget itself',
    ],
  ),
  fault(
    'a consequence of a rule that says its own',
    'policy.yaml',
    ['  run_precheck:\n', '  on_deny: { capability_rule: end_run }\n  run_precheck:\n'],
    ['capability_rule: end_run', '/policy/on_deny/capability_rule', 'unknown key "capability_rule"'],
  ),
  fault(
    'a consequence that there is not',
    'policy.yaml',
    ['  run_precheck:\n', '  on_failure: { retry_exhaustion: stop }\n  run_precheck:\n'],
    ['stop', '/policy/on_failure/retry_exhaustion', 'must be "tell_model" or "end_run"'],
  ),
  fault(
    'an unknown tool in the registry',
    'policy.yaml',
    ['denied: []', 'denied: [run_shell]'],
    ['run_shell', '/policy/tool_registry/denied/0', '"run_shell" is not a capability of capabilities.yaml'],
  ),
  fault(
    'an unknown tool in capabilities',
    'policy.yaml',
    ['    read_doc: { decision', '    red_doc: { decision'],
    [
      'red_doc:',
      '/policy/capabilities/red_doc',
      '"red_doc" is not a capability of capabilities.yaml; did you mean "read_doc"?',
    ],
  ),
  fault(
    'a tool decided twice',
    'policy.yaml',
    ['    read_doc: { decision', '    desk:search_docs: { decision'],
    [
      'desk:search_docs: {',
      '/policy/capabilities/desk:search_docs',
      'decides about desk:search_docs a second time',
    ],
  ),
  fault(
    'an unknown tool in a rule',
    'policy.yaml',
    ['tools: [read_file, write_file]', 'tools: [read_file, writefile]'],
    [
      'writefile',
      '/policy/workspace/rules/0/tools/1',
      '"writefile" is not a capability of capabilities.yaml; did you mean "write_file"?',
    ],
  ),
  fault(
    'a rule about nothing',
    'policy.yaml',
    ['tools: [read_file, write_file]', 'tools: []'],
    ['[]\n        when', '/policy/workspace/rules/0/tools', 'must have at least 1 entry'],
  ),
  fault(
    'a rule that calls matches',
    'policy.yaml',
    ['args.path.endsWith(".env")', '\'args.path.matches("(a+)+$")\''],
    [
      "'args.path",
      '/policy/workspace/rules/0/when',
      'must not call matches(): regular expressions can take unbounded time; use ==, startsWith, endsWith or contains',
    ],
  ),
  fault(
    'an empty condition',
    'policy.yaml',
    ['when: args.path.endsWith(".env")', "when: ' '"],
    ["' '", '/policy/workspace/rules/0/when', 'must not be empty; leave it out if the rule always matches'],
  ),
  fault(
    'an approver of a denial',
    'policy.yaml',
    ['on_deny: tell_model\n      #', 'approver: other\n      #'],
    ['other\n      #', '/policy/workspace/rules/0/approver', 'has no effect with decision deny'],
  ),
  fault(
    'an approver of nobody',
    'policy.yaml',
    ['approver: principal }', 'approver: none }'],
    [
      'none }',
      '/policy/capabilities/write_file/approver',
      'must be principal, other, or a role such as manager',
    ],
  ),
  fault(
    'a rule id of ours',
    'policy.yaml',
    ['id: no-env-files', 'id: capability.x'],
    [
      'capability.x',
      '/policy/workspace/rules/0/id',
      'must not begin with capability., which the entries of policy.capabilities have',
    ],
  ),
  fault(
    'a default of a lane',
    'policy.yaml',
    ['    default:\n      rules: []', '    default:\n      default_decision: deny\n      rules: []'],
    [
      'default_decision: deny\n      rules',
      '/policy/lanes/default/default_decision',
      'default_decision may stand in the workspace layer only: lower layers only tighten',
    ],
  ),
  fault(
    'a lane that allows',
    'policy.yaml',
    [
      '    default:\n      rules: []',
      "    default:\n      rules: [{ id: open, tools: '*', decision: allow }]",
    ],
    [
      'allow }]',
      '/policy/lanes/default/rules/0/decision',
      'allow has no effect in a lane or task: lower layers only tighten',
    ],
  ),
  fault(
    'a lane that asks to loosen',
    'policy.yaml',
    ['    default:\n      rules: []', '    default:\n      allow_loosening: true\n      rules: []'],
    [
      'allow_loosening:',
      '/policy/lanes/default/allow_loosening',
      'allow_loosening is not supported: lower layers only tighten',
    ],
  ),
  fault(
    'a workspace that lets lower layers loosen',
    'policy.yaml',
    ['    default_decision: deny', '    allow_loosening: true\n    default_decision: deny'],
    [
      'allow_loosening:',
      '/policy/workspace/allow_loosening',
      'allow_loosening is not supported: lower layers only tighten',
    ],
  ),
  fault(
    'another task',
    'policy.yaml',
    ['    agent-session:', '    agent-sessions:'],
    [
      'agent-sessions:',
      '/policy/tasks/agent-sessions',
      'unknown key "agent-sessions"; did you mean "agent-session"?',
    ],
  ),
  fault(
    'a cap below its base',
    'policy.yaml',
    ['backoff_cap_ms: 2000', 'backoff_cap_ms: 50'],
    ['50\n\n', '/policy/retry/backoff_cap_ms', 'is less than backoff_base_ms'],
  ),
  fault(
    'an answer that would stand for later calls',
    'policy.yaml',
    [
      'decision: deny\n        reason',
      'decision: approval_required\n        rememberable: true\n        reason',
    ],
    [
      'rememberable:',
      '/policy/workspace/rules/0/rememberable',
      'rememberable is not supported yet: an answer is for the call that it was asked for',
    ],
  ),
  fault(
    'a rule that speaks of triggers',
    'policy.yaml',
    ['decision: deny\n        reason', 'decision: deny\n        trigger: on_claim\n        reason'],
    [
      'trigger:',
      '/policy/workspace/rules/0/trigger',
      'trigger is not supported yet: every rule is judged at a tool call',
    ],
  ),
  fault(
    'kinds of a memory that nobody keeps',
    'policy.yaml',
    ['  execution:\n', '  memory_write: { allow_kinds: [validated_fact] }\n  execution:\n'],
    [
      'memory_write:',
      '/policy/memory_write',
      'memory_write is not supported yet: nothing keeps a memory that it could hold back',
    ],
  ),
  fault(
    'a sandbox per run',
    'policy.yaml',
    ["'{workspace}/sandbox'", "'${TMPDIR:-/tmp}/runs/<run-id>/sandbox'"],
    [
      "'${TMPDIR",
      '/policy/sandbox/path_template',
      'must not hold <run-id> or another <…>: sandboxes are per workspace in this version, not per run',
    ],
  ),
  // runtime.yaml
  fault(
    'a default model that is none',
    'runtime.yaml',
    ['default_model: demo', 'default_model: demos'],
    ['demos', '/agent_runtime/default_model', '"demos" is not a name of models; did you mean "demo"?'],
  ),
  fault(
    'a model called like a method',
    'runtime.yaml',
    ['default_model: demo', 'default_model: toString'],
    ['toString', '/agent_runtime/default_model', '"toString" is not a name of models'],
  ),
  fault(
    'a model without URL',
    'runtime.yaml',
    model('      { provider: openai_compatible, model: m, api_key_env: K }\n'),
    [
      '{ provider: openai_compatible, model: m',
      '/agent_runtime/models/main',
      'base_url or base_url_env is required',
    ],
  ),
  fault(
    'a model with two URLs',
    'runtime.yaml',
    model(
      '      { provider: openai_compatible, model: m, api_key_env: K, base_url: "https://m.invalid", base_url_env: U }\n',
    ),
    ['U }', '/agent_runtime/models/main/base_url_env', 'stands beside base_url; give one of them'],
  ),
  fault(
    'a key in the file',
    'runtime.yaml',
    model(
      '      { provider: openai_compatible, model: m, api_key_env: K, base_url_env: U, api_key: sk-1 }\n',
    ),
    [
      'api_key: sk-1',
      '/agent_runtime/models/main/api_key',
      'api_key must not be written here: name the variable that holds it in api_key_env',
    ],
  ),
  fault(
    'a variable name that is none',
    'runtime.yaml',
    model('      { provider: openai_compatible, model: m, api_key_env: my-key, base_url_env: U }\n'),
    [
      'my-key',
      '/agent_runtime/models/main/api_key_env',
      'must be the name of an environment variable: capitals, digits and _',
    ],
  ),
  fault(
    'a base URL with a password',
    'runtime.yaml',
    model(
      '      { provider: openai_compatible, model: m, api_key_env: K, base_url: "https://a:b@m.invalid" }\n',
    ),
    [
      '"https://a:b@',
      '/agent_runtime/models/main/base_url',
      'must be an http or https URL without user, query or fragment',
    ],
  ),
  fault(
    'a provider nobody has',
    'runtime.yaml',
    ['provider: scripted', 'provider: magic'],
    [
      'magic',
      '/agent_runtime/models/demo/provider',
      'must be "openai_compatible" or "messages_compatible" or "scripted"',
    ],
  ),
  fault(
    'a script outside',
    'runtime.yaml',
    ['scripts/support.yaml', '../support.yaml'],
    [
      '../support.yaml',
      '/agent_runtime/models/demo/script',
      'must be a .yaml path inside the configuration directory',
    ],
  ),
  fault(
    'an unknown intent tool',
    'runtime.yaml',
    ['allow_tools: [search_docs, ', 'allow_tools: [serch_docs, '],
    [
      'serch_docs',
      '/agent_runtime/intents/triage/allow_tools/0',
      '"serch_docs" is not a capability of capabilities.yaml; did you mean "search_docs"?',
    ],
  ),
  fault(
    'an unknown gateway intent',
    'runtime.yaml',
    ['intent: triage', 'intent: triag'],
    [
      'triag\n',
      '/runtime/gateway/intent',
      '"triag" is not an intent of agent_runtime.intents; did you mean "triage"?',
    ],
  ),
  fault(
    'a wait beyond the limit',
    'runtime.yaml',
    ['elicitation_wait_ms: 25000', 'elicitation_wait_ms: 50001'],
    ['50001', '/runtime/elicitation_wait_ms', 'must be at most 50000'],
  ),
  fault(
    'a source key elsewhere',
    'runtime.yaml',
    ['max_tool_hops: 6', 'max_tool_hops: 6\n  execution: { gateway_required: true }'],
    [
      'execution:',
      '/runtime/execution',
      'execution.gateway_required has no effect: every call passes the same gate and this cannot be turned off',
    ],
  ),
];
