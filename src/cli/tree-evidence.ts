// Owns the commands about evidence: their names, flags and examples.
import { count, option } from './leaf.ts';
import type { Leaf } from './leaf.ts';

export const EVIDENCE_LEAVES: readonly Leaf[] = [
  {
    name: 'verify',
    summary: 'check every record of the journal, or of an export, and name the first bad one',
    example: 'evidence verify --anchor heads.json',
    notes: 'Without an anchor nobody can see whether the end is missing: completeness is then unknown.',
    options: [
      option('--anchor <file>', 'heads saved before (or the manifest of an export)'),
      option('--save-head <file>', 'save the heads of what verified'),
      option('--file <export>', 'verify this evidence.jsonl instead of the journal'),
      option(
        '--manifest <file>',
        'verify an export whole: signature of its manifest, its files, its records',
      ),
      option('--public-key <file>', 'a key, as PEM, that counts besides the one that signs here'),
    ],
    load: async () => (await import('./commands/evidence.ts')).verifyEvidence,
  },
  {
    name: 'export',
    summary: 'write the records of a session, with its approvals, and a manifest',
    example: 'evidence export --session ses_0123456789 --out evidence/',
    notes:
      'A run is exported with its whole session: only whole chains can be checked. The manifest is signed with the key of this ' +
      'state directory; the first use makes it.',
    options: [
      option('--session <id>', 'the session'),
      option('--run <id>', 'the run; exports its session'),
      option('--out <dir>', 'a new or empty folder').makeOptionMandatory(),
    ],
    load: async () => (await import('./commands/evidence.ts')).exportEvidence,
  },
  {
    name: 'remove',
    summary: 'remove all records of ended work, under segments signed with the key of this state directory',
    example: 'evidence remove --older-than 90',
    notes:
      'Says what it would remove; with --yes it does. Export first what you may need: nothing brings it back.',
    options: [
      option('--older-than <days>', 'work that ended and has not moved for this many days').argParser(count),
      option('--session <id>', 'one session or workflow'),
      option('--reason <text>', 'kept with the signed segment'),
      option('--yes', 'remove it'),
    ],
    load: async () => (await import('./commands/retention.ts')).removeEvidence,
  },
  {
    name: 'key',
    summary: 'print the public key that closed segments and manifests of exports are checked with',
    example: 'evidence key > segments.pem',
    notes: 'Where there is no key yet, one is made.',
    load: async () => (await import('./commands/retention.ts')).evidenceKey,
  },
];
