// Owns what a decision may say: its reasons and attributes quote arguments, and they are written to evidence and rows.
import type { Redactor } from './evidence/redact.ts';
import type { Decision } from './policy/decision.ts';

type Shown = Pick<Decision, 'reasons' | 'aliases' | 'attributes'> & {
  said: Pick<Decision['others'][number], 'reason' | 'aliases'>[];
};

/** The decision as evidence may have it. */
export function withoutSecrets(redactor: Redactor, decision: Decision): Decision {
  const { reasons, aliases, attributes } = decision;
  const said = decision.others.map((one) => ({ reason: one.reason, aliases: one.aliases }));
  const shown = redactor.object({ reasons, aliases, attributes, said }).value as unknown as Shown;
  const others = decision.others.map((one, at) => ({ ...one, ...shown.said[at] }));
  return {
    ...decision,
    reasons: shown.reasons,
    aliases: shown.aliases,
    attributes: shown.attributes,
    others,
  };
}
