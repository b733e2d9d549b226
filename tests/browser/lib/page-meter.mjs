// Runs in the page: measures playback from outside the engine, by watching the media element.

/**
 * Watches `element` ten times a second. An interruption is a standstill after playback has begun, without a seek or a pause:
 * of a quarter of a second with nothing buffered ahead, or of two seconds whatever is buffered.
 */
export function install(element) {
  const STARVED_MS = 250;
  const FROZEN_MS = 2000;
  const began = performance.now();
  const interruptions = [];
  const reasons = [];
  const events = [];
  let firstFrameMs = null;
  let position = NaN;
  let moved = began;
  let standing = null;
  let played = 0;
  let longestGapMs = 0;

  const ahead = () => {
    const { buffered } = element.nativeEl;
    for (let n = 0; n < buffered.length; n++) {
      if (buffered.start(n) <= element.currentTime + 0.1 && buffered.end(n) >= element.currentTime) return buffered.end(n) - element.currentTime;
    }
    return 0;
  };
  const look = () => {
    const now = performance.now();
    const at = element.currentTime;
    const still = element.paused || element.ended || element.seeking || element.readyState === 0;
    if (at !== position || still || firstFrameMs === null) {
      if (firstFrameMs === null && at > 0 && at !== position && !Number.isNaN(position) && !still) firstFrameMs = now - began;
      if (!still && at > position && at - position < 2) played += at - position;
      if (standing) {
        standing.ms = now - standing.since;
        standing = null;
      }
      position = at;
      moved = now;
      return;
    }
    const forMs = now - moved;
    longestGapMs = Math.max(longestGapMs, forMs);
    if (!standing && (forMs > FROZEN_MS || (forMs > STARVED_MS && ahead() < 0.25))) {
      standing = { at, ahead: ahead(), since: moved, ms: forMs, reason: element.waitingReason };
      interruptions.push(standing);
    }
    if (standing) standing.ms = forMs;
  };
  const timer = setInterval(look, 100);
  element.addEventListener('waitingreasonchange', () => {
    reasons.push(element.waitingReason);
  });
  for (const name of ['error', 'potluckwarning']) {
    element.addEventListener(name, () => {
      events.push(name === 'error' ? `error ${element.error?.name}` : `warning ${element.warnings.at(-1)?.code}`);
    });
  }
  return {
    report: () => ({
      firstFrameMs,
      played,
      longestGapMs,
      interruptions: interruptions.map(({ at, ms, ahead: left, reason }) => ({ at, ms, ahead: left, reason })),
      reasons,
      events,
    }),
    /** Counts from here. */
    reset: () => {
      interruptions.length = 0;
      reasons.length = 0;
      events.length = 0;
      played = 0;
      longestGapMs = 0;
    },
    stop: () => clearInterval(timer),
  };
}
