// Reads a stream's text in the worker, with the wasm module of player-text. Loaded only by streams that have some.

import init, { TextReader } from 'potluck-text-wasm';
import { fileUrl } from './files.js';
import type { Track } from './protocol.js';
import type { TextCue, TextEvent, TextSegment, Thumbnail } from './text-protocol.js';

/** Playlists of pictures that grow are read again after this long, in ms. */
const RELOAD_MS = 10_000;
/** Longest playlist of pictures in characters, and longest picture in bytes. */
const MAX_PLAYLIST = 8 << 20;
const MAX_PICTURE = 8 << 20;
/** Width of thumbnails that are made of I-frames, in pixels. */
const WIDTH = 240;

export class TextDesk {
  readonly #reader = new TextReader();
  readonly #post: (event: TextEvent) => void;
  #thumbnails: Thumbnail[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Pictures are decoded one after the other. */
  #pictures: Promise<void> = Promise.resolve();

  private constructor(post: (event: TextEvent) => void) {
    this.#post = post;
  }

  static async open(post: (event: TextEvent) => void): Promise<TextDesk> {
    await init({ module_or_path: fileUrl('potluck-text.wasm') });
    return new TextDesk(post);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#thumbnails = [];
  }

  /** A segment of subtitles. */
  segment({ source, start, end, offset, init: section, data }: TextSegment): void {
    try {
      this.#reader.segment(section, data, start, end, offset);
    } catch {
      // Not subtitles: an error page, most likely.
      return;
    }
    this.#tell(source);
  }

  /** Media that is appended to a source buffer. */
  append(track: Track, data: Uint8Array, timestampOffset: number | null): void {
    this.#reader.append(track === 'main' ? 0 : 1, data, timestampOffset ?? NaN);
    this.#tell(-1);
  }

  /** Loads a playlist of pictures, again and again while it grows. */
  async thumbnails(url: string): Promise<void> {
    let more = true;
    try {
      const response = await fetch(url);
      const text = await response.text();
      if (response.ok && text.length <= MAX_PLAYLIST) {
        const base = response.url || url;
        more = this.#reader.thumbnails(text);
        this.#thumbnails = this.#takeThumbnails(base);
        this.#post({ type: 'text-thumbnails', thumbnails: this.#thumbnails });
      }
    } catch {
      // Tried again.
    }
    if (more) this.#timer = setTimeout(() => void this.thumbnails(url), RELOAD_MS);
  }

  /** Decodes an I-frame. */
  picture(index: number): void {
    this.#pictures = this.#pictures.then(async () => {
      const thumbnail = this.#thumbnails[index];
      const picture = thumbnail ? await this.#decode(thumbnail).catch(() => null) : null;
      this.#post({ type: 'text-picture', index, picture });
    });
  }

  async #decode(thumbnail: Thumbnail): Promise<{ image: Blob; width: number; height: number } | null> {
    let section = thumbnail.initUrl === '' ? new Uint8Array() : await fetchBytes(thumbnail.initUrl, thumbnail.initRange);
    let data = await fetchBytes(thumbnail.url, thumbnail.range);
    // MPEG-2 TS begins with this byte.
    if (data[0] === 0x47) [section, data] = await transmux(data);
    if (!this.#reader.picture(section, data)) return null;
    const codec = this.#reader.text();
    const length = this.#reader.numbers()[0] ?? 0;
    const bytes = this.#reader.bytes();
    const frame = await decode(codec, bytes.slice(0, length), bytes.slice(length));
    try {
      const width = Math.min(WIDTH, frame.displayWidth);
      const height = Math.max(1, Math.round((width * frame.displayHeight) / frame.displayWidth));
      const canvas = new OffscreenCanvas(width, height);
      canvas.getContext('2d')?.drawImage(frame, 0, 0, width, height);
      return { image: await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.7 }), width, height };
    } finally {
      frame.close();
    }
  }

  #tell(source: number): void {
    const numbers = this.#reader.numbers();
    if (numbers.length === 0) return;
    const texts = this.#reader.text().split('\0');
    const bytes = this.#reader.bytes();
    const cues: TextCue[] = [];
    let at = 0;
    for (let n = 0; n * 3 < numbers.length; n += 1) {
      const [start = 0, end = 0, length = 0] = numbers.subarray(n * 3);
      const [channel = '', id = '', settings = '', text = ''] = texts.slice(n * 4, n * 4 + 4);
      cues.push({ start, end, channel, id, settings, text, data: bytes.slice(at, at + length) });
      at += length;
    }
    this.#post({ type: 'text-cues', source, cues });
  }

  #takeThumbnails(base: string): Thumbnail[] {
    const numbers = this.#reader.numbers();
    const texts = this.#reader.text().split('\0');
    return Array.from({ length: numbers.length / 10 }, (_, n) => {
      const [start = 0, end = 0, from = 0, length = 0, left = 0, top = 0, width = 0, height = 0, initFrom = 0, initLength = 0] = numbers.subarray(n * 10);
      return {
        start, end, url: absolute(texts[n * 2] ?? '', base), range: [from, length], tile: [left, top, width, height],
        initUrl: absolute(texts[n * 2 + 1] ?? '', base), initRange: [initFrom, initLength],
      };
    });
  }
}

function absolute(uri: string, base: string): string {
  try {
    return uri === '' ? '' : new URL(uri, base).href;
  } catch {
    return '';
  }
}

async function fetchBytes(url: string, [from, length]: [number, number]): Promise<Uint8Array> {
  const headers: Record<string, string> = length > 0 ? { range: `bytes=${from}-${from + length - 1}` } : {};
  const response = await fetch(url, { headers });
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (!response.ok || bytes.length > MAX_PICTURE) throw new Error('no picture');
  // A server that does not know ranges sends all of it.
  return length > 0 && response.status === 200 ? bytes.subarray(from, from + length) : bytes;
}

async function transmux(data: Uint8Array): Promise<[Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>]> {
  const module = (await import(fileUrl('potluck-transmux.js'))) as typeof import('potluck-transmux');
  await module.default({ module_or_path: fileUrl('potluck-transmux.wasm') });
  const transmuxer = new module.Transmuxer(false);
  try {
    transmuxer.transmux(data, true, true, true, true);
    return [new Uint8Array(transmuxer.init() ?? []), new Uint8Array(transmuxer.media())];
  } finally {
    transmuxer.free();
  }
}

function decode(codec: string, description: Uint8Array, data: Uint8Array): Promise<VideoFrame> {
  return new Promise((resolve, reject) => {
    const decoder = new VideoDecoder({ output: resolve, error: reject });
    decoder.configure({ codec, description, optimizeForLatency: true });
    decoder.decode(new EncodedVideoChunk({ type: 'key', timestamp: 0, data }));
    decoder.flush().then(() => {
      reject(new Error('no picture'));
      decoder.close();
    }, reject);
  });
}
