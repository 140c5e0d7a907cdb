// The short way for the input of most turns answers exactly as the schema does.
import { expect, test } from 'vitest';
import { parseTurnInput, turnInputSchema } from '../../src/pack/turn/input.ts';

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
