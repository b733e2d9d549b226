// A sheet over the picture: heading, a button that closes it, and a body.

import type { Control } from './control.js';
import { dressButton, el } from './dom.js';
import { CLOSE } from './icons.js';
import type { Key } from './words.js';

/** Makes `sheet` a dialog with this name; returns its body. */
export function fillSheet(sheet: HTMLElement, stage: Control['stage'], name: Key): HTMLElement {
  const heading = el('h2', {}, stage.words.say(name));
  const close = el('button', { type: 'button', part: 'button close-button' });
  dressButton(close, CLOSE, stage.words.say('close'), 'Esc');
  close.addEventListener('click', () => {
    stage.open(null);
  });
  const body = el('div', { class: 'body' });
  sheet.hidden = true;
  sheet.setAttribute('role', 'dialog');
  sheet.setAttribute('aria-label', stage.words.say(name));
  sheet.setAttribute('tabindex', '-1');
  sheet.setAttribute('part', 'sheet');
  sheet.append(el('header', {}, heading, close), body);
  return body;
}
