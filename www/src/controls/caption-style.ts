// How captions look, as the viewer chose: a style sheet for the cues of the <video> inside the player.

import { adoptStyle } from '../internal/adopt-style.js';
import type { Control } from './control.js';
import { recall, remember } from './memory.js';
import type { Key } from './words.js';

/** Names of sizes, and the size in percent of the browser's own. */
export const SIZES: readonly [Key, number][] = [['small', 75], ['medium', 100], ['large', 150]];

export const LOOKS: readonly [Key, string][] = [
  ['lookBox', 'color: #fff; background: rgb(0 0 0 / .8);'],
  ['lookOutline', 'color: #fff; background: transparent; text-shadow: 0 0 3px #000, 0 0 3px #000, 0 0 5px #000;'],
  ['lookYellow', 'color: #ffe45c; background: rgb(0 0 0 / .8);'],
];

const sheets = new WeakMap<ShadowRoot, CSSStyleSheet>();

/** What is chosen, by position. */
export function captionChoice(name: 'captionSize' | 'captionLook'): number {
  const kept = recall(name);
  const count = name === 'captionSize' ? SIZES.length : LOOKS.length;
  return typeof kept === 'number' && Number.isInteger(kept) && kept >= 0 && kept < count ? kept : name === 'captionSize' ? 1 : 0;
}

export function chooseCaption(stage: Control['stage'], name: 'captionSize' | 'captionLook', choice: number): void {
  remember(name, choice);
  applyCaptionStyle(stage);
}

/** Cues can be styled only where the <video> is: in the shadow tree of <potluck-video>. */
export function applyCaptionStyle({ video }: Control['stage']): void {
  const root = video.shadowRoot;
  if (!root) return;
  let sheet = sheets.get(root);
  if (!sheet) sheets.set(root, (sheet = adoptStyle(root, '')));
  const [size, look] = [SIZES[captionChoice('captionSize')], LOOKS[captionChoice('captionLook')]];
  sheet.replaceSync(`::cue { font-size: ${size?.[1] ?? 100}%; ${look?.[1] ?? ''} }`);
}
