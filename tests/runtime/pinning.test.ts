// Pins are one file for all processes of a workspace: what one of them changes holds for the next decision of another.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openLivePins } from '../../src/runtime/live-pins.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { until } from '../capabilities/fixtures.ts';
import { verifies } from '../e2e/verifies.ts';
import { agree, call, names, OTHER_TOOL, pinRig, RUN } from './pins-rig.ts';

verifies(
  { partial: ['CI-05'] },
  'a pin made by another process counts at the next list and the next call, and is announced',
  async () => {
    const rig = await pinRig();
    const serving = await rig.process();
    let announced = 0;
    serving.onToolsChanged(() => announced++);
    expect(await names(serving)).toEqual([]);
    expect(await call(serving)).toMatchObject({ status: 'denied', decision: { rule_id: 'tool_pin' } });

    const other = await rig.process();
    await agree(other);
    expect(await call(serving)).toMatchObject({ status: 'done' });
    expect(announced).toBe(1);
    expect(await names(serving)).toEqual(['hostile:run']);
    expect(announced).toBe(1);
  },
);

test('a pin file that was edited, broken or removed by hand counts as soon as it is there', async () => {
  const rig = await pinRig();
  const serving = await rig.process();
  await agree(serving);
  const good = readFileSync(rig.lock, 'utf8');
  expect(await call(serving)).toMatchObject({ status: 'done' });

  writeFileSync(rig.lock, good.replace('Runs.', 'Runs!'));
  expect(await call(serving)).toMatchObject({ status: 'denied', decision: { rule_id: 'tool_pin' } });
  writeFileSync(rig.lock, good.slice(0, -20));
  const broken = await call(serving);
  expect(broken).toMatchObject({ status: 'denied', decision: { rule_id: 'tool_pin' } });
  expect(broken.decision.reasons.join()).toContain('the pin file cannot be used');
  expect(await names(serving)).toEqual([]);
  rmSync(rig.lock);
  expect(await call(serving)).toMatchObject({ status: 'denied' });
  writeFileSync(rig.lock, good);
  expect(await call(serving)).toMatchObject({ status: 'done' });
});

test('a change is announced also when nobody asks', async () => {
  const rig = await pinRig();
  const clock = createFakeClock();
  const live = await openLivePins({
    path: rig.lock,
    config: rig.config,
    tokens: [],
    clock,
    log: () => undefined,
  });
  let announced = 0;
  live.onChanged(() => announced++);
  await agree(await rig.process());
  expect(announced).toBe(0);
  clock.advance(1000);
  await until(() => announced === 1);
  expect(live.directory.definition('hostile:run')).toBeDefined();
  live.stop();
  expect(clock.pending).toBe(0);
});

verifies({ partial: ['CI-05'] }, 'what a person was shown is what is pinned, or nothing is', async () => {
  const rig = await pinRig();
  const asking = await rig.process();
  const shown = await asking.pin('hostile');
  expect(shown).toMatchObject({ diff: ['+ hostile:run  Runs.'], written: false });

  // The server offers more by the time the person has agreed.
  rig.offer([RUN, OTHER_TOOL]);
  const late = await rig.process();
  await expect(late.pin('hostile', shown.digest)).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('no longer what was shown') as unknown,
  });
  expect(existsSync(rig.lock)).toBe(false);

  // Another person was faster: the difference that was shown is not the one that would be written.
  const second = await late.pin('hostile');
  rig.offer([RUN]);
  await agree(await rig.process());
  const before = readFileSync(rig.lock, 'utf8');
  await expect(late.pin('hostile', second.digest)).rejects.toMatchObject({ code: 'CONFLICT' });
  expect(readFileSync(rig.lock, 'utf8')).toBe(before);

  const again = await late.pin('hostile');
  expect(await late.pin('hostile', again.digest)).toMatchObject({ written: true, tools: ['other', 'run'] });
});
