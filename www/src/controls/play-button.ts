// <potluck-play-button>: play, pause, and once more from the start.

import { Control, define } from './control.js';
import { dressButton, el, ignore } from './dom.js';
import { PAUSE, PLAY, REPLAY } from './icons.js';

export class PlayButton extends Control {
  protected override build(): void {
    const { video, words } = this.stage;
    const big = this.hasAttribute('big');
    const button = el('button', { type: 'button', part: big ? 'button big-play-button' : 'button play-button' });
    button.addEventListener('click', () => {
      togglePlay(video);
    });
    this.append(button);
    this.follow(['play', 'playing', 'pause', 'ended', 'seeked', 'emptied'], () => {
      if (video.ended) dressButton(button, REPLAY, words.say('replay'), 'k');
      else if (video.paused) dressButton(button, PLAY, words.say('play'), 'k');
      else dressButton(button, PAUSE, words.say('pause'), 'k');
    });
  }
}

/** Plays what is paused or over, pauses what plays. */
export function togglePlay(video: HTMLVideoElement | Control['stage']['video']): void {
  if (video.paused || video.ended) video.play().catch(ignore);
  else video.pause();
}

define('potluck-play-button', PlayButton);
