/**
 * Every promise of the product, as data: an id and one sentence. A test cites the ids that it proves (verifies.ts);
 * `npm run requirements` says which are proved. An id, once given, keeps its meaning.
 */
import { AP } from './requirements/approvals.ts';
import { QB } from './requirements/background.ts';
import { CS } from './requirements/capability-sessions.ts';
import { CI } from './requirements/catalog.ts';
import { CV } from './requirements/config.ts';
import { CH } from './requirements/continuity.ts';
import { DA } from './requirements/delegation.ts';
import { EV } from './requirements/evidence.ts';
import { RF } from './requirements/failures.ts';
import { HE } from './requirements/health.ts';
import { IN } from './requirements/inspection.ts';
import { LY } from './requirements/layering.ts';
import { RL } from './requirements/lifecycle.ts';
import { ME } from './requirements/memory.ts';
import { PO } from './requirements/policy.ts';
import { PA } from './requirements/providers.ts';
import { SB } from './requirements/sandbox.ts';
import { SN } from './requirements/scheduling.ts';
import { SC } from './requirements/scopes.ts';
import { SE } from './requirements/sessions.ts';
import { TR } from './requirements/telemetry.ts';
import { TC } from './requirements/turn.ts';
import { WF } from './requirements/workflows.ts';

export type RequirementId =
  | keyof typeof LY
  | keyof typeof TC
  | keyof typeof PA
  | keyof typeof PO
  | keyof typeof SC
  | keyof typeof SB
  | keyof typeof CI
  | keyof typeof AP
  | keyof typeof DA
  | keyof typeof CS
  | keyof typeof RF
  | keyof typeof WF
  | keyof typeof SN
  | keyof typeof ME
  | keyof typeof TR
  | keyof typeof EV
  | keyof typeof IN
  | keyof typeof SE
  | keyof typeof RL
  | keyof typeof CV
  | keyof typeof QB
  | keyof typeof CH
  | keyof typeof HE;

export interface Requirement {
  readonly id: RequirementId;
  readonly text: string;
}

const groups = [LY, TC, PA, PO, SC, SB, CI, AP, DA, CS, RF, WF, SN, ME, TR, EV, IN, SE, RL, CV, QB, CH, HE];

export const requirements: readonly Requirement[] = groups.flatMap((group) =>
  Object.entries<string>(group).map(([id, text]) => ({ id: id as RequirementId, text })),
);
