// Owns the cells of the wrap matrix: what a client meets at a server that was put behind the runtime with no configuration.
import { strict as assert } from 'node:assert';

const textOf = ({ content = [] }) => content.map(({ text }) => text ?? '').join('\n');

/** In order: the last ones change what the server says. */
export const WRAP_CELLS = {
  async list({ client, place }) {
    const tools = await client.tools();
    assert(tools.includes(`${place.name}:${place.wrapped.tool}`), tools.join());
    assert.deepEqual(
      tools.filter((name) => name.startsWith('agent')),
      ['agent:inspect'],
    );
    return `${tools.length} tools`;
  },

  async allowed({ client, place }) {
    const answer = await client.call(place.wrapped.allowed(place.folder));
    assert.equal(textOf(answer), place.wrapped.says);
    return textOf(answer);
  },

  async asks({ client, place }) {
    const answer = await client.call(place.wrapped.asks(place.folder));
    assert.equal(answer.isError, true);
    assert.match(textOf(answer), /has not run: a person has to approve it first/);
    return 'approval_required';
  },

  async denied({ client, place }) {
    const answer = await client.call(place.wrapped.denied(place.folder));
    assert.equal(answer.isError, true);
    const [, rule = 'none'] = /was not run: (\w+) denied it/.exec(textOf(answer)) ?? [];
    assert.match(rule, /^(?:sandbox_path|arg_schema)$/);
    return rule;
  },

  async reads({ client, place }) {
    const { resource } = place.wrapped;
    if (resource === undefined) return 'it offers no resources';
    assert((await client.resources()).includes(resource));
    const text = await client.read(resource);
    assert(text.length > 0);
    await assert.rejects(() => client.read('file:///etc/hostname'), /sandbox_path/);
    return `${text.length} characters`;
  },

  async 'changed-quarantined'({ reopen, place }) {
    await place.change();
    const client = await reopen();
    const answer = await client.call(place.wrapped.allowed(place.folder)).then(textOf, String);
    assert.match(answer, /not the pinned one|tool_pin|Unknown tool/);
    assert.doesNotMatch(answer, new RegExp(place.wrapped.says));
    for (let tries = 0; !(await place.lock()).includes('"quarantine"'); tries++) {
      assert(tries < 200, 'no quarantine is in the pin file');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return answer.split('\n')[0].slice(0, 120);
  },

  async 'changed-shown'({ reopen, place }) {
    const { err, code } = await place.classify();
    assert.equal(code, 0, err);
    assert.match(err, /quarantined/);
    assert(err.includes(place.added), err);
    const client = await reopen();
    assert.equal(textOf(await client.call(place.wrapped.allowed(place.folder))), place.wrapped.says);
    return err
      .split('\n')
      .find((line) => line.includes(place.added))
      .trim()
      .slice(0, 160);
  },
};
