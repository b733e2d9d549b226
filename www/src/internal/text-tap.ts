// Watches what passes through the worker for text, and loads what reads it (text-desk.ts) when a stream turns out to have some.

import type { EngineMessage } from 'potluck-wasm';
import { fileUrl } from './files.js';
import type { MediaCommand, ToWorker, Track } from './protocol.js';
import type { TextDesk } from './text-desk.js';
import type { TextEvent, TextSegment } from './text-protocol.js';

type Append = Extract<MediaCommand, { type: 'media-append' }>;
type Work = (desk: TextDesk) => void;

/** Captions that no playlist declares are looked for in so many appends. */
const LOOKS = 8;
/** Segments that wait for the desk to be loaded at most. */
const MAX_WAITING = 64;
const [FTYP, MOOV, EMSG, GA94] = [0x66747970, 0x6d6f6f76, 0x656d7367, 0x47413934];

export class TextTap {
  readonly #post: (event: TextEvent) => void;
  #desk: { loaded: TextDesk | null; waiting: Work[] } | null = null;
  /** Whether appended media is passed on. */
  #tapped = false;
  #looks = LOOKS;
  readonly #inits = new Map<Track, Uint8Array>();

  constructor(post: (event: TextEvent) => void) {
    this.#post = post;
  }

  /** A message of the page's, before the engine gets it; true when it is not for the engine. */
  toEngine(message: ToWorker): boolean {
    if (message.type === 'load' || message.type === 'unload') this.#reset();
    if (message.type === 'text-load-thumbnails') {
      this.#give((desk) => void desk.thumbnails(message.url));
    } else if (message.type === 'text-load-picture') {
      this.#give((desk) => {
        desk.picture(message.index);
      });
    } else {
      return false;
    }
    return true;
  }

  /** A message of the engine's, before it goes on; true when it goes nowhere else. */
  fromEngine(message: EngineMessage): message is TextSegment {
    if (message.type === 'media-append') {
      this.#append(message);
    } else if (message.type === 'text-sources') {
      if (message.sources.some(({ kind }) => kind === 'captions')) this.#tap();
    } else if (message.type === 'text-segment') {
      this.#give((desk) => {
        desk.segment(message);
      });
      return true;
    }
    return false;
  }

  #append({ track, data, timestampOffset }: Append): void {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const kind = data.length < 8 ? 0 : view.getUint32(4);
    if (!this.#tapped) {
      if (kind === FTYP || kind === MOOV) this.#inits.set(track, data.slice());
      else if (this.#hasText(view, track)) this.#tap();
    }
    if (!this.#tapped) return;
    // Before the desk is there the bytes have gone elsewhere by its turn.
    const kept = this.#desk?.loaded ? data : data.slice();
    this.#give((desk) => {
      desk.append(track, kept, timestampOffset);
    });
  }

  /** Whether a segment has events, or captions in its first pictures. */
  #hasText(view: DataView, track: Track): boolean {
    const last = view.byteLength - 8;
    for (let at = 0, size = 8; at <= last && size >= 8; at += size) {
      size = view.getUint32(at);
      if (view.getUint32(at + 4) === EMSG) return true;
    }
    if (track !== 'main' || this.#looks-- <= 0) return false;
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    for (let at = bytes.indexOf(0xb5); at >= 0 && at < last; at = bytes.indexOf(0xb5, at + 1)) {
      if (view.getUint32(at + 3) === GA94) return true;
    }
    return false;
  }

  #tap(): void {
    if (this.#tapped) return;
    this.#tapped = true;
    this.#inits.forEach((init, track) => {
      this.#give((desk) => {
        desk.append(track, init, null);
      });
    });
  }

  #give(work: Work): void {
    if (this.#desk?.loaded) {
      work(this.#desk.loaded);
      return;
    }
    const desk = (this.#desk ??= this.#load());
    if (desk.waiting.length < MAX_WAITING) desk.waiting.push(work);
  }

  #load(): { loaded: TextDesk | null; waiting: Work[] } {
    const desk: { loaded: TextDesk | null; waiting: Work[] } = { loaded: null, waiting: [] };
    void (import(fileUrl('potluck-text.js')) as Promise<typeof import('./text-desk.js')>)
      .then(async (module) => await module.TextDesk.open((event) => {
        if (this.#desk === desk) this.#post(event);
      }))
      .then((loaded) => {
        desk.loaded = loaded;
        for (const work of desk.waiting.splice(0)) work(loaded);
      })
      .catch(() => {
        // Playback goes on without text; the next that comes tries again.
        if (this.#desk === desk) this.#desk = null;
      });
    return desk;
  }

  #reset(): void {
    this.#desk?.loaded?.close();
    this.#desk = null;
    this.#tapped = false;
    this.#looks = LOOKS;
    this.#inits.clear();
  }
}
