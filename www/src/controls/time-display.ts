// <potluck-time>: position and duration; a click shows what is left instead.

import { Control, TIMELINE_EVENTS, define, seekable } from './control.js';
import { el, keep } from './dom.js';
import { clock } from './words.js';

export class TimeDisplay extends Control {
  protected override build(): void {
    const { video } = this.stage;
    const button = el('button', { type: 'button', part: 'time', tabindex: '-1', 'aria-hidden': 'true' });
    let left = false;
    const show = (): void => {
      const range = seekable(video);
      const live = video.streamType === 'live';
      keep(this, 'hidden', range === null);
      if (!range) return;
      const behind = range[1] - video.currentTime;
      const text = live ? behind > 1 ? `−${clock(behind)}` : '' : `${left ? `−${clock(behind)}` : clock(video.currentTime)} / ${clock(range[1])}`;
      if (button.textContent !== text) button.textContent = text;
    };
    button.addEventListener('click', () => {
      left = !left;
      show();
    });
    this.append(button);
    this.follow(['seeking', 'seeked'], show);
    this.keepUp(['timeupdate', ...TIMELINE_EVENTS], show);
  }
}

define('potluck-time', TimeDisplay);
