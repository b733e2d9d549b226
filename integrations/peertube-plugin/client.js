// The page's side: PeerTube calls `register` on its watch page and in its embeds.

/** Privacy of a video that everybody may see: public and unlisted (`VideoPrivacy`). */
const OPEN = [1, 2];

export async function register({ registerHook, peertubeHelpers }) {
  const mount = (given) => replace(given, peertubeHelpers).catch((cause) => {
    console.error('potluck: PeerTube\'s own player stays', cause);
  });
  registerHook({ target: 'action:video-watch.player.loaded', handler: mount });
  registerHook({ target: 'action:embed.player.loaded', handler: mount });
}

/** `player` is video.js's. In an embed there are no helpers: the files are beside this script. */
async function replace({ player, video }, helpers) {
  // Refused by the API too: the viewer is logged in, or has typed a password.
  if (!video || (video.privacy && !OPEN.includes(video.privacy.id ?? video.privacy))) return;
  const place = helpers ? `${helpers.getBaseStaticRoute()}/player` : new URL('../static/player', import.meta.url).href;
  const settings = helpers ? await helpers.getSettings() : {};
  await import(new URL(`${place}/potluck.js`, location.href).href);
  const old = player.el();
  const at = player.currentTime();
  const playing = !player.paused();
  const element = document.createElement('potluck-player');
  element.setAttribute('instance', location.origin);
  element.setAttribute('video', video.shortUUID ?? video.uuid);
  element.setAttribute('consent', 'ask');
  if (settings?.trackers) element.setAttribute('trackers', settings.trackers);
  element.style.cssText = 'width: 100%; height: 100%; aspect-ratio: auto';
  if (at > 0) element.currentTime = at;
  const parent = old.parentElement;
  parent.insertBefore(element, old);
  player.dispose();
  old.remove();
  if (playing) element.play().catch(() => undefined);
}
