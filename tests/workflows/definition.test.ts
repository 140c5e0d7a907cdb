import { describe, expect, test } from 'vitest';
import { parseWorkflow, parseWorkflowYaml } from '../../src/pack/workflows/parse.ts';
import { parseWakeTime } from '../../src/pack/workflows/wake-time.ts';
import { verifies } from '../e2e/verifies.ts';

const says = (content: string) => ({ messages: [{ role: 'user', content }] });
const node = (id: string, more: Record<string, unknown> = {}) => ({
  id,
  execute_turn_input: says(id),
  ...more,
});

async function problemsOf(value: unknown): Promise<string[]> {
  const parsed = await parseWorkflow(value);
  return parsed.ok ? [] : parsed.problems.map(({ path, sentence }) => `${path}: ${sentence}`);
}

describe('a definition', () => {
  test('of chained, parallel and conditional nodes is taken as it is written', async () => {
    const value = {
      session_id: 'wf-1',
      concurrency: 2,
      failure_policy: 'compensate',
      nodes: [
        node('triage', { output_schema: { type: 'object', properties: { kind: { type: 'string' } } } }),
        node('refund', {
          depends_on: ['triage'],
          when: 'nodes.triage.output.structured.kind == "refund"',
          inputs: { kind: { from: 'triage', path: '/structured/kind', type: 'string' } },
          compensate: { execute_turn_input: says('undo') },
        }),
        node('reply', { depends_on: ['refund'], wake_at: '2027-01-01T00:00:00+01:00' }),
        node('polish', { loop: { until: 'iteration >= 2', max_iterations: 3 }, retry: { max_attempts: 2 } }),
      ],
    };
    expect(await parseWorkflow(value)).toEqual({ ok: true, definition: value });
  });

  verifies(['WF-10'], 'is refused with every problem at once, each with its path', async () => {
    const found = await problemsOf({
      nodes: [
        node('a', { depends_on: ['c'] }),
        node('b', { depends_on: ['a'] }),
        node('c', { depends_on: ['b', 'ghost'] }),
        node('c'),
        node('behind', { depends_on: ['a', 'a'] }),
      ],
    });
    expect(found).toEqual([
      '/nodes/3/id: is the second node with the id c',
      '/nodes/2/depends_on/1: depends on ghost, which is no node of this workflow',
      '/nodes/4/depends_on/1: names a twice',
    ]);
    const cyclic = await problemsOf({
      nodes: [
        node('a', { depends_on: ['c'] }),
        node('b', { depends_on: ['a'] }),
        node('c', { depends_on: ['b'] }),
        node('behind', { depends_on: ['a'] }),
        node('self', { depends_on: ['self'] }),
      ],
    });
    expect(cyclic).toEqual([
      "/nodes/0/depends_on: is part of the cycle a → b → c → a; use the node's loop for a repetition",
      '/nodes/3/depends_on: can never start: what behind depends on waits for a cycle',
      "/nodes/4/depends_on: is part of the cycle self → self; use the node's loop for a repetition",
    ]);
    expect(await problemsOf({ nodes: [] })).toEqual(['/nodes: has no node; a workflow has at least one']);
    const own = { id: 'a', execute_turn_input: { ...says('x'), session_id: 'ses_other' } };
    expect(await problemsOf({ nodes: [own] })).toEqual([
      '/nodes/0/execute_turn_input/session_id: must be left out: the workflow gives each run of a node its own session',
    ]);
  });

  test('with a node of the wrong shape is still told what is wrong with all the others', async () => {
    const found = await problemsOf({
      concurrency: 0,
      nodes: [
        node('a', { retry: { max_attempts: 'many' }, output_schema: { type: 'nonsense' } }),
        node('b', { wake_at: '2027-02-30T10:00:00Z', when: 'nodes.ghost.output.status ==' }),
        node('c', {
          depends_on: ['a'],
          inputs: { x: { from: 'ghost', path: '' }, y: { from: 'a', path: '' } },
        }),
        node('d', {
          depends_on: ['a'],
          when: 'nodes.a.output.status == "x" && nodes.b.output.status == "x"',
        }),
      ],
    });
    expect(found.map((one) => one.split(/: | \(/)[0]).sort()).toEqual([
      '/concurrency',
      '/nodes/0/retry/max_attempts',
      '/nodes/1/wake_at',
      '/nodes/1/when',
      '/nodes/2/inputs/x',
      '/nodes/3/when',
    ]);
  });

  test('names every unknown key and every wrong shape', async () => {
    const found = await problemsOf({ nodes: [{ ...node('1bad'), extra: 1 }], more: true, concurrency: 99 });
    expect(found.map((one) => one.split(':')[0])).toEqual(
      expect.arrayContaining(['/nodes/0/id', '/nodes/0/extra', '/more', '/concurrency']),
    );
  });

  test('is refused for mappings that lead nowhere or to another type', async () => {
    const schema = {
      type: 'object',
      properties: { total: { type: 'integer' }, lines: { type: 'array', items: { type: 'string' } } },
    };
    const found = await problemsOf({
      nodes: [
        node('a', { output_schema: schema }),
        node('plain'),
        node('b', {
          depends_on: ['a', 'plain'],
          inputs: {
            ok: { from: 'a', path: '/structured/total', type: 'number' },
            deep: { from: 'a', path: '/structured/lines/0', type: 'string' },
            wrong: { from: 'a', path: '/structured/total', type: 'string' },
            nothing: { from: 'a', path: '/structured/sum' },
            field: { from: 'a', path: '/answer' },
            unstructured: { from: 'plain', path: '/structured/x' },
            ghost: { from: 'ghost', path: '' },
            self: { from: 'b', path: '' },
          },
        }),
      ],
    });
    expect(found).toEqual([
      '/nodes/2/inputs/wrong: expects string, but /structured/total of a is number',
      '/nodes/2/inputs/nothing: leads to nothing in the output of a: its output_schema has no "sum"',
      '/nodes/2/inputs/field: leads to nothing in the output of a: an output has status, assistant_message and structured',
      '/nodes/2/inputs/unstructured: leads to nothing in the output of plain: plain declares no output_schema, so it has no structured output',
      '/nodes/2/inputs/ghost: is taken from ghost, which is no node of this workflow',
      '/nodes/2/inputs/self: is taken from b, on which b does not depend',
    ]);
  });

  test('is refused for conditions that do not compile, cost too much or look at a node that may not have ended', async () => {
    const found = await problemsOf({
      nodes: [
        node('a', { output_schema: { type: 'nonsense' } }),
        node('b', { depends_on: ['a'], when: 'nodes.a.output.status ==' }),
        node('c', { when: '"x"' }),
        node('d', { when: 'nodes.a.output.status == "complete"' }),
        node('e', { when: 'inputs.x.matches("(a+)+")' }),
        node('f', { loop: { until: 'nodes["ghost"].output.x == 1', max_iterations: 2 } }),
      ],
    });
    expect(found.map((one) => one.slice(0, 60))).toEqual([
      expect.stringContaining('/nodes/0/output_schema: is refused'),
      expect.stringContaining('/nodes/1/when: is not a condition'),
      '/nodes/2/when: is not a condition: gives string, not a bool',
      '/nodes/3/when: looks at a, on which d does not depend',
      '/nodes/4/when: is not a condition: `matches` is not allowed ',
      '/nodes/5/loop/until: looks at ghost, which is no node of thi',
    ]);
  });

  test('from YAML says line and column', async () => {
    const text = [
      'nodes:',
      '  - id: first',
      '    execute_turn_input:',
      '      messages: [{ role: user, content: hi }]',
      '  - id: second',
      '    depends_on: [first, ghost]',
      '    wake_at: 2027-02-30T10:00:00Z',
      '    execute_turn_input:',
      '      messages: []',
    ].join('\n');
    expect(await parseWorkflowYaml('flow.yaml', text)).toEqual({
      ok: false,
      problems: [
        {
          path: '/nodes/1/depends_on/1',
          line: 6,
          column: 25,
          sentence: 'depends on ghost, which is no node of this workflow',
        },
        {
          path: '/nodes/1/wake_at',
          line: 7,
          column: 14,
          sentence: 'names a day that the calendar does not have',
        },
      ],
    });
    const broken = await parseWorkflowYaml('flow.yaml', 'nodes: [\n');
    expect(broken.ok ? [] : broken.problems.map(({ line }) => line)).not.toEqual([]);
    expect(
      await parseWorkflowYaml('ok.yaml', text.replace(', ghost', '').replace('-30', '-28')),
    ).toMatchObject({
      ok: true,
    });
  });
});

describe('a wake time', () => {
  test('is an instant with a zone, on a day of the calendar, and never rounded to before it', () => {
    const at = (text: string) => {
      const wake = parseWakeTime(text);
      return wake.ok ? new Date(wake.at).toISOString() : wake.why;
    };
    expect(at('2028-02-29T23:30:00+01:00')).toBe('2028-02-29T22:30:00.000Z');
    expect(at('2026-12-31T23:59:59.999000001Z')).toBe('2027-01-01T00:00:00.000Z');
    expect(at('2026-06-01T08:00-05:30')).toBe('2026-06-01T13:30:00.000Z');
    expect(at('9999-12-31T00:00:00Z')).toBe('9999-12-31T00:00:00.000Z');
    expect(at('2027-02-29T00:00:00Z')).toBe('names a day that the calendar does not have');
    expect(at('2027-01-01T24:00:00Z')).toBe('names a time of day that does not exist');
    expect(at('2027-01-01T00:00:00')).toMatch(/names no zone/);
    expect(at('2027-01-01')).toMatch(/names no zone/);
    expect(at('tomorrowZ')).toMatch(/is not an ISO 8601 time/);
    expect(at('1969-12-31T00:00:00Z')).toBe('lies before 1970');
  });
});
