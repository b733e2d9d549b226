// Plays what a page of a PeerTube instance shows: asks the instance's public API for the title, poster, playlist, hashes, captions,
// chapters and storyboard. Loaded only by players whose `src` is such a page, or that have `instance` and `video`.
// The shapes are those of PeerTube 7 and 8 (`packages/models/src/videos` there: video, video-streaming-playlist, video-caption, chapter,
// storyboard; `metrics/playback-metric-create`). Only what is used is named, and nothing is trusted to be there.

import { recall } from '../controls/memory.js';
import type { PotluckPlayer } from '../public/potluck-player.js';
import { describe } from './compile-wasm.js';
import { PEERTUBE_PAGE } from './peertube-page.js';

/** `GET /api/v1/videos/{id}` */
interface VideoDetails {
  uuid?: string;
  name?: string;
  duration?: number;
  isLive?: boolean;
  /** 1 is published. */
  state?: { id?: number; label?: string };
  /** Since 8.1; `previewPath` before. */
  thumbnails?: { width?: number; aspectRatio?: string; fileUrl?: string }[];
  previewPath?: string;
  previewUrl?: string;
  trackerUrls?: string[];
  streamingPlaylists?: { playlistUrl?: string; segmentsSha256Url?: string }[];
}
/** `GET /api/v1/videos/{id}/captions`; `fileUrl` since 7.1, `captionPath` before. */
interface Captions {
  data?: { language?: { id?: string; label?: string }; captionPath?: string; fileUrl?: string; automaticallyGenerated?: boolean }[];
}
/** `GET /api/v1/videos/{id}/chapters`, since 6.0. */
interface Chapters {
  chapters?: { timecode?: number; title?: string }[];
}
/** `GET /api/v1/videos/{id}/storyboards`, since 6.0: one picture with all sprites, row by row. Pixels and seconds. */
interface Storyboards {
  storyboards?: { storyboardPath?: string; fileUrl?: string; totalHeight?: number; totalWidth?: number; spriteHeight?: number; spriteWidth?: number; spriteDuration?: number }[];
}
/** Of an answer that refuses. */
interface Refusal {
  code?: string;
  detail?: string;
}

/** A refusal with the name that `error` gets. */
class Refused extends Error {
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

const PUBLISHED = 1;
const WAITING_FOR_LIVE = 4;
const LIVE_ENDED = 5;
/** An instance that says nothing for so long is unreachable, in ms. */
const PATIENCE_MS = 20_000;
/** As PeerTube's own player reports, in ms. */
const VIEW_MS = 5000;
const METRICS_MS = 15_000;
/** Chapters, captions and sprites of one title at most. */
const MOST = 2000;

const watches = new WeakMap<PotluckPlayer, Watch>();

/** Plays what the player's attributes say now, whether that is a page of PeerTube or a playlist again. */
export function follow(player: PotluckPlayer): void {
  const page = pageOf(player);
  const before = watches.get(player);
  if (before && before.page === page) return;
  before?.end();
  watches.delete(player);
  if (page !== null) {
    watches.set(player, new Watch(player, page));
    return;
  }
  const src = player.getAttribute('src');
  if (src === null) player.video.removeAttribute('src');
  else player.video.setAttribute('src', src);
}

/** The page's address; null where the attributes name none. */
function pageOf(player: PotluckPlayer): string | null {
  const [instance, id] = [player.getAttribute('instance')?.trim(), player.getAttribute('video')?.trim()];
  if (instance && id) return `${/^https?:\/\//.test(instance) ? '' : 'https://'}${instance.replace(/\/+$/, '')}/w/${encodeURIComponent(id)}`;
  const src = player.getAttribute('src')?.trim() ?? '';
  return PEERTUBE_PAGE.test(src) ? src : null;
}

/** One title of one instance, in one player. */
class Watch {
  readonly page: string;
  readonly #player: PotluckPlayer;
  readonly #ended = new AbortController();
  readonly #undo: (() => void)[] = [];

  constructor(player: PotluckPlayer, page: string) {
    this.#player = player;
    this.page = page;
    player.video.removeAttribute('src');
    this.#open().catch((cause: unknown) => {
      if (this.#over()) return;
      player.video.fail(cause instanceof Refused ? cause.name : 'peertube-answer', cause instanceof Error ? cause.message : String(cause));
      this.#tryAgain();
    });
  }

  /** Leaves the player as it was. */
  end(): void {
    this.#ended.abort();
    for (const undo of this.#undo.splice(0)) undo();
  }

  async #open(): Promise<void> {
    const url = new URL(this.page, document.baseURI);
    const id = url.pathname.split('/').filter((part) => part !== '').at(-1) ?? '';
    const api = `${url.origin}/api/v1/videos/${id}`;
    const details = (await this.#ask(api)) as VideoDetails;
    if (this.#over()) return;
    const playlist = playable(details, url.host);
    const { video } = this.#player;
    this.#say('heading', details.name);
    const [widest] = (details.thumbnails ?? []).filter(({ aspectRatio }) => aspectRatio === '16:9').sort((one, other) => (other.width ?? 0) - (one.width ?? 0));
    this.#say('poster', address(url, widest?.fileUrl, details.previewUrl, details.previewPath));
    this.#say('hashes', address(url, playlist.segmentsSha256Url));
    // The trackers of an instance know its own titles' swarms only, and shut out who asks for others: they are used where the page says so.
    if (this.#player.getAttribute('trackers')?.trim() === 'instance') video.setAttribute('trackers', (details.trackerUrls ?? []).filter((one) => one.startsWith('ws')).join(' '));
    if (!this.#player.hasAttribute('crossorigin')) {
      // Text tracks of another site are read with CORS, or not at all.
      video.setAttribute('crossorigin', 'anonymous');
      this.#undo.push(() => { video.removeAttribute('crossorigin'); });
    }
    const start = seconds(url.searchParams.get('start'));
    if (start > 0 && video.currentTime === 0) video.currentTime = start;
    video.setAttribute('src', address(url, playlist.playlistUrl) ?? '');
    this.#undo.push(() => { video.removeAttribute('src'); });
    this.#report(url, details);
    // What is nice to have comes behind the film, and its absence is no failure.
    const [captions, chapters, storyboards] = await Promise.all(['captions', 'chapters', 'storyboards'].map((what) => this.#ask(`${api}/${what}`).catch(() => ({}))));
    if (this.#over()) return;
    for (const { language, fileUrl, captionPath } of ((captions as Captions).data ?? []).slice(0, MOST)) {
      const src = address(url, fileUrl, captionPath);
      if (src && language?.id) this.#track({ kind: 'subtitles', src, srclang: language.id, label: language.label ?? language.id });
    }
    const marks = chapterCues(chapters as Chapters, details.duration ?? 0);
    if (marks !== '') this.#track({ kind: 'chapters', src: dataUrl(marks), label: 'chapters' }, true);
    const sprites = spriteCues(storyboards as Storyboards, url, details.duration ?? 0);
    if (sprites !== '') this.#track({ kind: 'metadata', src: dataUrl(sprites), label: 'thumbnails' }, true);
  }

  #over(): boolean {
    return this.#ended.signal.aborted;
  }

  /** JSON of the instance; refusals in words. */
  async #ask(url: string): Promise<unknown> {
    const { host } = new URL(url);
    let response: Response;
    try {
      response = await fetch(url, { credentials: 'omit', signal: AbortSignal.any([this.#ended.signal, AbortSignal.timeout(PATIENCE_MS)]) });
    } catch (cause) {
      throw new Refused('peertube-unreachable', `${host} does not answer, or is no PeerTube instance that pages may ask: ${describe(cause)}`);
    }
    const body = (await response.json().catch(() => null)) as Refusal | null;
    if (response.ok && body !== null && typeof body === 'object') return body;
    throw refusal(response.status, body, host);
  }

  /** An attribute, unless the page says something there itself. */
  #say(name: 'heading' | 'poster' | 'hashes', value: string | null | undefined): void {
    if (!value || this.#player.hasAttribute(name)) return;
    this.#player.setAttribute(name, value);
    this.#undo.push(() => {
      if (this.#player.getAttribute(name) === value) this.#player.removeAttribute(name);
    });
  }

  #track(attributes: Record<string, string>, hidden = false): void {
    const track = document.createElement('track');
    for (const [name, value] of Object.entries(attributes)) track.setAttribute(name, value);
    // Chapters and pictures are read at once, captions when somebody wants them.
    if (hidden) track.setAttribute('default', '');
    this.#player.video.append(track);
    this.#undo.push(() => { track.remove(); });
  }

  /** `load()` and `play()` ask the instance again, once. */
  #tryAgain(): void {
    const { video } = this.#player;
    const own = video as unknown as Record<string, unknown>;
    const restore = (): void => {
      delete own['load'];
      delete own['play'];
    };
    const again = (): Promise<void> => {
      restore();
      this.end();
      watches.delete(this.#player);
      follow(this.#player);
      // The wish to play is kept until there is something.
      return video.play();
    };
    own['load'] = () => { again().catch(() => undefined); };
    own['play'] = again;
    this.#undo.push(restore);
  }

  /** Views and what playback was like, as PeerTube's own player tells its instance; only of viewers who have agreed to be seen. */
  #report({ origin }: URL, { uuid }: VideoDetails): void {
    if (!uuid) return;
    const { video } = this.#player;
    const post = (path: string, body: object): void => {
      if (video.paused || recall('share') !== true) return;
      fetch(origin + path, { method: 'POST', credentials: 'omit', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal: this.#ended.signal }).catch(() => undefined);
    };
    let sent = { peerBytes: 0, httpBytes: 0, uploadedBytes: 0, rebuffers: 0 };
    const timers = [
      setInterval(() => { post(`/api/v1/videos/${uuid}/views`, { currentTime: Math.floor(video.currentTime) }); }, VIEW_MS),
      setInterval(() => {
        const { stats } = video;
        const since = (name: keyof typeof sent): number => Math.max(0, stats[name] - sent[name]);
        post('/api/v1/metrics/playback', {
          playerMode: 'p2p-media-loader', resolution: video.videoHeight, p2pEnabled: stats.peerState !== 'off', p2pPeers: stats.peers, resolutionChanges: 0, errors: 0,
          bufferStalled: since('rebuffers'), downloadedBytesP2P: since('peerBytes'), downloadedBytesHTTP: since('httpBytes'), uploadedBytesP2P: since('uploadedBytes'), videoId: uuid,
        });
        sent = { ...stats };
      }, METRICS_MS),
    ];
    this.#undo.push(() => { timers.forEach(clearInterval); });
  }
}

/** The playlist; a title without one is refused in words. */
function playable({ streamingPlaylists, state, isLive }: VideoDetails, host: string): { playlistUrl?: string; segmentsSha256Url?: string } {
  if (state?.id === WAITING_FOR_LIVE) throw new Refused('peertube-not-ready', `this broadcast of ${host} has not begun`);
  if (isLive && state?.id === LIVE_ENDED) throw new Refused('peertube-not-ready', `this broadcast of ${host} has ended`);
  const playlist = streamingPlaylists?.find(({ playlistUrl }) => playlistUrl);
  if (playlist) return playlist;
  const why = state?.id !== undefined && state.id !== PUBLISHED ? `it is not published yet (${state.label ?? state.id})` : 'the instance has it as plain files only';
  throw new Refused('peertube-not-ready', `this video of ${host} has no HLS playlist: ${why}`);
}

function refusal(status: number, body: Refusal | null, host: string): Refused {
  const words = body?.detail ? `: ${body.detail}` : '';
  if (body?.code === 'video_requires_password' || body?.code === 'incorrect_video_password') return new Refused('peertube-password', `this video of ${host} is protected by a password; watch it there`);
  if (status === 401 || status === 403) return new Refused('peertube-private', `${host} does not show this video to everybody${words}`);
  if (status === 404 || status === 410) return new Refused('peertube-missing', `${host} has no such video: it was deleted, or the address is wrong`);
  if (status === 429 || status >= 500) return new Refused('peertube-unreachable', `${host} cannot answer now: HTTP status ${status}${words}`);
  return new Refused('peertube-answer', `${host} does not answer as a PeerTube instance: HTTP status ${status}${words}`);
}

/** The first that is there, as an absolute URL of the web. */
function address(base: URL, ...candidates: (string | null | undefined)[]): string | null {
  for (const candidate of candidates) {
    if (!candidate) continue;
    try {
      const url = new URL(candidate, base.origin);
      if (/^https?:$/.test(url.protocol)) return url.href;
    } catch {
      // The next, then.
    }
  }
  return null;
}

/** `90`, `90s`, `1m30s`, `1h2m3s`; 0 for none. */
function seconds(text: string | null): number {
  const [, hours = '0', minutes = '0', rest = '0'] = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?$/.exec(text ?? '') ?? [];
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(rest);
}

function chapterCues({ chapters }: Chapters, duration: number): string {
  const list = (chapters ?? []).slice(0, MOST).filter(({ timecode, title }) => Number.isFinite(timecode) && title);
  return vtt(list.map(({ timecode = 0, title = '' }, index) => [timecode, list[index + 1]?.timecode ?? Math.max(duration, timecode + 1), title]));
}

function spriteCues({ storyboards }: Storyboards, base: URL, duration: number): string {
  const board = storyboards?.at(-1);
  const picture = address(base, board?.fileUrl, board?.storyboardPath);
  const { totalWidth = 0, totalHeight = 0, spriteWidth = 0, spriteHeight = 0, spriteDuration = 0 } = board ?? {};
  const [columns, rows] = [Math.floor(totalWidth / spriteWidth), Math.floor(totalHeight / spriteHeight)];
  if (!picture || !(columns > 0 && rows > 0 && spriteDuration > 0)) return '';
  const count = Math.min(MOST, columns * rows, Math.ceil(duration / spriteDuration));
  return vtt(Array.from({ length: count }, (_, n) => [
    n * spriteDuration, (n + 1) * spriteDuration, `${picture}#xywh=${(n % columns) * spriteWidth},${Math.floor(n / columns) * spriteHeight},${spriteWidth},${spriteHeight}`,
  ]));
}

function vtt(cues: [number, number, string][]): string {
  if (cues.length === 0) return '';
  const text = (value: string): string => value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll(/[\r\n]+/g, ' ');
  return `WEBVTT\n\n${cues.map(([from, to, says]) => `${time(from)} --> ${time(to)}\n${text(says)}\n`).join('\n')}`;
}

function time(at: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  return `${two(at / 3600)}:${two((at / 60) % 60)}:${two(at % 60)}.${String(Math.round((at % 1) * 1000) % 1000).padStart(3, '0')}`;
}

/** No object URL, that somebody would have to take back. */
function dataUrl(text: string): string {
  return `data:text/vtt;charset=utf-8,${encodeURIComponent(text)}`;
}
