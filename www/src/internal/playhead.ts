// Tells the engine where the media element stands.

import type { ToWorker } from './protocol.js';

const EVENTS = [
  'play', 'playing', 'pause', 'seeking', 'seeked', 'ratechange', 'waiting', 'ended', 'loadedmetadata', 'loadeddata', 'canplay', 'timeupdate',
] as const;
const INTERVAL_MS = 250;

/** Reports at each event that matters, and four times a second while the element plays. */
export class PlayheadReporter {
  readonly #video: HTMLVideoElement;
  readonly #send: (message: ToWorker) => void;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(video: HTMLVideoElement, send: (message: ToWorker) => void) {
    this.#video = video;
    this.#send = send;
    for (const type of EVENTS) video.addEventListener(type, this.#report);
    this.#report();
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const type of EVENTS) this.#video.removeEventListener(type, this.#report);
  }

  readonly #report = (): void => {
    const { currentTime, playbackRate, paused, seeking, readyState } = this.#video;
    this.#send({ type: 'playhead', position: currentTime, rate: playbackRate, paused, seeking, readyState });
    if (!paused && this.#timer === undefined) this.#timer = setInterval(this.#report, INTERVAL_MS);
    if (paused && this.#timer !== undefined) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  };
}
