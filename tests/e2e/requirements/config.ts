/** Config validation. */
export const CV = {
  'CV-01':
    'Configuration is YAML with unknown keys refused, and each documented fault has its message with a field path.',
  'CV-02': 'Every key of the runtime configuration has an effect.',
  'CV-03': "The pack's configuration follows one schema, and its default model and URLs must resolve.",
  'CV-04': 'Every key of the policy file is validated and read.',
  'CV-05': 'Runtime controls are validated, the sandbox profile included.',
  'CV-06': 'An invalid configuration stops the start with file, pointer and message.',
  'CV-07': 'A workspace file takes only known root keys.',
  'CV-08': 'The config check prints the effective configuration and its digest.',
  'CV-09': 'Environment patterns in configuration expand safely.',
} as const;
