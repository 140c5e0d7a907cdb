/** Provider adapters. */
export const PA = {
  'PA-01': 'Two provider kinds are served, and any other kind is refused without network use.',
  'PA-02':
    'A model profile is resolved by name, the default one is used when none is given, and an unknown name is refused.',
  'PA-03':
    'A credential comes only from the variable its profile names, and its value appears in no output, record or error.',
  'PA-04':
    'A turn is granted the key and the host of its selected profile only, and other tools get neither.',
  'PA-05':
    "A request whose URL differs from the profile's base URL is refused, and redirects to another host are not followed.",
  'PA-06':
    'Authentication, rate limit, HTTP, transport and shape faults become distinct codes with safe details.',
  'PA-07': 'The OpenAI-compatible kind reads governed content, native tool calls, content parts and usage.',
  'PA-08':
    'The messages-compatible kind speaks the real API: text and tool-use blocks, stop reason and usage.',
  'PA-09':
    'The stream parser handles line endings, multi-line data, a trailing event, the end mark, usage-only chunks and tool-call deltas.',
  'PA-10':
    "Tool results return in the provider's own form, paired with the assistant call that asked for them.",
  'PA-11':
    'One deterministic conformance suite with an injected transport runs every scenario for each provider kind.',
  'PA-12':
    'A scripted model ships for offline runs, and each record says which execution path was really used.',
  'PA-13': "Any function of the model's shape can be plugged in without touching the loop.",
  'PA-14': 'The default model is configuration.',
} as const;
