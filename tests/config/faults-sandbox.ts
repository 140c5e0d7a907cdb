// Faults of sandbox profiles, wherever they are written.
import { fault } from './fault.ts';
import type { Fault } from './fault.ts';

export const SANDBOX_FAULTS: Fault[] = [
  fault(
    'a sandbox profile with a network that nothing could filter',
    'runtime-controls.yaml',
    [
      '  background_mode_allowed: true',
      '  sandbox_profile: { permissions: { network: allowlist } }\n  background_mode_allowed: true',
    ],
    ['allowlist', '/runtime_controls/sandbox_profile/permissions/network', 'must be "denied" or "full"'],
  ),
  fault(
    'a snapshot of a home that is not kept',
    'runtime-controls.yaml',
    [
      '  background_mode_allowed: true',
      '  sandbox_profile: { state: { snapshot: required_on_completion } }\n  background_mode_allowed: true',
    ],
    [
      'required_on_completion',
      '/runtime_controls/sandbox_profile/state/snapshot',
      'needs persist_session_state: true; there is nothing else to copy',
    ],
  ),
  fault(
    'a sandbox entry that is everything',
    'servers.yaml',
    ["path: '{sandbox}', source", 'path: /, source'],
    ['/, source', '/servers/files/sandbox_profile/workspace/entries/0/path', 'is everything on this machine'],
  ),
  fault(
    'a secret for a server whose profile has none',
    'servers.yaml',
    ['    env_allow: []', '    env_allow: [SOME_KEY]'],
    [
      '[SOME_KEY]',
      '/servers/desk/env_allow',
      'hands on our environment, but secrets of its sandbox profile is none; declared lets it have them',
    ],
  ),
  fault(
    'a promise of a sandbox that the server may run without',
    'capabilities.yaml',
    ['    sandboxed: false', '    sandboxed: true'],
    [
      'true\n\n  read_doc',
      '/capabilities/search_docs/sandboxed',
      'cannot be kept: its sandbox_profile says missing: warn, so desk may run without one',
    ],
  ),
];
