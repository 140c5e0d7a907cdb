// Owns the question whether an answer is what its tool promised: structured content against the tool's own outputSchema.
import type { JsonObject } from '../base/json.ts';
import { checkArgs } from '../kernel/policy/arg-schema.ts';
import type { SchemaCache } from '../kernel/policy/arg-schema.ts';
import type { ToolAnswer } from './result.ts';

export type OutputCheck =
  | {
      usable: true;
      /** Why the answer is not what was promised, if so. */ fault(answer: ToolAnswer): string | undefined;
    }
  | { usable: false; why: string };

function faultOf(found: ReturnType<typeof checkArgs>): string | undefined {
  return found.ok
    ? undefined
    : `its structured content does not fit its outputSchema at ${found.path}: ${found.error}`;
}

/** Made before the call goes out: a schema that cannot be judged stops its tool while that costs nothing. */
export async function outputCheck(
  schemas: SchemaCache,
  outputSchema: JsonObject | undefined,
): Promise<OutputCheck> {
  if (outputSchema === undefined) return { usable: true, fault: () => undefined };
  const prepared = await schemas.prepare(outputSchema);
  if ('refused' in prepared) return { usable: false, why: prepared.refused };
  return {
    usable: true,
    fault({ structured, isError }) {
      // An error needs no structured content, and what it has promises nothing.
      if (isError) return undefined;
      return structured === undefined
        ? 'it has an outputSchema and sent no structured content'
        : faultOf(checkArgs(prepared, structured));
    },
  };
}
