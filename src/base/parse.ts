// Owns the step from an untrusted value to a typed one: a zod schema, or INVALID_INPUT that names the field.
import type { z } from 'zod';
import { RuntimeError } from './errors.ts';
import type { ErrorCode } from './errors.ts';

/** `/messages/0/role` for a zod issue path. */
export function issuePointer(path: readonly PropertyKey[]): string {
  return `/${path.map(String).join('/')}`;
}

function issueSentence(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') {
    return `unknown key ${issue.keys.map((key) => `"${key}"`).join(', ')}`;
  }
  return issue.message;
}

/**
 * Parses with a closed schema. On failure throws `code` with the first offence in the sentence and
 * `details.field` (JSON pointer) and `details.issues` (all, at most 20).
 */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, code: ErrorCode = 'INVALID_INPUT'): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.slice(0, 20).map((issue) => {
    const base = issuePointer(issue.path);
    const field =
      issue.code === 'unrecognized_keys' ? issuePointer([...issue.path, issue.keys[0] ?? '']) : base;
    return { field, problem: issueSentence(issue) };
  });
  const first = issues[0] ?? { field: '/', problem: 'does not fit the schema' };
  throw new RuntimeError(code, `${first.field}: ${first.problem}`, { field: first.field, issues });
}
