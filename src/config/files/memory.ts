// Owns memory.yaml: the records that memory begins with.
import { z } from 'zod';
import type { JsonObject } from '../../base/json.ts';
import { closed, label, plainId, whole } from '../shape.ts';
import type { MemoryConfig } from '../types.ts';
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

const schema = closed({
  memory: closed({ seed_records: z.array(record).max(2000).default([]) }).prefault({}),
});

export const memoryFile: ConfigFile<MemoryConfig> = defineFile('memory.yaml', false, schema, (raw) => ({
  seedRecords: raw.memory.seed_records as JsonObject[],
}));
