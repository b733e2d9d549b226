// Whether and how much a viewer shares, as the viewer chose it on this site: it comes before what the page wishes.

import type { Control } from './control.js';
import { recall, remember } from './memory.js';

/** Upload limits that can be chosen, in kbit/s; 0 is no limit. */
export const LIMITS = [0, 250, 500, 1000, 2000, 5000];

type Video = Control['stage']['video'];

/** Value of `upload-limit` for what the page wishes: a viewer who has chosen one keeps it. */
export function limitFor(wish: string | null): string | null {
  const rate = recall('uploadLimit');
  return typeof rate === 'number' && LIMITS.includes(rate) ? rate === 0 ? null : String(rate) : wish;
}

/** Value of `consent` for what the page wishes: a viewer who has decided is not asked again. */
export function consentFor(wish: string | null): string | null {
  const choice = recall('share');
  if (choice === false) return 'off';
  return choice === true && wish?.trim().toLowerCase() === 'ask' ? 'granted' : wish;
}

export function chooseSharing({ player, video }: Control['stage'], share: boolean): void {
  remember('share', share);
  // Switched on by hand: that is consent, whatever the page asks for.
  video.consent = share ? 'granted' : consentFor(player.getAttribute('consent')) ?? '';
}

export function chooseLimit(video: Video, rate: number): void {
  remember('uploadLimit', rate);
  video.uploadLimit = rate === 0 ? null : rate;
}
