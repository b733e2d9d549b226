// What the page knows of screen, element, decoder and line that decides which renditions are worth having.

import type { ToWorker, VariantInfo } from './protocol.js';

const FRAMES_MS = 2000;
const KEY = 'potluck-bandwidth';
const DAY_MS = 86_400_000;
/** What the engine takes for granted about a line that it knows nothing of, bit/s; `Config` in player-core. */
const UNKNOWN_BPS = 1_200_000;

interface Connection {
  saveData?: boolean;
}

/** Tells the engine what changes about screen and element, and how many frames are dropped. */
export class Viewing {
  readonly #video: HTMLVideoElement;
  readonly #send: (message: ToWorker) => void;
  readonly #hdr = matchMedia('(dynamic-range: high)');
  readonly #observer = new ResizeObserver(() => {
    this.#report();
  });
  readonly #timer = setInterval(() => {
    this.#countFrames();
  }, FRAMES_MS);
  #capped = true;
  #told = '';

  constructor(video: HTMLVideoElement, send: (message: ToWorker) => void) {
    this.#video = video;
    this.#send = send;
    this.#observer.observe(video);
    this.#hdr.addEventListener('change', this.#report);
  }

  /** Whether the element's size is a limit. */
  set capped(capped: boolean) {
    this.#capped = capped;
    this.#report();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#observer.disconnect();
    this.#hdr.removeEventListener('change', this.#report);
  }

  /** Asks the browser how well it decodes what it can play. */
  async judge(variants: readonly VariantInfo[]): Promise<void> {
    // Not everywhere, whatever the types say.
    const { mediaCapabilities } = navigator as Partial<Navigator>;
    if (!mediaCapabilities) return;
    const levels = await Promise.all(variants.map(async ({ codecs, width, height, bitrate, frameRate, playable }) => {
      const codec = /\b(?:av01|avc|dv|hev|hvc|vp0)[^,\s]*/.exec(codecs)?.[0];
      if (!codec || !playable || width === 0) return 1;
      const video = { contentType: `video/mp4; codecs="${codec}"`, width, height, bitrate, framerate: frameRate || 30 };
      const info = await mediaCapabilities.decodingInfo({ type: 'media-source', video }).catch(() => null);
      if (!info?.supported) return 1;
      return info.smooth ? 1 + Number(info.powerEfficient) : 0;
    }));
    this.#send({ type: 'decoding-levels', levels });
  }

  readonly #report = (): void => {
    const { clientWidth, clientHeight } = this.#video;
    const pixels = (length: number): number => this.#capped ? Math.round(length * devicePixelRatio) : 0;
    const saveData = (navigator as Navigator & { connection?: Connection }).connection?.saveData === true;
    const message: ToWorker = { type: 'display', width: pixels(clientWidth), height: pixels(clientHeight), hdr: this.#hdr.matches, saveData };
    const told = JSON.stringify(message);
    if (told === this.#told) return;
    this.#told = told;
    this.#send(message);
  };

  #countFrames(): void {
    // Nobody sees, and browsers drop, what is behind other windows.
    if (this.#video.paused || document.visibilityState !== 'visible') return;
    const { totalVideoFrames: total, droppedVideoFrames: dropped } = this.#video.getVideoPlaybackQuality();
    if (total > 0) this.#send({ type: 'frames', total, dropped });
  }
}

/** What the line carried the last time, bit/s; null when nothing is known. After a day it is believed less, after two no more. */
export function savedBandwidth(): number | null {
  try {
    const { bps, at } = JSON.parse(localStorage.getItem(KEY) ?? '{}') as { bps?: unknown; at?: unknown };
    if (typeof bps !== 'number' || typeof at !== 'number' || !(bps > 0)) return null;
    const trust = Math.min(Math.max(2 - (Date.now() - at) / DAY_MS, 0), 1);
    return UNKNOWN_BPS + (Math.min(bps, 1e9) - UNKNOWN_BPS) * trust;
  } catch {
    // Storage may be forbidden, or hold anything.
    return null;
  }
}

/** Remembers what the line carries. */
export function saveBandwidth(bps: number): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ bps: Math.round(bps), at: Date.now() }));
  } catch {
    // Forbidden or full: the next start knows nothing.
  }
}
