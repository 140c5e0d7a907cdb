// Pins are one file for all processes of a workspace: what one of them changes holds for the next decision of another.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openLivePins } from '../../src/runtime/live-pins.ts';
import { createFakeClock } from '../../src/testing/fake-clock.ts';
import { until } from '../capabilities/fixtures.ts';
import { verifies } from '../e2e/verifies.ts';
import { call, names, pinRig } from './pins-rig.ts';

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
    await other.pin('hostile', true);
    expect(await call(serving)).toMatchObject({ status: 'done' });
    expect(announced).toBe(1);
    expect(await names(serving)).toEqual(['hostile:run']);
    expect(announced).toBe(1);
  },
);

test('a pin file that was edited, broken or removed by hand counts as soon as it is there', async () => {
  const rig = await pinRig();
  const serving = await rig.process();
  await serving.pin('hostile', true);
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
  await (await rig.process()).pin('hostile', true);
  expect(announced).toBe(0);
  clock.advance(1000);
  await until(() => announced === 1);
  expect(live.directory.definition('hostile:run')).toBeDefined();
  live.stop();
  expect(clock.pending).toBe(0);
});
