// What a pasted address leads to: a playlist as it is, a page of PeerTube's, or a page with a player in it.

import { unescapeText } from '../internal/entities.js';
import { PEERTUBE_PAGE } from '../internal/peertube-page.js';

/** What to play, in the player's terms. */
export interface Found {
  /** In words, for the page. */
  kind: string;
  src: string;
  trackers: string;
  title: string;
  poster: string;
}

/** A server that says nothing for so long is taken to have no card, in ms. */
const PATIENCE_MS = 8000;

/** Rejects with words for people when the address is none. */
export async function lookUp(text: string): Promise<Found> {
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    throw new Error('This is not an address: it has to begin with https://');
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new Error('This address cannot be played: it has to begin with https://');
  const plain = { kind: 'a playlist', src: url.href, trackers: '', title: '', poster: '' };
  if (/\.m3u8?$/i.test(url.pathname)) return plain;
  if (PEERTUBE_PAGE.test(url.href)) return { ...plain, kind: `a video of the PeerTube instance ${url.host}` };
  const embedded = fromEmbed(url);
  if (embedded) return embedded;
  return (await fromCard(url)) ?? { ...plain, kind: 'a playlist, by an address that does not look like one' };
}

/** A player's own page names all in its query. */
function fromEmbed(url: URL): Found | null {
  const query = url.searchParams;
  const src = /\/embed(\.html)?$/.test(url.pathname) ? query.get('src') : null;
  if (!src) return null;
  return { kind: 'a player in an iframe', src, trackers: query.getAll('trackers').join(' '), title: query.get('title') ?? '', poster: query.get('poster') ?? '' };
}

/** The page's oEmbed card, where its server has one: the iframe in it is a player's page. */
async function fromCard(url: URL): Promise<Found | null> {
  try {
    const response = await fetch(`${url.origin}/services/oembed?${new URLSearchParams({ format: 'json', url: url.href }).toString()}`, { credentials: 'omit', signal: AbortSignal.timeout(PATIENCE_MS) });
    const card = response.ok ? ((await response.json()) as { html?: unknown }) : {};
    const [, src] = /<iframe\b[^>]*?\ssrc="([^"]*)"/i.exec(String(card.html)) ?? [];
    const found = src === undefined ? null : fromEmbed(new URL(unescapeText(src)));
    return found && { ...found, kind: `“${found.title}” of ${url.host}` };
  } catch {
    // No card; the address may still be a playlist.
    return null;
  }
}
