// Owns what the pack is given: its ports and the workspace's configuration. Nothing ambient.
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import type { RuntimeConfig } from '../config/types.ts';
import type { ModelProfile, ModelProvider } from '../providers/contract.ts';
import type { Store } from '../store/contract.ts';
import type { KernelPort } from './kernel-port.ts';
import type { SessionCopies } from './managed/copy.ts';
import type { OpenDefaults } from './sessions/default-sessions.ts';

export interface PackDeps {
  config: RuntimeConfig;
  store: Store;
  kernel: KernelPort;
  clock: Clock;
  ids: Ids;
  /** The provider of a profile; may throw MISSING_ENVIRONMENT or CONFIGURATION_ERROR, which harms no other profile. */
  model: (profile: ModelProfile) => ModelProvider | Promise<ModelProvider>;
  /** This process among those that share the store. */
  instance: string;
  /** The sessions of calls that name none, of this process by now. Absent: it has none yet. */
  defaults?: OpenDefaults;
  /** Whether another process still shows signs of life. */
  isAlive(instance: string): Promise<boolean>;
  /** Looks again at which grants of delegation still stand. Absent: those of the configuration do. */
  refreshGrants?: () => Promise<void>;
  /** Where readable copies of managed sessions are put; absent: none are made. */
  copies?: SessionCopies;
}
