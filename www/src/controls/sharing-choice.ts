// Whether and how much a viewer shares, as the viewer chose it on this site: it comes before what the page wishes.

import type { Control } from './control.js';
import { recall, remember } from './memory.js';

/** Upload limits that can be chosen, in kbit/s; 0 is no limit. */
export const LIMITS = [0, 250, 500, 1000, 2000, 5000];

type Video = Control['stage']['video'];

export function restoreSharing(video: Video): void {
  if (recall('share') === false) video.consent = 'off';
  const rate = recall('uploadLimit');
  if (typeof rate === 'number' && LIMITS.includes(rate) && rate > 0) video.uploadLimit = rate;
}

export function chooseSharing(video: Video, share: boolean): void {
  remember('share', share);
  video.consent = share ? '' : 'off';
}

export function chooseLimit(video: Video, rate: number): void {
  remember('uploadLimit', rate);
  video.uploadLimit = rate === 0 ? null : rate;
}
