// <potluck-live-button>: says whether this is live, and goes there.

import { Control, TIMELINE_EVENTS, define } from './control.js';
import { el, ignore, keep } from './dom.js';

export class LiveButton extends Control {
  protected override build(): void {
    const { video, words } = this.stage;
    const button = el('button', { type: 'button', part: 'button live-button' }, el('i'), words.say('live'));
    button.addEventListener('click', () => {
      goLive(video);
    });
    this.append(button);
    const show = (): void => {
      keep(this, 'hidden', video.streamType !== 'live');
      const following = !video.paused && video.currentTime >= video.liveEdgeStart;
      keep(button, 'data-following', following);
      keep(button, 'aria-label', following ? words.say('live') : words.say('goLive'));
      keep(button, 'title', following ? '' : words.say('goLive'));
    };
    this.follow(['seeked', 'play', 'pause'], show);
    this.keepUp(['timeupdate', ...TIMELINE_EVENTS], show);
  }
}

/** To where a viewer who follows plays. */
export function goLive(video: Control['stage']['video']): void {
  const ranges = video.seekable;
  if (ranges.length > 0) video.currentTime = ranges.end(ranges.length - 1);
  video.play().catch(ignore);
}

define('potluck-live-button', LiveButton);
