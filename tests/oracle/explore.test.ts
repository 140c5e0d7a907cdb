import { test } from 'vitest';
import { createGate } from '../../src/kernel/policy/gate.ts';
import { sampleConfig, capability } from '../kernel/sample-config.ts';
const usage = () => ({ iterations: 0, tokens: 0, calls: 0, costUsd: 0, effects: 0, wallSeconds: 0 });
async function go(label: string, over: any) {
  const cap = over.cap === null ? undefined : capability('t', over.cap ?? {});
  const config: any = sampleConfig({ capabilities: [capability('t', over.cap ?? {})], policy: {
    registry: { allowed: ['t'], denied: [] }, sandbox: { pathTemplate: '/box', root: '/box' }, urlAllowlist: ['https://docs.internal', 'http://h.example:8080','bare.example'],
    execution: { allowNetworkAccess: ['restricted', 'brokered', 'full'] }, ...(over.policy ?? {}) } });
  if (over.intents) config.intents = over.intents; Object.assign(config, over.config ?? {});
  const input: any = { tool: 't', args: over.args ?? {}, caller: { tenant: 't', principal: 'p', actor: 'stdio:1', roles: [], scopes: [], lane: 'default' },
    delegation: { mode: 'platform_owned', delegatedPrincipalId: '', delegatedScope: '' }, agentId: 'agent-1', session: { id: 's', lane: 'default', task: 'agent-session', ...(over.session ?? {}) },
    capability: cap, pin: over.pin ?? { state: 'pinned', digest: 'sha256:x' }, inputSchema: 'schema' in over ? over.schema : { type: 'object', additionalProperties: true }, paths: over.paths ?? [], history: { repeats: 0, session: usage(), ...(over.history ?? {}) }, ...(over.limits ? { limits: over.limits } : {}), ...(over.input ?? {}) }; if (over.poison) Object.defineProperty(over.poison[0](input), over.poison[1], { enumerable: true, get() { throw new Error('boom'); } });
  try {
    const t0 = performance.now();
    const gate = createGate(config);
    await gate.prepare({ inputSchema: input.inputSchema } as any);
    const d = gate.decide(input);
    console.log(label.padEnd(40), d.verdict, d.ruleId, d.layer, '|', d.reasons.join(' / ').slice(0, 150), '| others', d.others.map((o) => `${o.ruleId}:${o.layer}:${o.verdict}`).join(','), (performance.now() - t0).toFixed(1));
  } catch (e) { console.log(label, 'THROWS', String(e)); }
}
const N = (entries: string[]) => [{ type: 'network', posture: 'allowlist', entries }];
const P = (pattern: string, access = 'read') => ({ type: 'path', pattern, access });
const ws = (rules: any[], scopes?: any) => ({ level: 'workspace', name: 'workspace', rules, ...(scopes ? { scopes } : {}) });
const R = (id: string, decision: string, o: any = {}) => ({ id, tools: '*', decision, reason: id, onDeny: 'tell_model', rememberable: false, ...o });
test('x', async () => {
  const net = { networkAccess: 'restricted', allowedEgress: ['docs.internal'] };
  for (const k of ['redirect_uri', 'baseUri', 'image_href', 'webhook_endpoint', 'webhooks', 'site_link', 'uris', 'hrefs', 'target_urls', 'imageUrls', 'URLS', 'my url', 'x.url','callbackURI','deep_links'])
    await go(`key ${k}`, { args: { [k]: 'https://evil/' } });
  await go('config dir', { cap: { scopes: [P('/box/**')] }, config: { directory: '/box/conf' }, args: { path: 'a' }, paths: [{ pointer: '/path', given: 'a', resolved: '/box/conf/x', access: 'read' }] });
  await go('registry', { policy: { registry: { allowed: [], denied: [] } } });
  await go('prefix twin', { cap: { scopes: [P('/boxes/**'), P('/box/**')] }, args: { path: 'a' }, paths: [{ pointer: '/path', given: 'a', resolved: '/boxes/x', access: 'read' }] });
  for (const k of ['file', 'dir', 'directory', 'folder', 'filename', 'filePath', 'source_path', 'paths', 'files', 'src', 'destination', 'target', 'cwd', 'root', 'output_dir'])
    await go(`path key ${k}`, { cap: { scopes: [P('/box/**')] }, args: { [k]: 'a' } });
  await go('path key, urlArguments', { cap: { urlArguments: ['/s'] }, args: { s: 'https://evil/' } });
  await go('pathArguments', { cap: { pathArguments: [{ pointer: '/s', access: 'read' }] }, args: { s: 'q' } });
  await go('path key plain tool', { args: { path: 'a' } });
  await go('effects NaN read', { input: { history: { repeats: 0, session: { ...usage(), effects: NaN } } } });
  await go('effects max NaN read', { limits: { maxEffects: NaN } });
  await go('effects write', { cap: { mode: 'write' }, limits: { maxEffects: 0 } });
  await go('tokens NaN + when', { input: { history: { repeats: 0, session: { ...usage(), tokens: NaN } } }, policy: { workspace: ws([R('a', 'allow'), R('d', 'deny', { when: 'args.n > 3' })]) }, args: { n: 1 } });
  await go('repeats Inf + when', { input: { history: { repeats: Infinity, session: { ...usage() } } }, policy: { workspace: ws([R('a', 'allow'), R('d', 'deny', { when: 'args.n > 3' })]) }, args: { n: 1 } });
  await go('poison history', { poison: [(i: any) => i, 'history'] });
  await go('poison repeats', { poison: [(i: any) => i.history, 'repeats'] });
  await go('poison usage', { poison: [(i: any) => i.history.session, 'calls'] });
  await go('poison tenant', { poison: [(i: any) => i.caller, 'tenant'] });
  await go('poison pin', { poison: [(i: any) => i.pin, 'state'] });
  await go('poison pin + registry', { poison: [(i: any) => i.pin, 'state'], policy: { registry: { allowed: [], denied: [] } } });
  await go('poison pin + cycle', { poison: [(i: any) => i.pin, 'state'], input: { history: { repeats: 9, session: usage() } } });
  await go('poison paths', { poison: [(i: any) => i, 'paths'] });
  await go('poison lane', { poison: [(i: any) => i.session, 'lane'] });
  await go('poison intent', { poison: [(i: any) => i.session, 'intent'], intents: { i: { id: 'i', description: '', allowTools: [], approvalRequiredTools: [] } } });
  await go('poison arg n', { poison: [(i: any) => i.args, 'n'] });
  await go('poison tool', { poison: [(i: any) => i, 'tool'] });
  await go('tool not in catalog', { input: { tool: 'zz', capability: undefined } });
  await go('unknown everything', { input: { tool: 'constructor', capability: undefined } });
  await go('spoofed capability', { cap: { permission: 'admin' }, input: { capability: capability('t') } });
  await go('catalog approver conflict, lane', { cap: { approval: { approver: 'role:m' } } });
  const config: any = sampleConfig({ policy: { workspace: ws([R('a', 'allow'), R('b', 'deny', { when: 'args.n > 3' })]) } });
  let t0 = performance.now(); let gate: any;
  for (let i = 0; i < 50; i++) gate = createGate(config);
  console.log('create', (performance.now() - t0) / 50);
  for (let i = 0; i < 5; i++) { t0 = performance.now(); await gate.prepare({ inputSchema: { type: 'object', properties: { ['n' + i]: { type: 'number' } } } }); console.log('prepare', performance.now() - t0); }
  const schema = { type: 'object', properties: { n: { type: 'number' } } };
  for (let i = 0; i < 3; i++) { t0 = performance.now(); await gate.prepare({ inputSchema: { ...schema } }); console.log('prepare same', performance.now() - t0); }
  gate = createGate(config); t0 = performance.now(); await gate.prepare({ inputSchema: { ...schema } }); console.log('prepare same other gate', performance.now() - t0);
  const input: any = { tool: 'look', args: { n: 1 }, caller: { tenant: 't', principal: 'p', actor: 'a', roles: [], scopes: [], lane: 'default' }, delegation: {}, agentId: 'agent-1', session: { id: 's', lane: 'default', task: 'agent-session' }, capability: capability('look'), pin: { state: 'pinned', digest: 'x' }, inputSchema: schema, paths: [], history: { repeats: 0, session: usage() } };
  t0 = performance.now(); for (let i = 0; i < 5000; i++) gate.decide(input); console.log('decide us', (performance.now() - t0) / 5, gate.decide(input).verdict);
});
