// <potluck-messages>: the spinner, why nothing plays, and what went wrong with the way out.

import type { WaitingReason } from '../internal/protocol.js';
import { Control, define } from './control.js';
import { el, ignore, keep } from './dom.js';
import type { Key } from './words.js';

/** The spinner says `buffering` by itself. */
const REASONS: Partial<Record<WaitingReason, Key>> = { 'origin-unavailable': 'originUnavailable', 'offline': 'offline', 'playlist-stale': 'playlistStale' };

/** Shorter waits are not shown, in ms. */
const PATIENCE_MS = 350;

export class Messages extends Control {
  protected override build(): void {
    const { video, words, layer } = this.stage;
    const spinner = el('div', { class: 'spinner', part: 'spinner', role: 'status', 'aria-label': words.say('loading'), hidden: true });
    const status = el('p', { class: 'status', role: 'status', part: 'status' });
    const cause = el('p');
    const code = el('code');
    const again = el('button', { type: 'button', class: 'action' }, words.say('tryAgain'));
    const failure = el('div', { class: 'failure', role: 'alert', part: 'error', hidden: true }, el('h2', {}, words.say('cannotPlay')), cause, code, again);
    again.addEventListener('click', () => {
      failure.hidden = true;
      layer.removeAttribute('data-failed');
      video.load();
      video.play().catch(ignore);
    });
    this.append(spinner, status, failure);

    let timer: ReturnType<typeof setTimeout> | undefined;
    const waits = (): boolean => !video.paused && !video.ended && !video.error && (video.readyState < 3 || video.seeking);
    this.follow(['waiting', 'playing', 'play', 'pause', 'seeking', 'seeked', 'canplay', 'emptied', 'error', 'timeupdate'], () => {
      clearTimeout(timer);
      if (!waits()) keep(spinner, 'hidden', true);
      else if (spinner.hidden) timer = setTimeout(() => { spinner.hidden = !waits(); }, PATIENCE_MS);
    });
    this.follow(['waitingreasonchange'], () => {
      const reason = video.waitingReason && REASONS[video.waitingReason];
      status.textContent = reason ? words.say(reason) : '';
    });
    this.follow(['error', 'loadstart', 'playing', 'seekablechange'], () => {
      const { error } = video;
      keep(failure, 'hidden', !error);
      layer.toggleAttribute('data-failed', error !== null);
      if (!error) return;
      cause.textContent = error.message;
      code.textContent = 'name' in error ? String(error.name) : `code ${error.code}`;
    });
  }
}

define('potluck-messages', Messages);
