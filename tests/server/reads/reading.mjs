// A server that offers everything that can be read: 250 resources in pages, a template, prompts, completion, updates.
// Its tool `poke` makes it say that something changed.
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';

const PAGE = 100;
const kept = {
  title: 'A title',
  annotations: { audience: ['user'], priority: 0.5 },
  _meta: { 'x/y': { z: 1 } },
};
const icons = [{ src: 'data:image/png;base64,AA==', mimeType: 'image/png', sizes: ['1x1'] }];
const many = Array.from({ length: 250 }, (_, at) => ({
  uri: `note://${at}`,
  name: `note ${at}`,
  mimeType: 'text/plain',
}));
const RESOURCES = [
  {
    uri: 'note://full',
    name: 'full',
    description: 'All of it.',
    mimeType: 'text/markdown',
    size: 3,
    icons,
    ...kept,
  },
  ...many,
];
let extra = 0;

serveStdio(() => {
  const server = new McpServer(
    { name: 'reading', version: '1.0.0' },
    {
      capabilities: {
        tools: {},
        resources: { listChanged: true, subscribe: true },
        prompts: { listChanged: true },
        completions: {},
      },
    },
  );
  const on = (method, handler) => server.server.setRequestHandler(method, handler);
  on('resources/list', ({ params }) => {
    const all = [
      ...RESOURCES,
      ...Array.from({ length: extra }, (_, at) => ({ uri: `note://new/${at}`, name: 'new' })),
    ];
    const from = Number(params?.cursor ?? 0);
    const next = from + PAGE < all.length ? { nextCursor: String(from + PAGE) } : {};
    return { resources: all.slice(from, from + PAGE), ...next };
  });
  on('resources/templates/list', () => ({
    resourceTemplates: [
      { uriTemplate: 'row://{table}/end', name: 'row', mimeType: 'text/csv', icons, ...kept },
    ],
  }));
  on('resources/read', ({ params: { uri } }) => {
    if (uri.startsWith('note://gone')) throw Object.assign(new Error('Resource not found'), { code: -32002 });
    return {
      contents: [
        {
          uri,
          mimeType: 'text/plain',
          text: `content of ${uri}`,
          _meta: { 'x/y': 1, 'io.modelcontextprotocol/z': 1 },
        },
        { uri: `${uri}#b`, mimeType: 'image/png', blob: 'AAEC' },
      ],
      _meta: { 'x/own': true },
    };
  });
  on('resources/subscribe', () => ({}));
  on('resources/unsubscribe', () => ({}));
  on('prompts/list', () => ({
    prompts: [
      {
        name: 'greet',
        description: 'Greets.',
        arguments: [{ name: 'who', required: true }],
        icons,
        title: 'Greet',
        _meta: { a: 1 },
      },
    ],
  }));
  on('prompts/get', ({ params }) => ({
    description: 'A greeting',
    messages: [
      {
        role: 'user',
        content: { type: 'text', text: `hello ${params.arguments?.who}`, annotations: { priority: 1 } },
      },
    ],
  }));
  on('completion/complete', ({ params }) => ({
    completion: {
      values: [`${params.ref.name ?? params.ref.uri}|${params.argument.value}`],
      total: 1,
      hasMore: false,
    },
  }));
  server.registerTool('poke', { description: 'pokes' }, async () => {
    extra += 1;
    await server.server.sendResourceUpdated({ uri: 'note://full' });
    await server.server.sendResourceUpdated({ uri: 'note://1' });
    await server.server.sendResourceListChanged();
    await server.server.sendPromptListChanged();
    return { content: [{ type: 'text', text: 'poked' }] };
  });
  return server;
});
