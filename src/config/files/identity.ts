// Owns identity.yaml: who callers are and who may act for whom.
import { z } from 'zod';
import { closed, names, plainId, present, refused, toolNames } from '../shape.ts';
import type { IdentityConfig } from '../types.ts';
import { defineFile } from './file.ts';
import type { ConfigFile } from './file.ts';

const principal = closed({
  id: plainId,
  tenant: plainId,
  roles: names.default([]),
  scopes: names.default([]),
  token_sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, { error: 'must be a SHA-256 in 64 small hexadecimal digits' })
    .optional()
    .describe('SHA-256 of the bearer token.'),
  lane: plainId.optional().describe('A lane of policy.yaml. Default: default.'),
  token: refused('token must not be written here: write its SHA-256 as token_sha256'),
});

const schema = closed({
  identity: closed({
    stdio: closed({
      tenant: plainId.default('local'),
      principal: plainId.optional().describe('Default: os:<uid>.'),
      roles: names.default([]),
      scopes: names.default([]),
      lane: plainId.optional().describe('A lane of policy.yaml. Default: default.'),
    })
      .prefault({})
      .describe('The person behind a stdio connection.'),
    principals: z.array(principal).max(10_000).default([]).describe('Callers over HTTP, by token.'),
    delegations: z
      .array(
        closed({
          actor: plainId.describe('The actor of a token, or stdio for every process over stdio.'),
          principal: plainId,
          scope: plainId.describe('Without capabilities: the tool or the server that it covers.'),
          capabilities: toolNames.min(1).optional().describe('What it covers.'),
        }),
      )
      .max(10_000)
      .default([])
      .describe('Who may act for whom, and for what.'),
  }).prefault({}),
});

export const identityFile: ConfigFile<IdentityConfig> = defineFile(
  'identity.yaml',
  false,
  schema,
  ({ identity }) => ({
    stdio: present(identity.stdio),
    principals: identity.principals.map(({ token_sha256: tokenSha256, token: _token, ...one }) =>
      present({ ...one, tokenSha256 }),
    ),
    delegations: identity.delegations.map(present),
  }),
);
