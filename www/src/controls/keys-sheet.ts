// <potluck-keys-sheet>: which key does what.

import { Control, define } from './control.js';
import { el } from './dom.js';
import { fillSheet } from './sheet.js';

const SIGNS: Record<string, string> = { ' ': '␣', 'ArrowLeft': '←', 'ArrowRight': '→', 'ArrowUp': '↑', 'ArrowDown': '↓' };

export class KeysSheet extends Control {
  protected override build(): void {
    const { words, shortcuts } = this.stage;
    const body = fillSheet(this, this.stage, 'keys');
    body.append(el('dl', {}, ...shortcuts.flatMap(({ keys, name }) => [
      el('dt', {}, ...keys.flatMap((key, n) => [n > 0 ? keys[0] === '0' ? '–' : ' ' : null, el('kbd', {}, SIGNS[key] ?? key)])),
      el('dd', {}, words.say(name)),
    ])));
  }
}

define('potluck-keys-sheet', KeysSheet);
