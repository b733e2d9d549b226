// The iframe's page: reads its query and shows the player. As a module it builds such a query for pages that embed.

import { PotluckPlayer } from './index.js';

/** What the iframe's page understands. */
export interface EmbedOptions {
  /** Absolute URL of the playlist. */
  src: string;
  /** WebSocket URLs of trackers. */
  trackers?: readonly string[];
  swarm?: string;
  p2p?: string;
  /** Seconds. */
  start?: number;
  title?: string;
  poster?: string;
  autoplay?: boolean;
  muted?: boolean;
  loop?: boolean;
  /** Default true. */
  controls?: boolean;
}

/** URL for an iframe; `page` is where `embed.html` is served. */
export function embedUrl(page: string, options: EmbedOptions): string {
  const url = new URL(page, document.baseURI);
  for (const [name, value] of Object.entries(options)) {
    if (typeof value === 'boolean') url.searchParams.set(name, value ? '1' : '0');
    else if (Array.isArray(value)) url.searchParams.set(name, value.join(' '));
    else if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url.href;
}

/** Shows what the query asks for; without `src`, says what is missing. */
export function showEmbed(into: HTMLElement, query: URLSearchParams): void {
  const src = query.get('src')?.trim();
  if (!src) {
    const message = document.createElement('p');
    message.className = 'message';
    message.setAttribute('role', 'alert');
    message.textContent = 'There is nothing to play: the address of this page needs ?src= with the URL of an HLS playlist (.m3u8).';
    into.replaceChildren(message);
    return;
  }
  const title = query.get('title');
  if (title) document.title = title;
  const element = isOn(query, 'controls', true) ? new PotluckPlayer() : document.createElement('potluck-video');
  if (element instanceof PotluckPlayer && title) element.heading = title;
  for (const name of ['swarm', 'p2p', 'poster', 'upload-limit', 'ice-servers']) {
    const value = query.get(name);
    if (value !== null) element.setAttribute(name, value);
  }
  const trackers = query.getAll('trackers').join(' ').replaceAll(',', ' ').trim();
  if (trackers !== '') element.setAttribute('trackers', trackers);
  for (const name of ['autoplay', 'muted', 'loop']) element.toggleAttribute(name, isOn(query, name, false));
  element.setAttribute('playsinline', '');
  const start = Number(query.get('start') ?? '0');
  if (Number.isFinite(start) && start > 0) element.currentTime = start;
  element.setAttribute('src', src);
  into.replaceChildren(element);
}

/** `?muted`, `?muted=1` and `?muted=true` are on, `?muted=0` and `?muted=false` off. */
function isOn(query: URLSearchParams, name: string, otherwise: boolean): boolean {
  const value = query.get(name);
  return value === null ? otherwise : !['0', 'false', 'off', 'no'].includes(value.toLowerCase());
}

const place = document.querySelector<HTMLElement>('[data-potluck-embed]');
if (place) showEmbed(place, new URLSearchParams(location.search));
