// Owns the tree of commands as data: names, flags, an example each. What a command does is loaded when it runs, so that
// starting one does not pay for the others.
import { option } from './leaf.ts';
import type { Leaf } from './leaf.ts';
import { EVIDENCE_LEAVES } from './tree-evidence.ts';
import { invocationFlags, pageFlags, pinFlags, servingFlags } from './tree-flags.ts';
import { INIT_LEAF } from './tree-init.ts';
import { httpFlags, TOKEN_LEAVES } from './tree-http.ts';
import { WRAP_LEAF } from './tree-wrap.ts';

const PIN_NOTES =
  'A tool that no person has pinned is denied by the rule tool_pin, as it would be when really called.';

export const TOP: readonly Leaf[] = [
  {
    name: 'serve',
    summary: 'serve one MCP client on standard input and output, or many over HTTP',
    example: 'serve --workspace ~/project --tools gateway',
    notes: 'Standard output carries JSON-RPC and nothing else; the log goes to standard error.',
    options: [
      ...httpFlags(),
      option('--tools <set>', 'which tools to list')
        .choices(['turn', 'operate', 'gateway', 'all'])
        .default('all'),
      ...servingFlags(),
    ],
    load: async () => (await import('./commands/serve.ts')).serve,
  },
  WRAP_LEAF,
  INIT_LEAF,
  {
    name: 'demo',
    summary: 'see a governed run, an approval and its evidence',
    example: 'demo --yes',
    options: [option('--yes', 'ask nothing: each story gets the answer that it is about')],
    load: async () => (await import('./commands/demo.ts')).demo,
  },
  {
    name: 'trust',
    summary: 'look at what this configuration would start and allow, and trust it',
    example: 'trust --workspace ~/project',
    notes: 'Asks at a terminal. Without one, --digest must be the digest of the configuration as it is now.',
    options: [option('--digest <digest>', 'the digest that was read and is trusted')],
    load: async () => (await import('./commands/trust.ts')).trust,
  },
  {
    name: 'doctor',
    summary: 'check this machine and this workspace, failing checks first',
    example: 'doctor --start',
    options: [option('--start', 'also start each server and compare its tools with the pin')],
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    name: 'worker',
    summary: 'carry out queued runs and due wake times until stopped',
    example: 'worker --workspace ~/project',
    load: async () => (await import('./commands/workflows.ts')).work,
  },
];

export const GROUPS: Readonly<Record<string, { summary: string; leaves: readonly Leaf[] }>> = {
  config: {
    summary: 'the configuration',
    leaves: [
      {
        name: 'check',
        summary: 'load the configuration and name everything that is wrong with it',
        example: 'config check --config configs',
        load: async () => (await import('./commands/config.ts')).checkConfig,
      },
      {
        name: 'print',
        summary: 'every effective value and where it comes from',
        example: 'config print --json',
        load: async () => (await import('./commands/config.ts')).printConfig,
      },
      {
        name: 'schema',
        summary: 'the JSON Schema of each file',
        example: 'config schema --write',
        options: [option('--write', 'write them to schema/ of the configuration')],
        load: async () => (await import('./commands/config.ts')).configSchema,
      },
      {
        name: 'reload',
        summary: 'have every process that serves this workspace take the files as they are now',
        example: 'config reload',
        notes:
          'Takes only what is trusted here, whole or not at all, on record. What counts only from a start is refused by ' +
          'name. Where no process serves, the next start takes it.',
        load: async () => (await import('./commands/reload.ts')).reloadConfig,
      },
    ],
  },
  policy: {
    summary: 'ask the policy, without any effect',
    leaves: [
      {
        name: 'decide',
        summary:
          'decide a file of calls, one {id, tool, arguments, session?, intent?, principal?, tenant?} a line',
        example: 'policy decide --config configs --calls calls.jsonl --json',
        notes:
          'Writes one {id, decision, rule_id, layer, reason, policy_digest} a line, in order. A malformed line is ' +
          'denied with rule_id invalid:<field>. Lines of one session count for budgets and cycles as if each allowed ' +
          `call had succeeded. A line without an intent has the gateway's. ${PIN_NOTES}`,
        options: [
          option('--calls <file>', 'the file of calls, or - for standard input').makeOptionMandatory(),
          ...pinFlags(),
        ],
        load: async () => (await import('./commands/policy.ts')).decidePolicy,
      },
      {
        name: 'explain <tool>',
        summary: 'what would be decided for one call, why, and the one thing that would change it',
        example: `policy explain desk:create_ticket --arguments '{"title":"Help"}'`,
        notes: PIN_NOTES,
        options: [
          option('--arguments <json>', 'the arguments of the call'),
          option('--intent <id>', 'the intent of the session'),
          option('--session <id>', 'a session of this workspace, with what it has used so far'),
          option('--principal <id>', 'on whose behalf (default: you)'),
          option('--tenant <id>', 'in which tenant (default: yours)'),
          ...pinFlags(),
        ],
        load: async () => {
          const { explainPolicy } = await import('./commands/policy.ts');
          return (context, options, tool = '') => explainPolicy(context, tool, options);
        },
      },
    ],
  },
  approvals: {
    summary: 'what waits for a person',
    leaves: [
      {
        name: 'list',
        summary: 'approvals, newest first',
        example: 'approvals list --status pending',
        options: pageFlags(),
        load: listing('approval'),
      },
      {
        name: 'show <id>',
        summary: 'one approval with its history',
        example: 'approvals show apr_0123456789',
        load: showing('approval'),
      },
      {
        name: 'resolve <id>',
        summary: 'read exactly what was asked, and answer it, at a terminal',
        example: 'approvals resolve apr_0123456789',
        notes:
          'A terminal is needed even with --decision: an answer says that a person has read the question.',
        options: [
          option('--decision <decision>', 'the answer to begin with').choices(['approve', 'reject']),
          option('--note <text>', 'the note to begin with'),
        ],
        load: async () => {
          const { resolveApproval } = await import('./commands/approvals.ts');
          return (context, options, id = '') => resolveApproval(context, id, options);
        },
      },
    ],
  },
  requests: {
    summary: 'tool calls and what became of them',
    leaves: [
      {
        name: 'list',
        summary: 'requests, newest first',
        example: 'requests list --status denied --limit 20',
        options: [...pageFlags(), option('--session <id>', 'only requests of this session')],
        load: listing('request'),
      },
      {
        name: 'show <id>',
        summary: 'one request with its decisions and receipts',
        example: 'requests show call_0123456789',
        load: showing('request'),
      },
    ],
  },
  runs: {
    summary: 'what one piece of work came to',
    leaves: [
      {
        name: 'show <id>',
        summary: 'one run explained: what was asked, decided, done and answered, why it ended, and the proof',
        example: 'runs show run_0123456789',
        load: showing('run'),
      },
    ],
  },
  'capability-sessions': {
    summary: 'stateful connections to servers',
    leaves: [
      {
        name: 'list',
        summary: 'capability sessions, newest first',
        example: 'capability-sessions list --status waiting_for_input',
        options: pageFlags(),
        load: listing('capability_session'),
      },
      {
        name: 'show <id>',
        summary: 'one capability session: what it waited for, how it ended, what continues it',
        example: 'capability-sessions show cap_0123456789',
        load: showing('capability_session'),
      },
    ],
  },
  sessions: {
    summary: 'conversations under governance',
    leaves: [
      {
        name: 'list',
        summary: 'sessions, newest first',
        example: 'sessions list',
        options: pageFlags(),
        load: listing('session'),
      },
      {
        name: 'show <id>',
        summary: 'one session with its history',
        example: 'sessions show ses_0123456789',
        load: showing('session'),
      },
      {
        name: 'start',
        summary: 'start a governed session and carry it on until it waits or ends',
        example: `sessions start --message 'Open a ticket for customer 4711'`,
        options: [
          option('--message <text>', 'what to ask'),
          option('--input <file>', 'the whole input of the first turn, as JSON'),
          option('--model <profile>', 'the model profile'),
          option('--intent <id>', 'the intent'),
          option('--expires-at <time>', 'ISO 8601 with zone; the session does not go on after it'),
          ...invocationFlags(),
        ],
        load: async () => (await import('./commands/sessions.ts')).startSession,
      },
      {
        name: 'resume <id>',
        summary: 'go on where the session stands; an approved call runs exactly once',
        example: 'sessions resume ses_0123456789',
        options: [
          option('--message <text>', 'what is new to the model'),
          option('--accept-unknown <calls...>', 'calls with unknown effect that you have looked into'),
          ...invocationFlags(),
        ],
        load: async () => {
          const { resumeSession } = await import('./commands/sessions.ts');
          return (context, options, id = '') => resumeSession(context, id, options);
        },
      },
      { ...canceling('session'), example: 'sessions cancel ses_0123456789' },
      {
        name: 'snapshot <id>',
        summary: 'write the readable copy of a session anew from its journal',
        example: 'sessions snapshot ses_0123456789',
        notes: 'The copy is for reading only: what somebody edits in it is never read back.',
        load: async () => {
          const { snapshotSession } = await import('./commands/sessions.ts');
          return (context, _options, id = '') => snapshotSession(context, id);
        },
      },
      {
        name: 'erase <id>',
        summary: 'erase everything that was said in a session or workflow, and its readable copy',
        example: 'sessions erase ses_0123456789 --yes',
        notes: 'The records stay and verify, and say that they were erased. Without --yes nothing is erased.',
        options: [option('--reason <text>', 'kept with the erasure'), option('--yes', 'erase it')],
        load: async () => {
          const { eraseSession } = await import('./commands/retention.ts');
          return (context, options, id = '') => eraseSession(context, id, options);
        },
      },
    ],
  },
  workflows: {
    summary: 'graphs of governed sessions',
    leaves: [
      {
        name: 'check <file>',
        summary: 'name everything that is wrong with a workflow file; nothing is started',
        example: 'workflows check triage.yaml',
        load: async () => {
          const { checkWorkflow } = await import('./commands/workflows.ts');
          return (context, _options, file = '') => checkWorkflow(context, file);
        },
      },
      {
        name: 'run <file>',
        summary: 'start a workflow and carry it on until it waits or ends',
        example: 'workflows run triage.yaml',
        options: invocationFlags(),
        load: async () => {
          const { runWorkflow } = await import('./commands/workflows.ts');
          return (context, options, file = '') => runWorkflow(context, file, options);
        },
      },
      {
        name: 'show <id>',
        summary: 'one workflow: its nodes, what they wait for, and how it came there',
        example: 'workflows show ses_0123456789',
        load: async () => {
          const { showWorkflow } = await import('./commands/workflows.ts');
          return (context, _options, id = '') => showWorkflow(context, id);
        },
      },
      {
        name: 'resume <id>',
        summary: 'go on with every node that can',
        example: 'workflows resume ses_0123456789',
        options: invocationFlags(),
        load: async () => {
          const { resumeWorkflow } = await import('./commands/workflows.ts');
          return (context, options, id = '') => resumeWorkflow(context, id, options);
        },
      },
      { ...canceling('workflow'), example: 'workflows cancel ses_0123456789' },
      {
        name: 'graph <id>',
        summary: 'draw a workflow with its state, as Mermaid, or with --json as nodes and edges',
        example: 'workflows graph ses_0123456789',
        load: async () => {
          const { graphWorkflow } = await import('./commands/workflows.ts');
          return (context, _options, id = '') => graphWorkflow(context, id);
        },
      },
    ],
  },
  capabilities: {
    summary: 'the catalog of tools and their pins',
    leaves: [
      {
        name: 'list',
        summary: 'every configured tool, and whether it is pinned',
        example: 'capabilities list',
        load: async () => (await import('./commands/capabilities.ts')).listCapabilities,
      },
      {
        name: 'show <id>',
        summary: 'one tool: its definition, pin, risk, scopes and what policy says of it',
        example: 'capabilities show desk:create_ticket',
        load: async () => {
          const { showCapability } = await import('./commands/capabilities.ts');
          return (context, _options, id = '') => showCapability(context, id);
        },
      },
      {
        name: 'agent',
        summary:
          'the identity of the agent beside its catalog: what writes, where to, what asks, what needs a key',
        example: 'capabilities agent --json',
        load: async () => (await import('./commands/capabilities.ts')).showAgent,
      },
      {
        name: 'pin [server]',
        summary: 'start servers, show how their tools differ from the pin, and accept them',
        example: 'capabilities pin desk',
        notes: 'Asks at a terminal for each server. --yes accepts what is printed without asking.',
        options: [option('--yes', 'accept without asking')],
        load: async () => {
          const { pinCapabilities } = await import('./commands/capabilities.ts');
          return (context, options, server?: string) => pinCapabilities(context, server, options);
        },
      },
    ],
  },
  evidence: { summary: 'prove what happened', leaves: EVIDENCE_LEAVES },
  tokens: { summary: 'the tokens of callers over HTTP', leaves: TOKEN_LEAVES },
};

function canceling(what: 'session' | 'workflow'): Omit<Leaf, 'example'> {
  return {
    name: 'cancel <id>',
    summary: `end a ${what} in every state; an effect that has begun is not undone`,
    options: [option('--reason <text>', 'kept with the record')],
    load: async () => {
      const { cancelWork } = await import('./commands/sessions.ts');
      return (context, options, id = '') => cancelWork(context, id, options);
    },
  };
}

function listing(kind: 'request' | 'session' | 'approval' | 'capability_session'): Leaf['load'] {
  return async () => {
    const { listItems } = await import('./commands/lists.ts');
    return (context, options) => listItems(context, kind, options);
  };
}

function showing(kind: 'request' | 'run' | 'session' | 'approval' | 'capability_session'): Leaf['load'] {
  return async () => {
    const { showItem } = await import('./commands/lists.ts');
    return (context, _options, id = '') => showItem(context, kind, id);
  };
}
