// Tells the engine where the media element stands.

import type { ToWorker } from './protocol.js';

const EVENTS = [
  'play', 'playing', 'pause', 'seeking', 'seeked', 'ratechange', 'waiting', 'ended', 'loadedmetadata', 'loadeddata', 'canplay', 'timeupdate',
] as const;
/** More than the quarter of a second from one `timeupdate` to the next: it is for a picture that stands. */
const INTERVAL_MS = 300;

/** Reports at each event that matters, about four times a second while the element plays. */
export class PlayheadReporter {
  readonly #video: HTMLVideoElement;
  readonly #send: (message: ToWorker) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(video: HTMLVideoElement, send: (message: ToWorker) => void) {
    this.#video = video;
    this.#send = send;
    for (const type of EVENTS) video.addEventListener(type, this.#report);
    this.#report();
  }

  stop(): void {
    clearTimeout(this.#timer);
    for (const type of EVENTS) this.#video.removeEventListener(type, this.#report);
  }

  readonly #report = (): void => {
    const { currentTime, playbackRate, paused, seeking, readyState } = this.#video;
    this.#send({ type: 'playhead', position: currentTime, rate: playbackRate, paused, seeking, readyState });
    clearTimeout(this.#timer);
    if (!paused) this.#timer = setTimeout(this.#report, INTERVAL_MS);
  };
}
