// The iframe's page: reads its query, shows the player, and lets the page around it drive the player.

import { PotluckPlayer, PotluckVideo } from '../public/index.js';
import { adoptStyle } from '../internal/adopt-style.js';
import { fileUrl } from '../internal/files.js';
import STYLE from './embed.css';
import { omitCredentials } from './omit-credentials.js';
import { answerPeerTube } from './peertube-api.js';
import { answerEmbedder } from './remote.js';
import { isAllowed, mayUseCredentials } from './sources.js';

/** Attributes of the element by their names in the query. */
const ATTRIBUTES = ['swarm', 'swarm-token', 'min-viewers', 'p2p', 'poster', 'upload-limit', 'upload-budget', 'upload-hidden', 'ice-servers', 'cache', 'hashes', 'publisher-key', 'scheme', 'lang'];
const SWITCHES = ['autoplay', 'muted', 'loop'];

/** Those that are addresses of something to load. */
const ADDRESSES = new Set(['poster', 'hashes']);

/** Shows what the query asks for; without `src`, or with one that the site does not allow, says so. */
export function showEmbed(into: HTMLElement, query: URLSearchParams): void {
  const src = query.get('src')?.trim();
  if (!src || !isAllowed(src)) {
    const message = document.createElement('p');
    message.className = 'message';
    message.setAttribute('role', 'alert');
    message.textContent = src
      ? 'The site that this player belongs to does not let it play this address.'
      : 'There is nothing to play: the address of this page needs ?src= with the URL of an HLS playlist (.m3u8).';
    into.replaceChildren(message);
    return;
  }
  const title = query.get('title');
  if (title) document.title = title;
  const element = isOn(query, 'controls', true) ? new PotluckPlayer() : document.createElement('potluck-video');
  const video = element instanceof PotluckPlayer ? element.video : element;
  if (element instanceof PotluckPlayer && title) element.heading = title;
  for (const name of ATTRIBUTES) {
    const value = query.get(name);
    if (value !== null && (!ADDRESSES.has(name) || isAllowed(value))) element.setAttribute(name, value);
  }
  // An embed is asked about on a page that may not speak for it.
  element.setAttribute('consent', query.get('consent') ?? 'ask');
  const trackers = query.getAll('trackers').join(' ').replaceAll(',', ' ').trim();
  if (trackers !== '') element.setAttribute('trackers', trackers);
  for (const name of SWITCHES) element.toggleAttribute(name, isOn(query, name, false));
  if (isOn(query, 'lazy', false)) element.setAttribute('preload', 'none');
  element.setAttribute('playsinline', '');
  colour(element, '--potluck-accent', query.get('accent') ?? query.get('bigPlayBackgroundColor'));
  colour(element, '--potluck-on-accent', query.get('on-accent') ?? query.get('foregroundColor'));
  const start = seconds(query.get('start'));
  if (start !== null) element.currentTime = start;
  const rate = seconds(query.get('playbackRate'));
  if (rate !== null) element.defaultPlaybackRate = element.playbackRate = rate;
  stopAt(video, seconds(query.get('stop')));
  showSubtitle(video, query.get('subtitle'));
  element.setAttribute('src', src);
  into.replaceChildren(element);
  answerEmbedder(element);
  answerPeerTube(video, query.get('scope') ?? 'peertube');
}

/** `?muted`, `?muted=1` and `?muted=true` are on, `?muted=0` and `?muted=false` off. */
function isOn(query: URLSearchParams, name: string, otherwise: boolean): boolean {
  const value = query.get(name);
  return value === null ? otherwise : !['0', 'false', 'off', 'no'].includes(value.toLowerCase());
}

/** `90`, `90s`, `1m30s`, `1h2m3s`, `1:30`; null when it is none of these, or 0. */
function seconds(text: string | null): number | null {
  const [, hours = '0', minutes = '0', rest = '0'] = /^(?:(\d+)(?:h|:(?=\d+:)))?(?:(\d+)(?:m|:))?(?:(\d+(?:\.\d+)?)s?)?$/.exec(text?.trim() ?? '') ?? [];
  const total = Number(hours) * 3600 + Number(minutes) * 60 + Number(rest);
  return total > 0 ? total : null;
}

/** A colour of the query: anything that is none is left out. */
function colour(element: HTMLElement, property: string, value: string | null): void {
  const text = value && /^[0-9a-f]{3,8}$/i.test(value) ? `#${value}` : value;
  if (text && CSS.supports('color', text)) element.style.setProperty(property, text);
}

/** Pauses there once; the viewer may go on. */
function stopAt(video: PotluckVideo, end: number | null): void {
  if (end === null) return;
  const stop = (): void => {
    if (video.currentTime < end) return;
    video.removeEventListener('timeupdate', stop);
    video.pause();
  };
  video.addEventListener('timeupdate', stop);
}

function showSubtitle(video: PotluckVideo, language: string | null): void {
  if (!language) return;
  const show = (): void => {
    const track = [...video.textTracks].find((one) => (one.kind === 'subtitles' || one.kind === 'captions') && one.language.toLowerCase().startsWith(language.toLowerCase()));
    if (!track) return;
    track.mode = 'showing';
    video.textTracks.removeEventListener('addtrack', show);
  };
  video.textTracks.addEventListener('addtrack', show);
  show();
}

if (!mayUseCredentials()) {
  omitCredentials();
  PotluckVideo.workerUrl = fileUrl('embed-worker.js');
}
adoptStyle(document, STYLE);
const place = document.querySelector<HTMLElement>('[data-potluck-embed]');
if (place) showEmbed(place, new URLSearchParams(location.search));
