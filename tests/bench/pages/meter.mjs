// Measures from outside, by the media element alone, what a viewer sees: the same for every engine.

import { timeShown } from './clock.mjs';

const EVERY_MS = 100;
/** A standstill of so much, with nothing left to play, is a rebuffer. */
const STARVED_MS = 250;
/** A standstill of so much is one whatever is buffered. */
const FROZEN_MS = 2000;

/**
 * Watches `video`. `engine` tells what the engine says of itself: `{ httpBytes, peerBytes, uploadedBytes, peers }`.
 * The figures are had from `window.bench`; times count from `window.began`, which the page sets before it asks for scripts.
 */
export function watch(video, engine) {
  let firstFrameMs = null;
  video.requestVideoFrameCallback((now) => {
    firstFrameMs = now - window.began;
  });
  let position = video.currentTime;
  let moved = performance.now();
  let played = 0;
  let standing = null;
  const rebuffers = [];

  const ahead = () => {
    const { buffered, currentTime } = video;
    for (let n = 0; n < buffered.length; n++) {
      if (buffered.start(n) <= currentTime + 0.1 && buffered.end(n) >= currentTime) return buffered.end(n) - currentTime;
    }
    return 0;
  };
  setInterval(() => {
    const now = performance.now();
    const at = video.currentTime;
    if (at !== position || video.ended || firstFrameMs === null) {
      // A jump is not played.
      if (at > position && at - position < 2) played += at - position;
      standing = null;
      position = at;
      moved = now;
      return;
    }
    const ms = now - moved;
    if (!standing && (ms > FROZEN_MS || (ms > STARVED_MS && ahead() < 0.5))) {
      standing = { at, ms };
      rebuffers.push(standing);
    }
    if (standing) standing.ms = ms;
  }, EVERY_MS);

  window.bench = {
    report: () => {
      const quality = video.getVideoPlaybackQuality();
      return {
        firstFrameMs,
        played,
        rebuffers,
        shown: { film: timeShown(video), at: Date.now() },
        frames: quality.totalVideoFrames,
        dropped: quality.droppedVideoFrames,
        height: video.videoHeight,
        failure: window.failure ?? null,
        ...engine(),
      };
    },
    firstFrameMs: () => firstFrameMs,
    played: () => played,
  };
}

/** The query of the page: what to play, and with whom. */
export function query() {
  const asked = new URLSearchParams(location.search);
  return { src: asked.get('src'), tracker: asked.get('tracker') ?? '', swarm: asked.get('swarm') ?? '', tuning: asked.get('tuning') ?? '' };
}
