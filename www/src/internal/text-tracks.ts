// The element's text tracks: subtitles, captions, metadata, chapters, thumbnails. Loaded only by streams that have some.

import { adoptStyle } from './adopt-style.js';
import { cueOf } from './text-cue.js';
import type { ToWorker } from './protocol.js';
import type { TextCue, TextEvent, TextSource, Thumbnail } from './text-protocol.js';

/** Most subtitles and captions of a title. */
const MAX_SOURCES = 200;
/** Most cues that a track keeps; those that came first go first. */
const MAX_CUES = 5000;
/** Cues that touch within this are one, in seconds. */
const TOUCH = 0.05;
/** How long a track element is waited for, in ms. */
const READY_MS = 1000;
/** Longest file of chapters, in characters. */
const MAX_CHAPTERS = 1 << 20;
/** Most pictures of I-frames that are kept. */
const MAX_PICTURES = 200;
/** What is shown until a picture is there: nothing. */
const BLANK = 'data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==#xywh=0,0,1,1';
/** WebVTT §5.1, which not every browser has. */
const COLORS = ['white', 'lime', 'cyan', 'red', 'yellow', 'magenta', 'blue', 'black'];

/** What cues of metadata carry besides a cue's own: the shape of WebKit's DataCue. */
interface DataCue extends VTTCue {
  type?: string;
  value?: unknown;
}

export class TextTracks {
  readonly #video: HTMLVideoElement;
  readonly #send: (message: ToWorker) => void;
  #sources: TextSource[] = [];
  /** By the index of their source, or by their channel. */
  readonly #tracks = new Map<number | string, Track>();
  /** The sources that the engine was told last. */
  #selected = '';
  /** Whether a track was shown that is not forced. */
  #plainShown = false;
  #pictures: (string | null | undefined)[] = [];
  /** Thumbnails are I-frames. */
  #decoded = false;
  /** Width and height of images that are one thumbnail each. */
  #size = '';
  #styled = false;
  /** Of the title: what was asked for before is not for the next. */
  #ended = new AbortController();

  constructor(video: HTMLVideoElement, send: (message: ToWorker) => void) {
    this.#video = video;
    this.#send = send;
    video.textTracks.addEventListener('change', () => {
      this.#changed();
    });
  }

  handle(event: TextEvent): void {
    switch (event.type) {
      case 'text-sources':
        this.#setSources(event.sources);
        return;
      case 'text-cues':
        for (const cue of event.cues) this.#addCue(event.source, cue);
        return;
      case 'text-date-ranges':
        this.#setDateRanges(event.ranges);
        return;
      case 'text-thumbnails':
        this.#setThumbnails(event.thumbnails);
        return;
      case 'text-picture':
        this.#setPicture(event.index, event.picture);
    }
  }

  /** Takes all tracks away. */
  clear(): void {
    this.#ended.abort();
    this.#ended = new AbortController();
    for (const track of this.#tracks.values()) track.element.remove();
    this.#tracks.clear();
    for (const url of this.#pictures) if (url) URL.revokeObjectURL(url);
    this.#pictures = [];
    this.#sources = [];
    this.#selected = '';
    this.#plainShown = false;
  }

  #setSources(sources: TextSource[]): void {
    const first = this.#sources.length === 0;
    this.#sources = sources;
    if (!first) {
      // Another language is heard: what is essential is shown in that.
      const shown = [...this.#tracks.values()].some((track) => track.forced && track.text.mode === 'showing');
      if (shown) this.#showForced();
      return;
    }
    const plain = sources.some((source) => source.chosen && !isForced(source));
    const known = new Set<string>();
    sources.forEach((source, index) => {
      const { kind, url, attributes: { NAME: name = '', LANGUAGE: language = '', CHARACTERISTICS: characteristics = '', 'INSTREAM-ID': channel = '' } } = source;
      if (kind !== 'subtitles' && kind !== 'captions') return;
      const forced = isForced(source);
      // Groups of other variants have the same ones again (bis §4.4.6.1.1).
      const same = [kind, name, language, forced].join('\n');
      if (known.has(same) || (kind === 'subtitles' && url === '') || known.size >= MAX_SOURCES) return;
      known.add(same);
      const described = /transcribes-spoken-dialog|describes-music-and-sound/.test(characteristics);
      const track = this.#addTrack(
        kind === 'captions' ? channel : index, kind === 'captions' || described ? 'captions' : 'subtitles', name || language || channel, language,
        source.chosen && !(forced && plain) ? 'showing' : 'disabled',
      );
      track.forced = forced;
    });
    const chapters = sources.find(({ kind }) => kind === 'chapters');
    if (chapters) void this.#loadChapters(chapters.url);
    // The smallest will do; pictures that are there are better than those that have to be decoded.
    const smallest = (wanted: TextSource['kind']): TextSource | undefined => sources.filter(({ kind }) => kind === wanted)
      .reduce<TextSource | undefined>((least, one) => (least && bandwidth(least) <= bandwidth(one) ? least : one), undefined);
    const pictures = smallest('images') ?? smallest('iframes');
    this.#decoded = pictures?.kind === 'iframes';
    this.#size = /^(\d+)x(\d+)$/.exec(pictures?.attributes['RESOLUTION'] ?? '')?.slice(1).join() ?? '160,90';
    if (pictures) this.#send({ type: 'text-load-thumbnails', url: pictures.url });
  }

  /** Modes have changed: fetch what is on, and show what is essential when nothing else is shown. */
  #changed(): void {
    const tracks = [...this.#tracks.entries()].filter(([, { ready }]) => ready);
    for (const [, track] of tracks) track.sync();
    const plain = tracks.filter(([, { forced, kind, text }]) => !forced && kind !== 'metadata' && kind !== 'chapters' && text.mode === 'showing');
    if (plain.length > 0) {
      for (const [, { forced, text }] of tracks) if (forced && text.mode === 'showing') text.mode = 'disabled';
    } else if (this.#plainShown) {
      this.#showForced();
    }
    this.#plainShown = plain.length > 0;
    const sources = tracks.filter(([key, { text }]) => typeof key === 'number' && text.mode !== 'disabled').map(([key]) => Number(key));
    if (sources.join() === this.#selected) return;
    this.#selected = sources.join();
    this.#send({ type: 'select-text', sources });
  }

  #showForced(): void {
    this.#sources.forEach((source, index) => {
      const track = this.#tracks.get(index);
      if (track?.forced) track.text.mode = source.chosen ? 'showing' : 'disabled';
    });
  }

  #addTrack(key: number | string, kind: TextTrackKind, label: string, language = '', mode: TextTrackMode = kind === 'captions' ? 'disabled' : 'hidden'): Track {
    const element = document.createElement('track');
    element.kind = kind;
    element.label = label;
    if (language !== '') element.srclang = language;
    this.#video.append(element);
    const track = new Track(element, kind, mode, () => {
      this.#changed();
    });
    this.#tracks.set(key, track);
    if (!this.#styled && (kind === 'subtitles' || kind === 'captions')) {
      this.#styled = true;
      const root = this.#video.getRootNode();
      if (root instanceof ShadowRoot) adoptStyle(root, COLORS.map((color) => `video::cue(.${color}){color:${color}}`).join(''));
    }
    return track;
  }

  #addCue(source: number, cue: TextCue): void {
    const track = source >= 0 ? this.#tracks.get(source) : this.#trackOf(cue.channel);
    if (!track) return;
    const made: DataCue = cueOf(cue);
    if (cue.channel === 'id3') {
      made.type = 'org.id3';
      made.value = { key: cue.id, info: cue.settings, data: cue.text === '' && cue.data.length > 0 ? cue.data.buffer : cue.text };
    } else if (cue.channel === 'emsg') {
      const [schemeIdUri = '', value = ''] = cue.id.split('\n');
      made.type = 'emsg';
      made.value = { schemeIdUri, value, data: cue.data.buffer };
    }
    track.add(made, JSON.stringify([cue.id, cue.settings, cue.text, cue.data.length]), this.#oldest());
  }

  /** The track of what was found in the media; made when it is the first of its kind. */
  #trackOf(channel: string): Track | undefined {
    const known = this.#tracks.get(channel);
    if (known) return known;
    if (channel === 'id3' || channel === 'emsg') return this.#addTrack(channel, 'metadata', channel);
    // What the playlist declares counts; without, the first kind of captions that is found: both say the same.
    const declared = this.#sources.some(({ kind }) => kind === 'captions');
    const other = [...this.#tracks.keys()].find((key) => typeof key === 'string' && /^(CC|SERVICE)/.test(key));
    if (declared || (typeof other === 'string' && other.slice(0, 2) !== channel.slice(0, 2))) return undefined;
    return this.#addTrack(channel, 'captions', channel);
  }

  /** Cues that ended before this are dropped: nobody can seek back to them. */
  #oldest(): number {
    const { duration, seekable } = this.#video;
    return duration === Infinity && seekable.length > 0 ? seekable.start(0) : -Infinity;
  }

  #setDateRanges(ranges: Extract<TextEvent, { type: 'text-date-ranges' }>['ranges']): void {
    const track = this.#tracks.get('daterange') ?? this.#addTrack('daterange', 'metadata', 'daterange');
    for (const { start, end, attributes } of ranges) {
      // It ends where the next of its class begins (bis §4.4.5.1).
      const next = attributes['END-ON-NEXT'] === 'YES'
        ? ranges.filter((other) => other.attributes['CLASS'] === attributes['CLASS'] && other.start > start).map((other) => other.start)
        : [];
      const id = attributes['ID'] ?? '';
      const cue: DataCue = cueOf({ start, end: Math.min(end, ...next), id, settings: '', text: JSON.stringify(attributes) });
      cue.type = 'com.apple.quicktime.HLS';
      cue.value = attributes;
      track.replace(cue, id, this.#oldest());
    }
  }

  async #loadChapters(url: string): Promise<void> {
    const { signal } = this.#ended;
    try {
      const response = await fetch(url, { signal });
      const text = await response.text();
      if (!response.ok || text.length > MAX_CHAPTERS || signal.aborted) return;
      const chapters = readChapters(JSON.parse(text));
      const track = this.#addTrack('chapters', 'chapters', '');
      for (const { start, end, title } of chapters) {
        track.add(cueOf({ start, end, id: '', settings: '', text: title }), `${start} ${title}`, -Infinity);
      }
    } catch {
      // A film without chapters.
    }
  }

  #setThumbnails(thumbnails: Thumbnail[]): void {
    const track = this.#tracks.get('thumbnails') ?? this.#addTrack('thumbnails', 'metadata', 'thumbnails');
    thumbnails.forEach(({ start, end, url, tile }, index) => {
      const cue = cueOf({ start, end, id: '', settings: '', text: '' });
      if (this.#decoded) Object.defineProperty(cue, 'text', { get: () => this.#pictureNear(index) });
      else cue.text = `${url}#xywh=${tile[2] > 0 ? tile.join() : `0,0,${this.#size}`}`;
      track.add(cue, `${start} ${url} ${tile.join()}`, this.#oldest());
    });
  }

  /** The picture of an I-frame; until it is decoded, which this asks for, the nearest that is there. */
  #pictureNear(index: number): string {
    if (this.#pictures[index] === undefined) {
      this.#pictures[index] = null;
      this.#send({ type: 'text-load-picture', index });
    }
    for (let far = 0; far < this.#pictures.length; far += 1) {
      const found = this.#pictures[index - far] ?? this.#pictures[index + far];
      if (found) return found;
    }
    return BLANK;
  }

  #setPicture(index: number, picture: { image: Blob; width: number; height: number } | null): void {
    if (!picture) return;
    this.#pictures[index] = `${URL.createObjectURL(picture.image)}#xywh=0,0,${picture.width},${picture.height}`;
    const kept = this.#pictures.flatMap((url, at) => (url ? [at] : []));
    if (kept.length <= MAX_PICTURES) return;
    const farthest = kept.reduce((far, at) => (Math.abs(at - index) > Math.abs(far - index) ? at : far));
    URL.revokeObjectURL(this.#pictures[farthest] ?? '');
    this.#pictures[farthest] = undefined;
  }
}

function isForced({ attributes }: TextSource): boolean {
  return attributes['FORCED'] === 'YES';
}

function bandwidth({ attributes }: TextSource): number {
  return Number(attributes['BANDWIDTH']);
}

/** A text track, and its cues. */
class Track {
  readonly element: HTMLTrackElement;
  readonly kind: TextTrackKind;
  readonly text: TextTrack;
  forced = false;
  /** Whether the mode is what it was to be at first, or has been changed since. */
  ready = false;
  readonly #cues = new Map<string, VTTCue>();
  /** Cues that the browser does not have: in Chromium those that come to a track that is off never become active. */
  readonly #waiting = new Set<VTTCue>();
  /** The last cue of each content: the next of the same may go on from it. */
  readonly #last = new Map<string, VTTCue>();

  constructor(element: HTMLTrackElement, kind: TextTrackKind, mode: TextTrackMode, onReady: () => void) {
    this.element = element;
    this.kind = kind;
    this.text = element.track;
    // A track element that gets a mode is loaded, even without a source. Until that has failed, Chromium chooses modes by itself, and then
    // it drops all cues.
    this.text.mode = 'hidden';
    const ready = (): void => {
      if (this.ready) return;
      this.ready = true;
      this.text.mode = mode;
      this.sync();
      onReady();
    };
    element.addEventListener('error', ready);
    setTimeout(ready, READY_MS);
  }

  /** Adds a cue, unless it is there. `content` tells cues apart that have the same times. */
  add(cue: VTTCue, content: string, oldest: number): void {
    const last = this.#last.get(content);
    if (last && Math.abs(last.startTime - cue.startTime) < TOUCH) {
      // Again, from the next segment: it may reach farther now.
      if (cue.endTime < Number.MAX_VALUE && cue.endTime > last.endTime) this.#end(last, cue.endTime);
      return;
    }
    if (last && this.kind !== 'metadata' && Math.abs(last.endTime - cue.startTime) < TOUCH) {
      this.#end(last, cue.endTime);
      return;
    }
    this.#endOpen(cue);
    const key = `${cue.startTime.toFixed(2)} ${content}`;
    if (this.#cues.has(key)) return;
    this.#put(key, cue, oldest);
    this.#last.delete(content);
    this.#last.set(content, cue);
    if (this.#last.size > 100) this.#last.delete(this.#last.keys().next().value ?? '');
  }

  /** Adds a cue in place of the one with the same key. */
  replace(cue: VTTCue, key: string, oldest: number): void {
    const before = this.#cues.get(key);
    if (before) {
      if (before.startTime === cue.startTime && before.endTime === cue.endTime && before.text === cue.text) return;
      this.#remove(key, before);
    }
    this.#put(key, cue, oldest);
  }

  /** What goes on for an unknown time ends when something new begins. */
  #endOpen(cue: VTTCue): void {
    for (const before of this.#cues.values()) {
      if (before.endTime === Number.MAX_VALUE && before.startTime < cue.startTime) this.#end(before, cue.startTime);
    }
  }

  #put(key: string, cue: VTTCue, oldest: number): void {
    this.#cues.set(key, cue);
    this.#waiting.add(cue);
    this.sync();
    for (const [known, before] of this.#cues) {
      if (this.#cues.size > MAX_CUES || before.endTime < oldest) this.#remove(known, before);
    }
  }

  /** Gives the browser what waits, once the track is on. */
  sync(): void {
    if (!this.ready || this.text.mode === 'disabled') return;
    for (const cue of this.#waiting) this.text.addCue(cue);
    this.#waiting.clear();
  }

  #end(cue: VTTCue, seconds: number): void {
    // As with new cues, a track that is off does not take note of changes.
    if (this.text.mode === 'disabled' && !this.#waiting.has(cue)) {
      this.text.removeCue(cue);
      this.#waiting.add(cue);
    }
    cue.endTime = seconds;
  }

  #remove(key: string, cue: VTTCue): void {
    this.#cues.delete(key);
    if (!this.#waiting.delete(cue)) this.text.removeCue(cue);
  }
}

/** Apple's chapters: `[{ "start-time": 0, "duration": 60, "titles": [{ "language": "en", "title": "Intro" }] }]`. */
function readChapters(json: unknown): { start: number; end: number; title: string }[] {
  if (!Array.isArray(json)) return [];
  const chapters = json.slice(0, MAX_CUES).flatMap((entry: unknown) => {
    const chapter = entry as { 'start-time'?: unknown; duration?: unknown; titles?: unknown } | null;
    const start = Number(chapter?.['start-time']);
    const titles = Array.isArray(chapter?.titles) ? (chapter.titles as ({ language?: unknown; title?: unknown } | null)[]) : [];
    if (!Number.isFinite(start)) return [];
    const own = navigator.languages.map((language) => language.split('-')[0]);
    const rank = (title: { language?: unknown } | null): number => {
      const place = own.indexOf(String(title?.language).split('-')[0]);
      return place < 0 ? own.length : place;
    };
    const [best] = [...titles].sort((a, b) => rank(a) - rank(b));
    const title = typeof best?.title === 'string' ? best.title : '';
    return [{ start, end: start + Number(chapter?.duration), title }];
  });
  chapters.sort((a, b) => a.start - b.start);
  return chapters.map((chapter, n) => ({ ...chapter, end: chapter.end > chapter.start ? chapter.end : (chapters[n + 1]?.start ?? Infinity) }));
}
