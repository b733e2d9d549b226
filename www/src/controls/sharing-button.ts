// <potluck-sharing-button>: how many people share with this viewer, in one look; opens the sharing panel.

import { Control, define } from './control.js';
import { dressButton, el, keep } from './dom.js';
import { PEOPLE } from './icons.js';

export class SharingButton extends Control {
  protected override build(): void {
    const { video, words } = this.stage;
    const button = el('button', { type: 'button', part: 'button sharing-button', 'aria-haspopup': 'dialog' });
    const count = el('span', { part: 'people' });
    button.addEventListener('click', () => {
      this.stage.toggle('sharing');
    });
    this.append(button, count);
    this.keepUp(['statschange'], () => {
      const { peers, peerBytes, httpBytes, peerState } = video.stats;
      keep(this, 'hidden', peerState === 'no-tracker' || peerState === 'webrtc-unavailable');
      const name = peers > 0 ? words.say('sharingWith', { count: peers === 1 ? words.say('viewer') : words.say('viewers', { count: peers }) }) : words.say('sharing');
      dressButton(button, PEOPLE, name, 's');
      this.toggleAttribute('data-sharing', peers > 0);
      const text = peers > 0 ? `${peers} · ${words.percent(peerBytes / Math.max(1, peerBytes + httpBytes))}` : '';
      if (count.textContent !== text) count.textContent = text;
    });
  }
}

define('potluck-sharing-button', SharingButton);
