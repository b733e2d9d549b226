// Registers <potluck-video> and <potluck-player>.

import { PotluckPlayer, delegateToVideo } from './potluck-player.js';
import { PotluckVideo } from './potluck-video.js';

export * from './potluck-video.js';
export { PotluckPlayer } from './potluck-player.js';

// A page that includes the script twice, from two places, keeps the first.
if (!customElements.get('potluck-video')) customElements.define('potluck-video', PotluckVideo);
if (!customElements.get('potluck-player')) {
  delegateToVideo();
  customElements.define('potluck-player', PotluckPlayer);
}
