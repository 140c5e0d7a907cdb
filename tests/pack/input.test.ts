// What a turn takes and refuses; the short way for the input of most turns answers exactly as the schema does.
import { expect, test } from 'vitest';
import type { TurnInput } from '../../src/pack/turn/contract.ts';
import { parseTurnInput, turnInputSchema } from '../../src/pack/turn/input.ts';
import { verifies } from '../e2e/verifies.ts';
import { createFakeModel, createPackRig, evidenceOf, rigConfig } from './rig.ts';

const USER = { role: 'user', content: 'hi' };
const INPUTS: unknown[] = [
  { messages: [] },
  { messages: [USER, USER] },
  { messages: [USER], session_id: 'ses_1' },
  { messages: [USER], session_id: ' ses_1 ' },
  { messages: [USER], session_id: '  ' },
  { messages: [USER], session_id: '' },
  { messages: [USER], session_id: 7 },
  { messages: [USER], session_id: null },
  { messages: [{ ...USER, tool_name: 'x' }] },
  { messages: [{ role: 'user' }] },
  { messages: [{ role: 'user', content: 1 }] },
  { messages: [{ role: 'user', other: 'x' }] },
  { messages: [{ role: 'root', content: 'x' }] },
  { messages: [{ role: 'tool', content: 'x', tool_call_id: 'c' }] },
  { messages: [null] },
  { messages: [[]] },
  { messages: {} },
  { messages: [USER], stream: true },
  { messages: [USER], more: 1 },
  { session_id: 'ses_1' },
  [],
  null,
  'text',
];

test('what the short way takes and refuses is what the schema takes and refuses', () => {
  for (const input of INPUTS) {
    const read = turnInputSchema.safeParse(input);
    if (read.success) expect(parseTurnInput(input)).toEqual(read.data);
    else expect(() => parseTurnInput(input)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
  }
  const given = { messages: [USER] };
  expect(parseTurnInput(given).messages[0]).not.toBe(USER);
});

const BASE_URL = 'https://model-provider.invalid/v1/';
const DELEGATION = { actor: 'stdio:1', principal: 'anna', scope: 'tickets', capabilities: ['look'] };
const FULL: Required<Omit<TurnInput, 'session_id'>> = {
  messages: [
    { role: 'user', content: 'hi' },
    { role: 'tool', content: 'cloudy', tool_name: 'weather', tool_call_id: 'call_1' },
  ],
  intent: 'refund',
  model_profile: 'demo',
  url: BASE_URL,
  stream: true,
  tool_catalog: [{ name: 'look', description: 'Looks.', input_schema: { type: 'object' } }],
  intent_catalog: [{ id: 'refund', description: 'Give money back.' }],
  limits: { max_turns_per_session: 3, max_tool_calls_per_session: 2, max_input_bytes: 5_000 },
  external_run_id: 'host-7',
  authorization: { mode: 'user_delegated', delegated_principal_id: 'anna', delegated_scope: 'tickets' },
};

verifies(
  ['TC-02'],
  'a turn needs its messages alone, takes every other input, and refuses unknown keys at every level, by name, before anything',
  async () => {
    const config = rigConfig();
    config.identity.delegations.push(DELEGATION);
    const rig = createPackRig({ config, model: createFakeModel(BASE_URL) });
    const [message] = FULL.messages;
    const unknown: [unknown, string][] = [
      [{ ...FULL, extra: 1 }, '/extra'],
      [{ ...FULL, messages: [{ ...message, name: 'y' }] }, '/messages/0/name'],
      [{ ...FULL, tool_catalog: [{ ...FULL.tool_catalog[0], schema: {} }] }, '/tool_catalog/0/schema'],
      [{ ...FULL, intent_catalog: [{ ...FULL.intent_catalog[0], tools: [] }] }, '/intent_catalog/0/tools'],
      [{ ...FULL, limits: { ...FULL.limits, max_turns: 1 } }, '/limits/max_turns'],
      [{ ...FULL, authorization: { ...FULL.authorization, who: 'y' } }, '/authorization/who'],
      [JSON.parse('{"messages":[],"__proto__":{}}'), '/__proto__'],
      [{ messages: [{ role: 'robot', content: '' }] }, '/messages/0/role'],
      [{ ...FULL, limits: { max_input_bytes: 0 } }, '/limits/max_input_bytes'],
      [{ messages: [] }, '/messages'],
      [{ stream: true }, '/messages'],
    ];
    for (const [input, field] of unknown) {
      const { error } = await rig.fails(input);
      expect([error.code, error.details.field]).toEqual(['INVALID_INPUT', field]);
    }
    expect(rig.model.inputs).toEqual([]);

    await rig.ok({ messages: [{ role: 'user', content: 'hi' }] });
    const first = await rig.ok(FULL);
    const again = await rig.ok({ ...FULL, session_id: first.session_id });
    expect(again).toMatchObject({ session_id: first.session_id, intent: 'refund', turn_index: 1 });
    expect(rig.model.inputs[2]).toMatchObject({ tools: [{ name: 'look' }], intents: [{ id: 'refund' }] });
    expect(rig.snapshots.filter((one) => one.state === 'final')).toHaveLength(2);
    expect(evidenceOf((await rig.records(first.session_id)).at(-1))).toMatchObject({
      external_run_id: 'host-7',
      delegated_principal_id: 'anna',
    });
  },
);
