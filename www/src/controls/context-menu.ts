// <potluck-context-menu>: what a right click, or the menu key, offers. Shift and right click shows the browser's own.

import { Control, define, seekable } from './control.js';
import { el, ignore } from './dom.js';
import { focusFirst, type Item, menuItems, menuKeys } from './menu.js';
import { copyText } from './stats-sheet.js';

/** It keeps this distance from the player's edges, in px. */
const EDGE = 4;

export class ContextMenu extends Control {
  protected override build(): void {
    const { words } = this.stage;
    this.hidden = true;
    this.setAttribute('role', 'menu');
    this.setAttribute('part', 'menu context-menu');
    this.setAttribute('aria-label', words.say('settings'));
    menuKeys(this, () => {
      this.stage.open(null);
    });
  }

  /** Opens where the pointer is. */
  show(event: MouseEvent): void {
    const { player, video, words } = this.stage;
    const say = (text: string, act: () => void): Item => ({ text, act: () => {
      this.stage.open(null);
      act();
    } });
    const loop: Item = { ...say(words.say('loop'), () => {
      video.loop = !video.loop;
    }), checked: video.loop };
    const items = [
      say(words.say('copyLink'), () => {
        copyText(pageAddress()).catch(ignore);
      }),
      seekable(video) && video.streamType !== 'live' ? say(words.say('copyLinkAt'), () => {
        copyText(pageAddress(video.currentTime)).catch(ignore);
      }) : null,
      video.streamType === 'live' ? null : loop,
      ...(['sharing', 'statistics', 'keys'] as const).map((name) => say(words.say(name), () => {
        this.stage.toggle(name);
      })),
    ];
    this.replaceChildren(...menuItems(items.filter((item) => item !== null)), el('p', { class: 'note' }, 'Potluck'));
    this.stage.open(this);
    const box = player.getBoundingClientRect();
    const place = (at: number, room: number): string => `${Math.max(EDGE, Math.min(at, room - EDGE))}px`;
    this.style.left = place(event.clientX - box.left, box.width - this.offsetWidth);
    this.style.top = place(event.clientY - box.top, box.height - this.offsetHeight);
    focusFirst(this);
  }
}

/** Of the page, with `#t=` as in Media Fragments URI 1.0 where a second is asked for. */
function pageAddress(second?: number): string {
  const url = new URL(location.href);
  if (second !== undefined) url.hash = `t=${Math.floor(second)}`;
  return url.href;
}

define('potluck-context-menu', ContextMenu);
