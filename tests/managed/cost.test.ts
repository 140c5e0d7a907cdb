// What a turn of a managed session asks of the store, counted: it does not grow with the session.
import { expect } from 'vitest';
import { verifies } from '../e2e/verifies.ts';
import { asks, boot, CALLER, createWorld, IO, says, user } from './rig.ts';
import type { Process } from './rig.ts';

interface Cost {
  calls: number;
  records: number;
  commits: number;
  appends: number;
}

function spent({ rig: { counted } }: Process): Cost {
  return {
    calls: counted.reads.calls,
    records: counted.reads.records,
    commits: counted.commits.length,
    appends: counted.commits.reduce((sum, one) => sum + (one.appends?.length ?? 0), 0),
  };
}

function between(after: Cost, before: Cost): Cost {
  return {
    calls: after.calls - before.calls,
    records: after.records - before.records,
    commits: after.commits - before.commits,
    appends: after.appends - before.appends,
  };
}

verifies(
  { partial: ['WF-22'] },
  'turn 200 reads and writes what turn 10 did, the whole answer included',
  async () => {
    const world = createWorld({
      mind: (input) =>
        input.messages.at(-1)?.role === 'user' ? asks('note', { n: input.messages.length }) : says('ok'),
    });
    const at = boot(world);
    const { session_id: id } = await at.start('go');
    const costs: Cost[] = [];
    for (let invocation = 2; invocation <= 101; invocation++) {
      const before = spent(at);
      const result = await at.managed.run(CALLER, id, { continuationMessages: [user('more')] }, IO);
      expect(result).toMatchObject({ kind: 'completed', turn_count: invocation * 2 });
      expect(result.history).toHaveLength(invocation * 2);
      await at.managed.settled();
      costs.push(between(spent(at), before));
    }
    const at10 = costs[3]!; // turns 9 and 10
    const at200 = costs[98]!; // turns 199 and 200
    expect(at200).toEqual(at10);
    // A snapshot of the folded state every 200 records costs nothing that is counted per record.
    for (const one of costs) expect(one.records).toBeLessThanOrEqual(at10.records + 2);
    expect(at10).toMatchObject({ commits: 8, appends: 8 });
  },
);
