// Owns how a scope is written: what may be touched, in capabilities.yaml and in the layers of policy.yaml.
import { z } from 'zod';
import { closed, host } from '../shape.ts';
import type { Scope } from '../types.ts';

// What else a glob language may mean (`?`, `[a]`, `{a,b}`, `!`) would be read in two ways.
const PATTERN = /^(?:\{sandbox\}|\{workspace\}|[A-Za-z]:(?=\/)|(?=\/))(?:\/[^\\?[\]{}!&/]*)*$/;

const pattern = z
  .string()
  .max(1024)
  .regex(PATTERN, {
    error: 'must be absolute or begin with {sandbox} or {workspace}, with * and ** as its only wildcards',
  })
  .refine((text) => !text.split('/').includes('..'), { error: 'must not hold ".."' })
  .describe('{sandbox}/**: everything in the sandbox. * within a name, ** for any number of names.');

export const scope: z.ZodType<Scope> = z.discriminatedUnion('type', [
  closed({ type: z.literal('path'), pattern, access: z.enum(['read', 'write']) }),
  z.discriminatedUnion('posture', [
    closed({ type: z.literal('network'), posture: z.literal('off') }),
    closed({ type: z.literal('network'), posture: z.literal('full') }),
    closed({ type: z.literal('network'), posture: z.literal('allowlist'), entries: z.array(host).min(1) }),
  ]),
]);
