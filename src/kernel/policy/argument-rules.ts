// Owns the rules that look at the arguments: url_allowlist, sandbox_path, arg_schema.
import { containsHost } from '../scopes/network.ts';
import type { RuleContext } from './access-rules.ts';
import { checkArgs } from './arg-schema.ts';
import type { SchemaCache } from './arg-schema.ts';
import { pathArguments, pathOffences } from './paths.ts';
import { urlOffences } from './urls.ts';
import { deny } from './verdict.ts';
import type { Leaf } from './walk.ts';

const UNKNOWN_TOOL = { declared: [], usesNetwork: true } as const;
/** More offences of one rule than this say nothing new. */
const MOST_LISTED = 8;

export function checkUrls({ plan, input, tool, scope, found }: RuleContext, leaves: readonly Leaf[]): void {
  const network = tool?.capability.networkAccess === 'none' ? undefined : scope?.scope.network;
  const inForce = (host: string): boolean => network === undefined || containsHost(network, host);
  const offences = urlOffences(leaves, plan.urls, tool?.urls ?? UNKNOWN_TOOL, inForce);
  if (offences.length === 0) return;
  for (const { pointer, why, url, host } of offences.slice(0, MOST_LISTED)) {
    const place = plan.quote(pointer);
    found.push(
      deny('url_allowlist', `the URL at ${place} ${plan.quote(why, 60)}`, {
        aliases: ['PG1', `url:${place}`],
        attributes: {
          'policy.tool': plan.quote(input.tool, 120),
          'policy.url': plan.quote(url),
          'policy.host': plan.quote(host),
        },
      }),
    );
  }
}

export function checkPaths({ plan, input, tool, scope, found }: RuleContext, leaves: readonly Leaf[]): void {
  if (tool === undefined) return;
  const expected = pathArguments(leaves, tool.paths);
  if (expected.length === 0 && input.paths.length === 0) return;
  const confinement = { root: plan.root, reserved: plan.reserved, scope: scope?.scope };
  const offences = pathOffences(expected, input.paths, confinement);
  for (const { why, ...path } of offences.slice(0, MOST_LISTED)) {
    const given = plan.quote(path.given);
    found.push(
      deny('sandbox_path', `the path ${JSON.stringify(given)} ${why}`, {
        aliases: ['PG2', `path:${given}`],
        attributes: {
          'policy.tool': tool.capability.id,
          'policy.target_path': given,
          'policy.resolved_path': plan.quote(path.resolved),
          'policy.sandbox_root': plan.config.policy.sandbox.root,
        },
      }),
    );
  }
}

function schemaFault(
  { input, tool }: RuleContext,
  schemas: SchemaCache,
): { path: string; error: string } | undefined {
  const schema = input.inputSchema ?? tool?.capability.inputSchema;
  if (schema === undefined) return { path: '/', error: 'the tool has no input schema' };
  const prepared = schemas.find(schema);
  if (prepared === undefined) return { path: '/', error: 'the input schema was not prepared' };
  const checked = checkArgs(prepared, input.args);
  return checked.ok ? undefined : checked;
}

export function checkSchema(context: RuleContext, schemas: SchemaCache): void {
  const { plan, input, tool, found } = context;
  // A tool that nobody declares has no schema to miss; the inventory refuses it already.
  if (
    plan.config.policy.argSchemaEnforcement === 'off' ||
    (tool === undefined && input.inputSchema === undefined)
  ) {
    return;
  }
  const fault = schemaFault(context, schemas);
  if (fault === undefined) return;
  const path = plan.quote(fault.path);
  const error = plan.quote(fault.error, 300);
  found.push(
    deny('arg_schema', `the argument at ${path} does not fit: ${error}`, {
      aliases: ['PG5', 'F3'],
      attributes: {
        'policy.tool': plan.quote(input.tool, 120),
        'policy.schema_error': error,
        'policy.failed_path': path,
      },
    }),
  );
}
