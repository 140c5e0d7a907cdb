// Owns the list of hosts whose model APIs refuse a colon in a tool name. It is data: a wrong entry costs only a name.

/** Matched against the name a client gives itself. A label decides how tools are spelled and nothing else. */
export const COLON_REFUSING_HOSTS: readonly RegExp[] = [
  /\bclaude\b/i, // claude-code, claude-ai, Claude Desktop: ^[a-zA-Z0-9_-]{1,64}$
  /\bcodex\b/i, // ^[a-zA-Z0-9_-]+$
  /\bcopilot\b/i, // Copilot CLI answers 400
  /\bvisual studio code\b|\bvscode\b/i, // warns for each name
  /\bcursor\b/i, // warns for each name
  /\bdeepseek\b/i,
  /\bbedrock\b/i,
  /\bn8n\b/i,
];

export function refusesColon(clientName: string | undefined): boolean {
  return clientName !== undefined && COLON_REFUSING_HOSTS.some((host) => host.test(clientName));
}
