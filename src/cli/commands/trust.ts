// Owns `trust`: shows a person what this workspace's configuration would start and allow, and records their word for
// exactly that digest.
import { RuntimeError } from '../../base/errors.ts';
import { judgeTrust } from '../../config/trust.ts';
import type { RuntimeConfig } from '../../config/types.ts';
import { reachOf, reachText } from '../config-reach.ts';
import type { CommonOptions, Context } from '../context.ts';
import { EXIT } from '../exits.ts';
import type { Exit } from '../exits.ts';
import { loadAny, openTrustStore } from '../trusted-config.ts';

export interface TrustOptions extends CommonOptions {
  digest?: string;
}

function refuse(message: string, config: RuntimeConfig): never {
  throw new RuntimeError('WORKSPACE_NOT_TRUSTED', message, { digest: config.digest });
}

/** The person's word: typed at a terminal, or given beforehand for exactly this digest. */
async function agree(context: Context, config: RuntimeConfig, digest: string | undefined): Promise<void> {
  if (digest !== undefined) {
    if (digest === config.digest) return;
    refuse(`The configuration here is ${config.digest}, not the digest given; read it again.`, config);
  }
  const { confirm, findTerminal, showOn } = await import('../terminal.ts');
  const terminal = findTerminal();
  if (terminal === undefined) {
    refuse(
      `Nobody can be asked here. Read the configuration, then run with --digest ${config.digest}.`,
      config,
    );
  }
  showOn(terminal, reachText(config, context), context);
  if (!(await confirm(terminal, 'Trust this configuration in this workspace?'))) {
    refuse('The configuration was not trusted.', config);
  }
}

export async function trust(context: Context, options: TrustOptions): Promise<Exit> {
  const { workspace, packageRoot, clock, print } = context;
  const config = await loadAny(context);
  const store = openTrustStore(context);
  const verdict = await judgeTrust(config, workspace, store, packageRoot);
  if (verdict === 'untrusted') {
    await agree(context, config, options.digest);
    await store.trust(workspace, config.digest, clock.now());
  }
  const now = verdict === 'bundled' ? 'bundled' : 'trusted';
  const told = { workspace, directory: config.directory, digest: config.digest, trust: now };
  await print.result({ ...told, ...reachOf(config, context) }, () =>
    verdict === 'bundled'
      ? `This is the bundled example (${config.digest}); it needs nobody's trust.`
      : `${verdict === 'trusted' ? 'Trusted already' : 'Trusted'}: ${config.digest} in ${workspace}`,
  );
  return EXIT.ok;
}
