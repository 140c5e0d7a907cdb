import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../src/base/json.ts';
import { parseUrlAllowlist, urlOffences } from '../../../src/kernel/policy/urls.ts';
import { parsePointer, stringLeaves } from '../../../src/kernel/policy/walk.ts';
import { verifies } from '../../e2e/verifies.ts';
import { gateOf, input } from './fixtures.ts';

const ALLOWED = parseUrlAllowlist(['https://docs.internal', 'http://127.0.0.1:8080', 'bare.internal']);
const offences = (
  args: JsonObject,
  usesNetwork = true,
  declared: string[] = [],
): ReturnType<typeof urlOffences> =>
  urlOffences(stringLeaves(args), ALLOWED, { declared: declared.map(parsePointer), usesNetwork });

// Each is refused both under a key named `url` and as bare text of a tool that uses the network.
const EVIL = [
  'https://evil.test/',
  'https:\\\\evil.test',
  'https:evil.test',
  'https:/evil.test',
  'https:///evil.test',
  'https:////evil.test/',
  'https:/\\evil.test',
  'ht\ttps://evil.test/',
  'https://ev\nil.test/',
  ' https://docs.internal/',
  'https://docs.internal/ ',
  '\u0000https://docs.internal/',
  'https://docs.internal\t/',
  'https://docs.internal\\@evil.test/',
  'https://docs.internal@evil.test/',
  'https://user:pw@docs.internal/',
  'https://user@docs.internal/',
  'https://@docs.internal/',
  'https://docs.internal:80@evil.test/',
  'https://docs.internal:8443/',
  'https://docs.internal:443/',
  'https://docs.internal:/',
  'http://docs.internal/',
  'http://docs.internal:443/',
  'https://DOCS.internal/',
  'HTTPS://docs.internal/',
  'https://docs.internal./',
  'https://docs.internal.evil.test/',
  'https://evil.test/docs.internal',
  'https://evil.test#@docs.internal/',
  'https://evil.test?@docs.internal/',
  'https://docs%2einternal/',
  'https://docs。internal/',
  'https://docs．internal/',
  'https://ⓓocs.internal/',
  'https://docs.internal%00.evil.test/',
  'https://xn--docs-/',
  'https://dоcs.internal/', // Cyrillic о
  'https://docs.internal/../x',
  'https://docs.internal/a/%2e%2e/b',
  'https://docs.internal/a b',
  'https://docs.internal\\x',
  'https://docs\u200b.internal/',
  'https://docs\u00ad.internal/',
  'https://127.0.0.1/',
  'http://127.0.0.1/',
  'http://127.1:8080/',
  'http://0x7f000001:8080/',
  'http://2130706433:8080/',
  'http://0177.0.0.1:8080/',
  'http://[::1]:8080/',
  'http://[::ffff:127.0.0.1]:8080/',
  'http://[::ffff:7f00:1]:8080/',
  'http://169.254.169.254/latest/meta-data',
  'http://[fe80::1]/',
  'http://[64:ff9b::7f00:1]/',
  'http://localhost:8080/',
  'http://0.0.0.0:8080/',
  'https://bare.internal:444/',
  'http://bare.internal/',
  'ws://docs.internal/',
  'wss://docs.internal/',
  'ftp://docs.internal/',
  'file:///etc/passwd',
  'file:/etc/passwd',
  'FILE:///etc/passwd',
  'gopher://docs.internal/',
  'ssh://docs.internal/',
  'blob://docs.internal/x',
  'https://[::1',
  'https://ev il.test/',
  'https://',
  'http://%',
  '//evil.test/',
  '\\\\evil.test/x',
  '/\\evil.test',
  '/\t/evil.test',
];

describe('urls', () => {
  verifies(['PO-08'], `${EVIL.length} spellings that lead elsewhere are refused in every place`, () => {
    for (const evil of EVIL) {
      expect(offences({ url: evil }), `url: ${JSON.stringify(evil)}`).toHaveLength(1);
      expect(offences({ x: { deep: [[{ text: evil }]] } }), `text: ${JSON.stringify(evil)}`).toHaveLength(1);
      expect(offences({ seen: evil }, false, ['/seen']), `declared: ${JSON.stringify(evil)}`).toHaveLength(1);
    }
    for (const good of [
      'https://docs.internal',
      'https://docs.internal/',
      'https://docs.internal/a/b?q=1#f',
      'http://127.0.0.1:8080/x',
      'https://bare.internal/',
    ]) {
      expect(offences({ url: good, x: good }, true, ['/x']), good).toEqual([]);
    }
  });

  test('only keys that name a URL are read in tools without network, with everything beneath them', () => {
    const evil = 'https://evil.test/';
    for (const key of [
      'url',
      'URI',
      'href',
      'Link',
      'endpoint',
      'callback',
      'webhook',
      'base_url',
      'baseUrl',
      'BASE_URL',
      'links',
      'image_href',
      'imageHref',
      'xlink:href',
      'download-link',
      'apiEndpoint',
      'webhooks',
      'success_callback',
      'url_2',
      'url1',
      'seo.canonicalUrls',
    ]) {
      expect(offences({ [key]: evil }, false), key).toHaveLength(1);
      expect(offences({ [key]: [{ value: 'evil.test' }] }, false), key).toHaveLength(1);
    }
    expect(offences({ url: 'data:text/plain,x' }, false)).toHaveLength(1);
    expect(offences({ url: 'javascript:alert(1)' }, false)).toHaveLength(1);
    expect(offences({ url: '' }, false)).toHaveLength(1);
    expect(offences({ text: evil, curl: 'x', hurl: 'x', permalink: 'x', url_path: 'x' }, false)).toEqual([]);
  });

  test('text that is an address between quotes, brackets or blanks of any kind is an address', () => {
    for (const around of [
      ['<', '>'],
      ['"', '"'],
      ["'", "'"],
      ['`', '`'],
      ['(', ')'],
      ['\u00a0', ''],
      ['\u3000\ufeff', ''],
      ['URL:', ''],
      ['<URL: ', '>'],
    ] as const) {
      for (const evil of ['https://evil.test/', '//evil.test/', 'file:///etc/passwd']) {
        const text = around.join(evil);
        expect(offences({ text }), JSON.stringify(text)).toHaveLength(1);
      }
      // Also where it leads to a listed host: readers do not agree on what it is.
      expect(offences({ text: around.join('https://docs.internal/') })).toHaveLength(1);
    }
  });

  test('an address that text quotes is data, unless the argument is declared to hold one', () => {
    for (const text of [
      'see https://evil.test/ for more',
      'the page [here](https://evil.test/) is down',
      '{"next": "https://evil.test/"}',
    ]) {
      expect(offences({ text }), text).toEqual([]);
      expect(offences({ text }, true, ['/text']), text).toHaveLength(1);
      expect(offences({ text_url: text }, false), text).toHaveLength(1);
    }
  });

  test('plain text of networked tools is left alone', () => {
    for (const text of [
      '"quoted" // and a remark',
      "it's 12:30",
      '(a/b)',
      'note: hello',
      'a/b',
      '12:30',
      'C: drive',
      'see https',
      'File: report.txt',
      '// TODO fix it',
      'mailto:x@y',
      '',
      'a//b',
    ]) {
      expect(offences({ text }), text).toEqual([]);
    }
  });

  test("a server's own scheme can be listed; what readers open by themselves cannot", () => {
    const allowed = parseUrlAllowlist(['notes:']);
    const wrong = (url: string): ReturnType<typeof urlOffences> =>
      urlOffences(stringLeaves({ url }), allowed, { declared: [], usesNetwork: true }, () => false);
    for (const fine of ['notes://today', 'notes:today', 'notes://a/b?c#d'])
      expect(wrong(fine), fine).toEqual([]);
    for (const bad of [
      'NOTES://today',
      ' notes://x',
      'note://x',
      'notes2://x',
      'notes://a\u200bb',
      'https://x.test/',
    ]) {
      expect(wrong(bad), bad).toHaveLength(1);
    }
    for (const bad of ['file:', 'https:', 'javascript:', 'data:', 'ssh:', 'Notes:', 'notes:x', 'n:']) {
      expect(() => parseUrlAllowlist([bad]), bad).toThrow(/url_allowlist entry/);
    }
  });

  test('entries that are not exactly one origin are refused', () => {
    for (const bad of [
      '',
      '*',
      '*.internal ',
      'https://a.test/x',
      'https://u@a.test',
      'file:///',
      'https://',
      'A.test',
      'a.test#x',
      'http://a.test?',
    ]) {
      expect(() => parseUrlAllowlist([bad]), bad).toThrow(/url_allowlist entry/);
    }
    expect([...parseUrlAllowlist(['a.test', 'a.test:8443', 'http://a.test/'])]).toEqual([
      'https://a.test',
      'https://a.test:8443',
      'http://a.test',
    ]);
  });

  verifies(
    ['PO-08'],
    'the decision carries rule, url and host, cut and with hidden characters shown',
    async () => {
      const gate = await gateOf();
      const decision = gate.decide(input({ args: { title: 'x', url: 'https://e\u200bvil.test/' } }));
      expect(decision).toMatchObject({ verdict: 'deny', ruleId: 'url_allowlist' });
      expect(decision.aliases).toContain('PG1');
      expect(decision.attributes['policy.url']).toBe('https://e\\u{200b}vil.test/');
      expect(decision.attributes['policy.host']).toBe('evil.test');
      const long = gate.decide(input({ args: { url: `https://evil.test/${'a'.repeat(5000)}` } }));
      expect(JSON.stringify(long.attributes['policy.url']).length).toBeLessThan(260);
      expect(gate.decide(input({ args: { url: 'https://tickets.internal/a' } })).verdict).toBe('allow');
    },
  );
});
