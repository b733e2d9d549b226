// <potluck-consent>: asks before anything tells others this viewer's address, where the page says `consent="ask"`. Refusing costs
// nothing but sharing, and the answer is kept for the site.

import { Control, define } from './control.js';
import { el } from './dom.js';
import { chooseSharing } from './sharing-choice.js';

export class ConsentNotice extends Control {
  protected override build(): void {
    const { player, video, words } = this.stage;
    const answer = (text: string, share: boolean): HTMLElement => {
      const button = el('button', { type: 'button', class: share ? 'action' : 'action plain', part: share ? 'consent-yes' : 'consent-no' }, text);
      button.addEventListener('click', () => {
        chooseSharing(this.stage, share);
        this.hidden = true;
      });
      return button;
    };
    this.setAttribute('role', 'region');
    this.setAttribute('aria-label', words.say('share'));
    this.setAttribute('part', 'consent');
    this.append(el('p', {}, words.say('askShare')), el('div', {}, answer(words.say('askYes'), true), answer(words.say('askNo'), false)));
    const show = (): void => {
      // Without a tracker there is nothing to ask.
      this.hidden = video.consent !== 'ask' || video.trackers.trim() === '' || video.p2p === 'off';
    };
    new MutationObserver(show).observe(player, { attributeFilter: ['consent', 'trackers', 'p2p'] });
    show();
  }
}

define('potluck-consent', ConsentNotice);
