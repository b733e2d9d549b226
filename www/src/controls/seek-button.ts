// <potluck-seek-button by="-10">: so many seconds back or forward.

import { Control, TIMELINE_EVENTS, define, seekBy, seekable } from './control.js';
import { dressButton, el, keep } from './dom.js';
import { BACK, FORWARD } from './icons.js';

export class SeekButton extends Control {
  protected override build(): void {
    const { video, words } = this.stage;
    const by = Number(this.getAttribute('by'));
    const button = el('button', { type: 'button', part: 'button seek-button' });
    dressButton(button, by < 0 ? BACK : FORWARD, words.say(by < 0 ? 'back' : 'forward'), by < 0 ? 'j' : 'l');
    button.addEventListener('click', () => {
      seekBy(video, by);
    });
    this.append(button);
    this.follow(TIMELINE_EVENTS, () => {
      keep(this, 'hidden', seekable(video) === null);
    });
  }
}

define('potluck-seek-button', SeekButton);
