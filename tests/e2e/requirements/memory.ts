/** Memory and context assembly. */
export const ME = {
  'ME-01':
    'A memory record has owner, class, kind, content, source, confidence, provenance, revision and times.',
  'ME-02':
    'Retrieval is limited, ranked, confined to tenant and principal, and returns only relevant records.',
  'ME-03': 'Static, session, retrieved and tool context are built as layers and counted.',
  'ME-04': 'Background memory writes are policy-checked, carry provenance, keep revisions and are compacted.',
  'ME-05': 'A command inspects memory by class, tenant and limit.',
  'ME-06': "A host can inject memory without depending on another pack's storage.",
  'ME-07': 'Each run shows which memory records it read and wrote.',
  'ME-08': 'Seed records load from configuration, with an error naming the row and the field.',
} as const;
