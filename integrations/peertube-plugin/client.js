// The page's side: PeerTube calls `register` on its watch page and in its embeds.

/** Privacy of a video that everybody may see: public and unlisted (`VideoPrivacy`). */
const OPEN = [1, 2];
/** What PeerTube's player loads with or answers keys with; `load()` of its next video makes all of it anew. */
const PARTS = ['p2pMediaLoader', 'hlsjs', 'webVideo', 'peerTubeHotkeysPlugin', 'peertubeMobile', 'bezels', 'upnext'];
/** Of PeerTube's player. */
const LENT = ['currentTime', 'paused', 'pause', 'play'];
/** What happens in our player concerns the one below only as these. */
const TOLD = ['play', 'pause', 'timeupdate'];
/** What the one below would answer a second time. */
const OURS = ['contextmenu', 'keydown', 'dblclick', 'touchstart', 'touchend'];

export async function register({ registerHook, peertubeHelpers }) {
  const handler = (given) => replace(given, peertubeHelpers).catch((cause) => {
    console.error('potluck: PeerTube\'s own player stays', cause);
  });
  registerHook({ target: 'action:video-watch.player.loaded', handler });
  registerHook({ target: 'action:embed.player.loaded', handler });
}

/** Our players, by PeerTube's that they lie over. */
const covers = new WeakMap();

/**
 * `player` is video.js's. PeerTube keeps it from video to video, and asks it for its time: so it stays, emptied, below ours, and says what
 * ours does.
 */
async function replace({ player, video }, helpers) {
  // Others are refused by the API too: the viewer is logged in, or has typed a password.
  if (!video || !OPEN.includes(video.privacy?.id)) {
    uncover(player);
    return;
  }
  const [settings] = await Promise.all([
    helpers.getSettings(),
    // Not by `getBaseStaticRoute()`: in embeds there is none.
    import(new URL('../static/player/potluck.js', import.meta.url).href),
  ]);
  const wanted = player.autoplay();
  const first = !covers.has(player);
  if (!first) lend(player, null);
  const [at, playing, muted, volume] = [player.currentTime(), Boolean(wanted) || !player.paused(), player.muted(), player.volume()];
  empty(player);
  if (first) cover(player);
  const element = covers.get(player);
  lend(player, element);
  if (first) {
    element.volume = volume;
    element.muted = muted;
  }
  if (wanted === 'muted') element.muted = true;
  element.loop = player.loop();
  if (settings.trackers) element.setAttribute('trackers', settings.trackers);
  const start = new URLSearchParams(location.search).get('start') ?? (at > 0 ? String(Math.floor(at)) : null);
  element.setAttribute('src', `${location.origin}/w/${video.shortUUID ?? video.uuid}${start === null ? '' : `?start=${encodeURIComponent(start)}`}`);
  if (!playing) return;
  // A new source stops what plays, and what was to play before it came.
  element.addEventListener('loadedmetadata', () => {
    element.play().catch(() => {
      if (wanted !== 'any' || element.error) return;
      element.muted = true;
      element.play().catch(() => undefined);
    });
  }, { once: true });
}

/** Ends what PeerTube's player loads. */
function empty(player) {
  player.pause();
  for (const name of PARTS) if (player.usingPlugin(name)) player[name]().dispose();
  player.reset();
}

function cover(player) {
  const element = document.createElement('potluck-player');
  element.setAttribute('consent', 'ask');
  element.style.cssText = 'position: absolute; inset: 0; z-index: 10; width: 100%; height: 100%; aspect-ratio: auto';
  for (const type of OURS) element.addEventListener(type, (event) => event.stopPropagation());
  for (const type of TOLD) element.addEventListener(type, () => player.trigger(type));
  player.el().append(element);
  covers.set(player, element);
}

function uncover(player) {
  lend(player, null);
  covers.get(player)?.remove();
  covers.delete(player);
}

/** From now on PeerTube's player answers for ours, or, with null, for itself. */
function lend(player, element) {
  if (element === null) {
    for (const name of LENT) delete player[name];
    return;
  }
  player.currentTime = (to) => {
    if (to === undefined) return element.currentTime;
    element.currentTime = to;
    return undefined;
  };
  player.paused = () => element.paused;
  player.pause = () => element.pause();
  player.play = () => element.play();
  // One that has not started puts off each jump to a time.
  player.hasStarted(true);
}
