// Owns the proof of redaction by itself: each form of a secret from its shortest on, keys that come again, and what is named.
import { describe, expect, test } from 'vitest';
import { createRedactor, REDACTED } from '../../src/kernel/evidence/redact.ts';
import { credentialsIn } from '../../src/kernel/evidence/secret-parts.ts';

const PLAIN = createRedactor({ secrets: [], fields: [], patterns: [] });

/** The shortest text of each form. */
const SHORTEST = [
  'Bearer abcd1234',
  'Bearer\u00a0abcd1234',
  `sk-${'a'.repeat(16)}`,
  `ghp_${'a'.repeat(20)}`,
  `AKIA${'A'.repeat(16)}`,
  `xoxb-${'a'.repeat(10)}`,
  'eyJaaaaaaaa.aaaaaaaa.',
  '-----BEGIN PRIVATE KEY-----',
];

describe('a secret of a known form', () => {
  test.each(SHORTEST)('%s is replaced from its shortest on, alone and at the end of a text', (secret) => {
    expect(PLAIN.text(secret)).toBe(REDACTED);
    expect(PLAIN.text(`the task: ${secret}`)).toBe(`the task: ${REDACTED}`);
  });

  test.each(SHORTEST.slice(0, 6))('%s less one character is none', (secret) => {
    expect(PLAIN.text(secret.slice(0, -1))).toBe(secret.slice(0, -1));
  });

  test('each of several forms in one text is replaced', () => {
    expect(PLAIN.text(SHORTEST.slice(0, 7).join(' '))).toBe(Array(7).fill(REDACTED).join(' '));
  });
});

describe('a secret that is learned', () => {
  test('is found from then on, as a key that was seen before too, and what was known stays so', () => {
    const redactor = createRedactor({ secrets: ['first-secret'], fields: [], patterns: [] });
    const value = { 'later-word-99': 'a later-word-99 and a first-secret' };
    expect(redactor.object(value).value).toEqual({ 'later-word-99': `a later-word-99 and a ${REDACTED}` });
    redactor.learn('later-word-99');
    expect(redactor.object(value).value).toEqual({ [REDACTED]: `a ${REDACTED} and a ${REDACTED}` });
  });

  test('is forgotten after many others, never what was known from the beginning', () => {
    const redactor = createRedactor({ secrets: ['first-secret'], fields: [], patterns: [] });
    const turns = Array.from({ length: 33 }, (_, n) => `secret-of-start-${n}.`);
    for (const one of [...turns, 'first-secret', turns[1] ?? '']) redactor.learn(one);
    const found = (text: string | undefined): boolean => redactor.text(text ?? '') === REDACTED;
    expect(turns.map(found)).toEqual([false, ...Array<boolean>(32).fill(true)]);
    redactor.learn('one-more-secret');
    expect([turns[1], turns[2], 'first-secret'].map(found)).toEqual([true, false, true]);
  });
});

describe('a known value', () => {
  test('is found by the part of it that is the secret', () => {
    const secrets = ['Bearer abcdefgh', 'mysql://ann:p%40ssw0rd@db/x', 'http://host/a@b', 'https://me@host/'];
    const redactor = createRedactor({ secrets, fields: [], patterns: [] });
    for (const part of ['abcdefgh', 'p%40ssw0rd', 'p@ssw0rd']) expect(redactor.text(part)).toBe(REDACTED);
    expect(redactor.text('Bearer, and the host')).toBe('Bearer, and the host');
  });

  test.each([
    ['mongodb://ann:s3cret-one@h1:27017,h2:27017/db?mail=a@b', ['s3cret-one']],
    ['postgresql://ann:s3cret-one@h1:5432,h2:5432/db', ['s3cret-one']],
    ['jdbc:postgresql://ann:s3cret-one@h/db', ['s3cret-one']],
    ['jdbc:sqlserver://h;user=ann;password=s3cret-one;encrypt=true', ['s3cret-one']],
    ['postgresql://h/db?user=ann&password=s3cret%2Fone', ['s3cret%2Fone', 's3cret/one']],
    [`host=db password='s3cret one' user=ann`, ['s3cret one']],
    ['postgresql://h/db?password=s3cret-one#shown', ['s3cret-one']],
    ['ann:s3cret-one@tcp(h:3306)/db', ['s3cret-one']],
    ['ann:s3cret-one@proxy.internal:3128', ['s3cret-one']],
    ['postgres://ann:s3#cret/on%40e@h/db', ['s3#cret/on%40e', 's3#cret/on@e']],
    ['postgres://ann:s3@cret"one@h/db', ['s3@cret"one', 's3%40cret%22one']],
    ['https://ghx-s3cret-one@github.com/a/b', ['ghx-s3cret-one']],
    ['https://s3cret-one:x-oauth-basic@github.com/a/b', ['s3cret-one']],
    [`Basic ${Buffer.from('ann:s3:cret-one').toString('base64')}`, ['s3:cret-one']],
    [`Basic ${Buffer.from('s3cret-one:').toString('base64')}`, ['s3cret-one']],
  ])('such as %s is found by its credential', (value, parts) => {
    const redactor = createRedactor({ secrets: [value], fields: [], patterns: [] });
    expect(parts.map((part) => redactor.text(`it is ${part}!`))).toEqual(
      parts.map(() => `it is ${REDACTED}!`),
    );
  });

  test.each([
    ...[
      'http://internal-host:8080/visible-path/me@x',
      'mailto:somebody@internal-host',
      'ssh://deployer@host',
    ],
    ...[
      'node:20-bookworm@sha256:0123456789abcdef',
      'git@internal-host:group/project',
      'x://h?pwd=/home/user',
    ],
  ])('such as %s holds none', (value) => {
    expect(credentialsIn(value)).toEqual([]);
  });

  test.each([
    ...['a:@a@', ':@', 'a:', '?', '?a.', 'pwd', 'a:b@x(@', '@/', 'Basic ', 'c-:'].map((word) => [word]),
  ])('of a hundred thousand times %j is looked through', (word) => {
    const long = word.repeat(100_000);
    for (const value of [long, `http://${long}`, `a:b@${long}`, `?${long}=`, `Basic ${long}`]) {
      expect(credentialsIn(value)).toBeInstanceOf(Array);
    }
  });

  test('is none where its address says the same openly: a default password stands in many an honest text', () => {
    const secrets = [
      ...['postgres://postgres:postgres@localhost/db', 'mysql://ann:Wordpress@db.internal/wordpress'],
      ...['amqp://guest:rabbitmq@RabbitMQ.internal/', 'cockroach://ann:cockroach@db/x'],
      'redis://ann:an%20honest@db/x',
    ];
    const redactor = createRedactor({ secrets, fields: [], patterns: [] });
    for (const word of ['postgres', 'wordpress', 'rabbitmq', 'cockroach'])
      expect(redactor.text(word)).toBe(word);
    expect(redactor.object({ postgres_port: 5432 }).value).toEqual({ postgres_port: 5432 });
    expect(redactor.text(`an honest ${secrets[0] ?? ''}`)).toBe(`${REDACTED} ${REDACTED}`);
  });

  test('of the shortest length is found, one shorter is not looked for', () => {
    const redactor = createRedactor({ secrets: ['12345678', 'shorter'], fields: [], patterns: [] });
    expect(redactor.text('12345678')).toBe(REDACTED);
    expect(redactor.text('shorter')).toBe('shorter');
  });

  test('is found in any case: a parsed host, a header and a scheme are written in another', () => {
    const redactor = createRedactor({ secrets: ['MyS3cretValue'], fields: [], patterns: [] });
    expect(redactor.text('https://mys3cretvalue.evil.example/')).toBe(`https://${REDACTED}.evil.example/`);
    expect(redactor.text('MYS3CRETVALUE')).toBe(REDACTED);
  });

  test('is found as JSON writes it in a text', () => {
    const secret = 'pa"ss\\word\nof two lines';
    const redactor = createRedactor({ secrets: [secret], fields: [], patterns: [] });
    expect(redactor.text(JSON.stringify({ say: `it is ${secret}!` }))).toBe(`{"say":"it is ${REDACTED}!"}`);
  });

  test("and a form of the operator's own are replaced in texts of any length", () => {
    const redactor = createRedactor({ secrets: [], fields: [], patterns: ['^x\\d$'] });
    expect(redactor.text('x1')).toBe(REDACTED);
    expect(redactor.object({ x1: 'x2', y: 'x3 ' })).toEqual({
      value: { [REDACTED]: REDACTED, y: 'x3 ' },
      fields: [`/${REDACTED}`],
    });
  });
});

describe('an object', () => {
  const redactor = createRedactor({ secrets: ['top-rabbit'], fields: ['PIN'], patterns: [] });
  const value = {
    token: 'a',
    api_key: 7,
    pin: { at: 'home' },
    cookie: null,
    password: true,
    'is top-rabbit': 'plain',
    list: ['plain', 'a top-rabbit b', { authorization: ['x'] }, 3, null],
  };

  test('shows the same when its keys come again, and names by pointer what was replaced', () => {
    const shown = {
      value: {
        token: REDACTED,
        api_key: REDACTED,
        pin: REDACTED,
        cookie: null,
        password: true,
        [`is ${REDACTED}`]: 'plain',
        list: ['plain', `a ${REDACTED} b`, { authorization: REDACTED }, 3, null],
      },
      fields: ['/token', '/api_key', '/pin', '/list/1', '/list/2/authorization'],
    };
    expect(redactor.object(value)).toEqual(shown);
    expect(redactor.object(value)).toEqual(shown);
    expect(PLAIN.object({ pin: 'home', 'is top-rabbit': 'a' })).toEqual({
      value: { pin: 'home', 'is top-rabbit': 'a' },
      fields: [],
    });
  });

  test('has no value under a key that names a secret, however its words are joined', () => {
    const secret =
      'accessToken authToken clientSecret dbPassword apiKey openaiApiKey awsSecretAccessKey setCookie';
    for (const key of [...secret.split(' '), 'openAPIKey', 'proxyAuthorization', 'x-api-key', 'ACCESS_TOKEN'])
      expect([key, PLAIN.object({ [key]: 'v' }).fields]).toEqual([key, [`/${key}`]]);
    for (const key of ['tokens', 'maxTokens', 'tokenizer', 'secretary', 'passwordless', 'broken', 'Token2'])
      expect([key, PLAIN.object({ [key]: 'v' }).fields]).toEqual([key, []]);
  });

  test('has as many members as before where two keys are shown alike, one of them by chance', () => {
    const keys = [`${REDACTED} (2)`, 'top-rabbit', 'TOP-RABBIT', REDACTED];
    const { value: shown, fields: named } = redactor.object(
      Object.fromEntries(keys.map((key, at) => [key, at === 2 ? 'top-rabbit' : at])),
    );
    const names = [`${REDACTED} (2)`, REDACTED, `${REDACTED} (3)`, `${REDACTED} (4)`];
    expect(Object.entries(shown)).toEqual(names.map((name, at) => [name, at === 2 ? REDACTED : at]));
    expect(named).toEqual([`/${REDACTED} (3)`]);
  });

  test('says where by JSON pointers, whatever its keys hold', () => {
    const given = { 'a/b': { '~c': 'top-rabbit' }, 'd/e': 'top-rabbit' };
    expect(redactor.object(given).fields).toEqual(['/a~1b/~0c', '/d~1e']);
  });

  test('is another one, down to its last member', () => {
    const given = { list: [{ a: 'b' }], plain: 'c' };
    const shown = redactor.object(given).value;
    given.plain = 'changed';
    (given.list[0] as { a: string }).a = 'changed';
    expect(shown).toEqual({ list: [{ a: 'b' }], plain: 'c' });
  });
});

test('a secret as long as a file is known too, and long ones stop no record', () => {
  const secret = Array.from({ length: 4000 }, (_, at) => `line ${at} of it`).join('\n');
  const redactor = createRedactor({ secrets: [secret], fields: [], patterns: [] });
  expect(redactor.text(`before ${secret} after`)).toMatch(/^before (?:\[REDACTED\])+ after$/);
  expect(redactor.text('line 7 of a text that is no secret')).toBe('line 7 of a text that is no secret');
});
