// Lets the page around the iframe drive the player: the messages of `public/embed.ts`, answered to whoever asks, and only the page
// right around this one may.

import type { AudioTrack } from 'media-tracks';
import type { PotluckPlayer } from '../public/potluck-player.js';
import { POTLUCK_EVENTS, type PotluckVideo } from '../public/potluck-video.js';
import { isAllowed } from './sources.js';
import type { EmbedReply, EmbedRequest, EmbedState } from '../public/embed.js';

const READABLE = new Set([
  'currentTime', 'duration', 'paused', 'ended', 'seeking', 'muted', 'volume', 'playbackRate', 'defaultPlaybackRate', 'loop', 'autoplay', 'readyState', 'src', 'currentSrc',
  'poster', 'videoWidth', 'videoHeight', 'buffered', 'seekable', 'played', 'error', 'warnings', 'waitingReason', 'stats', 'streamType', 'targetLiveWindow', 'liveEdgeStart',
  'videoRenditions', 'audioTracks', 'textTracks', 'trackers', 'swarm', 'swarmToken', 'p2p', 'uploadLimit', 'uploadBudget', 'uploadHidden', 'consent', 'heading',
]);
const WRITABLE = new Set([
  'currentTime', 'muted', 'volume', 'playbackRate', 'defaultPlaybackRate', 'loop', 'src', 'poster', 'trackers', 'swarm', 'swarmToken', 'p2p', 'uploadLimit', 'uploadBudget', 'uploadHidden', 'heading',
]);
/** Those that are addresses of something to load. */
const ADDRESSES = new Set(['src', 'poster']);
const METHODS = new Set(['play', 'pause', 'load', 'selectRendition', 'selectAudio', 'selectCaptions', 'requestPictureInPicture']);
const EVENTS = new Set<string>([
  ...POTLUCK_EVENTS, 'play', 'playing', 'pause', 'ended', 'timeupdate', 'seeking', 'seeked', 'waiting', 'volumechange', 'ratechange', 'durationchange', 'loadstart',
  'loadedmetadata', 'loadeddata', 'canplay', 'canplaythrough', 'progress', 'emptied', 'error', 'resize', 'enterpictureinpicture', 'leavepictureinpicture',
]);

type Element = PotluckPlayer | PotluckVideo;

/** Answers from now on. */
export function answerEmbedder(element: Element): void {
  if (parent === window) return;
  const heard = new Set<string>();
  let target = '*';
  const post = (message: EmbedReply): void => {
    parent.postMessage(message, target);
  };
  addEventListener('message', ({ source, origin, data }: MessageEvent) => {
    if (source !== parent || !isRequest(data)) return;
    // From here on nobody else reads the answers. A sandboxed page without an origin of its own has none to name.
    target = origin === 'null' ? '*' : origin;
    const { id } = data;
    answer(element, data, (type) => {
      if (heard.has(type)) return;
      heard.add(type);
      element.addEventListener(type, (event) => {
        post({ potluck: 1, event: type, state: state(element), detail: event instanceof CustomEvent ? plain(event.detail) : null });
      });
    }).then((result) => {
      post({ potluck: 1, id, result: plain(result) });
    }, (cause: unknown) => {
      post({ potluck: 1, id, error: cause instanceof Error ? cause.message : String(cause) });
    });
  });
  post({ potluck: 1, ready: true });
}

function isRequest(data: unknown): data is EmbedRequest {
  if (typeof data !== 'object' || data === null) return false;
  const { potluck, id } = data as Record<string, unknown>;
  return potluck === 1 && typeof id === 'number';
}

async function answer(element: Element, request: EmbedRequest, listen: (type: string) => void): Promise<unknown> {
  if ('get' in request) {
    if (!READABLE.has(request.get)) throw new Error(`there is no property ${request.get} to read`);
    return Reflect.get(element, request.get);
  }
  if ('set' in request) {
    if (!WRITABLE.has(request.set)) throw new Error(`there is no property ${request.set} to set`);
    if (ADDRESSES.has(request.set) && !isAllowed(String(request.value))) throw new Error(`this player's site does not let it load ${String(request.value)}`);
    Reflect.set(element, request.set, request.value);
    return null;
  }
  if ('listen' in request) {
    if (!EVENTS.has(request.listen)) throw new Error(`there is no event ${request.listen}`);
    listen(request.listen);
    return null;
  }
  if (!METHODS.has(request.call)) throw new Error(`there is no method ${request.call}`);
  const [index] = request.args;
  switch (request.call) {
    case 'selectRendition':
      element.videoRenditions.selectedIndex = Number(index);
      return null;
    case 'selectAudio':
      ([...element.audioTracks] as AudioTrack[]).forEach((track, n) => {
        track.enabled = n === Number(index);
      });
      return null;
    case 'selectCaptions':
      [...element.textTracks].forEach((track, n) => {
        if (track.kind === 'subtitles' || track.kind === 'captions') track.mode = n === Number(index) ? 'showing' : 'disabled';
      });
      return null;
    case 'requestPictureInPicture':
      await element.requestPictureInPicture();
      return null;
    default:
      return await (Reflect.get(element, request.call) as () => unknown).call(element);
  }
}

function state(element: Element): EmbedState {
  const { currentTime, duration, paused, ended, muted, volume, playbackRate, readyState, streamType } = element;
  return { currentTime, duration, paused, ended, muted, volume, playbackRate, readyState, streamType };
}

/** What can pass to another page: lists as arrays, ranges as pairs, errors by their fields. */
function plain(value: unknown): unknown {
  if (value instanceof TimeRanges || isRanges(value)) return Array.from({ length: value.length }, (_, n) => [value.start(n), value.end(n)]);
  if (value instanceof TextTrackList) return [...value].map(({ kind, label, language, mode }) => ({ kind, label, language, mode }));
  if (value instanceof EventTarget && Symbol.iterator in value) return [...value as unknown as Iterable<unknown>].map(fields);
  if (typeof value === 'object' && value !== null && 'code' in value) return fields(value);
  return value;
}

function isRanges(value: unknown): value is TimeRanges {
  return typeof value === 'object' && value !== null && typeof (value as { start?: unknown }).start === 'function';
}

/** Own and inherited fields that are plain values. */
function fields(value: unknown): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const name of ['id', 'width', 'height', 'bitrate', 'codec', 'frameRate', 'label', 'language', 'kind', 'enabled', 'selected', 'code', 'name', 'message']) {
    const field: unknown = Reflect.get(value as object, name);
    if (field === null || ['string', 'number', 'boolean'].includes(typeof field)) out[name] = field;
  }
  return out;
}
