// Owns memory.yaml: the records that memory would begin with. Nothing keeps a memory yet, so they are checked and then refused.
import { z } from 'zod';
import { closed, label, plainId, whole } from '../shape.ts';
import { defineFile } from './file.ts';
import type { ConfigFile } from './file.ts';

const KEYS = {
  memory_id: plainId,
  tenant_id: plainId,
  memory_class: z.enum(['profile', 'long_term', 'short_term']),
  kind: plainId,
  content: z.string().min(1).max(16_384),
  source: label,
  confidence: z.number().min(0).max(1),
  provenance: label,
  revision: whole(1, 1_000_000),
  // None of the source systems had it: without it a record belongs to everybody of the tenant.
  principal_id: plainId.optional(),
};

const record = closed(KEYS);

const UNKEPT = 'seed_records are not supported yet: nothing keeps a memory that would begin with them';

const schema = closed({
  memory: closed({
    seed_records: z
      .array(record)
      .max(2000)
      .default([])
      .refine((rows) => rows.length === 0, { error: UNKEPT })
      .describe('Must be empty: nothing keeps a memory yet.'),
  }).prefault({}),
});

/** What this version takes of it. */
export type MemoryPart = Readonly<Record<string, never>>;

export const memoryFile: ConfigFile<MemoryPart> = defineFile('memory.yaml', false, schema, () => ({}));
