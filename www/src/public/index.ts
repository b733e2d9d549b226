// Registers <potluck-video> and <potluck-player>.

import { PotluckPlayer, delegateToVideo } from './potluck-player.js';
import { PotluckVideo } from './potluck-video.js';

export * from './potluck-video.js';
export { PotluckPlayer } from './potluck-player.js';

// A page that includes the script twice, from two places, keeps the first.
const registry = globalThis.customElements as CustomElementRegistry | undefined;
if (registry && !registry.get('potluck-video')) registry.define('potluck-video', PotluckVideo);
if (registry && !registry.get('potluck-player')) {
  delegateToVideo();
  registry.define('potluck-player', PotluckPlayer);
}
