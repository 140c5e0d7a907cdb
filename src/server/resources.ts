// Owns the resources: what they are called and how each is read through the runtime, as the caller and no one else.
import type {
  ListResourcesResult,
  ListResourceTemplatesResult,
  ReadResourceResult,
} from '@modelcontextprotocol/server';
import { ResourceNotFoundError } from '@modelcontextprotocol/server';
import type { Caller } from '../kernel/identity.ts';
import type { InspectKind, Runtime } from '../runtime/contract.ts';

const mimeType = 'application/json';

export const RESOURCES: ListResourcesResult['resources'] = [
  {
    uri: 'agent://health',
    name: 'health',
    title: 'Health',
    description: 'Failing checks first, each with what to do.',
    mimeType,
  },
  {
    uri: 'agent://approvals/pending',
    name: 'pending-approvals',
    title: 'Pending approvals',
    description: 'Calls that wait for a person.',
    mimeType,
  },
];

function template(kind: string, title: string): ListResourceTemplatesResult['resourceTemplates'][number] {
  return {
    uriTemplate: `agent://${kind}s/{id}`,
    name: kind,
    title,
    description: `State, timeline, decisions and receipts of one ${kind}.`,
    mimeType,
  };
}

export const TEMPLATES: ListResourceTemplatesResult['resourceTemplates'] = [
  template('run', 'Run'),
  template('session', 'Session'),
  template('approval', 'Approval'),
  template('capability-session', 'Capability session'),
];

const KIND_OF: Readonly<Record<string, InspectKind>> = {
  runs: 'run',
  sessions: 'session',
  approvals: 'approval',
  'capability-sessions': 'capability_session',
};

function idIn(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

async function contentOf(runtime: Runtime, caller: Caller, uri: string): Promise<unknown> {
  if (uri === 'agent://health') return runtime.getHealth(caller);
  if (uri === 'agent://approvals/pending') {
    return runtime.listApprovals(caller, { filter: { status: 'pending' }, limit: 200 });
  }
  const [, place = '', rest = ''] =
    /^agent:\/\/(runs|sessions|approvals|capability-sessions)\/([^/?#]+)$/.exec(uri) ?? [];
  const kind = KIND_OF[place];
  const id = idIn(rest);
  if (kind === undefined || id === undefined) throw new ResourceNotFoundError(uri);
  return runtime.inspect(caller, kind, id);
}

/** Ours, whether there is one of that name or not. */
export function isOwnResource(uri: string): boolean {
  return /^agent:/i.test(uri);
}

export async function readResource(
  runtime: Runtime,
  caller: Caller,
  uri: string,
): Promise<ReadResourceResult> {
  const value = await contentOf(runtime, caller, uri);
  return { contents: [{ uri, mimeType, text: JSON.stringify(value, null, 2) }] };
}
