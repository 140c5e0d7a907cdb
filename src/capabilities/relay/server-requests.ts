// Owns what is answered to a server that asks for something: a person's input through the call that it belongs to, roots
// as configured, and for everything else a refusal that is told to the record.
import { RuntimeError } from '../../base/errors.ts';
import { isObject } from '../../base/json.ts';
import type { CallsInFlight } from './calls-in-flight.ts';

export interface RequestPolicy {
  elicitation: boolean;
  /** Told to a server that asks for roots; undefined: refused. */
  roots: readonly { uri: string; name?: string }[] | undefined;
  /** A request that was refused or belonged to nobody. */
  onRefused?: (method: string, why: string) => void;
}

/** The result for the server, or throws a refusal. Parameters are untrusted. */
export async function answerServer(
  request: { method: string; params?: unknown },
  calls: CallsInFlight,
  policy: RequestPolicy,
): Promise<Record<string, unknown>> {
  const { method, params } = request;
  const refuse = (why: string): RuntimeError => {
    policy.onRefused?.(method, why);
    return new RuntimeError('POLICY_DENIED', `${method} is refused: ${why}`);
  };
  switch (method) {
    case 'elicitation/create': {
      if (!policy.elicitation) throw refuse('nobody is asked here');
      const asker = calls.asker();
      if (asker === undefined) {
        policy.onRefused?.(method, 'it belongs to no single call');
        return { action: 'cancel' };
      }
      const reply = await asker.ask(params);
      return isObject(reply) ? reply : { action: 'cancel' };
    }
    case 'roots/list':
      if (policy.roots === undefined) throw refuse('no roots are told here');
      return { roots: policy.roots };
    case 'sampling/createMessage':
      throw refuse('no model is lent to servers');
    default:
      throw refuse('it is not known here');
  }
}
