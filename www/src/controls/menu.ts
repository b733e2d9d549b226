// Menus by keyboard and pointer, for the settings and the context menu.

import { el, icon } from './dom.js';
import { CHECK, NEXT } from './icons.js';

/** A line of a menu. */
export interface Item {
  text: string;
  /** What is chosen, behind the text. */
  value?: string;
  /** For one of several: whether it is the chosen one. */
  checked?: boolean;
  act: () => void;
}

/** Lines for a menu; `heading` leads back. */
export function menuItems(items: readonly Item[], heading?: { text: string; act: () => void }): HTMLElement[] {
  const lines = items.map(({ text, value, checked, act }) => {
    const line = el('button', { type: 'button', role: checked === undefined ? 'menuitem' : 'menuitemradio', tabindex: '-1', part: 'menu-item' });
    if (checked !== undefined) {
      line.setAttribute('aria-checked', String(checked));
      line.append(el('span', { class: 'check' }, checked ? icon(CHECK) : null));
    }
    line.append(el('span', { class: 'text' }, text));
    if (value !== undefined) line.append(el('span', { class: 'value' }, value), icon(NEXT));
    line.addEventListener('click', act);
    return line;
  });
  if (!heading) return lines;
  const back = el('button', { type: 'button', role: 'menuitem', tabindex: '-1', class: 'heading', part: 'menu-heading' }, icon(NEXT), heading.text);
  back.addEventListener('click', heading.act);
  return [back, ...lines];
}

/** Arrow keys, Home and End move through a menu's lines; Escape and, in a submenu, the arrow back do `leave`. */
export function menuKeys(menu: HTMLElement, leave: (all: boolean) => void): void {
  menu.addEventListener('keydown', (event) => {
    const lines = [...menu.querySelectorAll<HTMLElement>('[role^="menuitem"]')];
    const at = lines.findIndex((line) => line === (menu.getRootNode() as ShadowRoot).activeElement);
    const places: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
    const place = places[event.key];
    if (place !== undefined) lines.at(place % lines.length)?.focus();
    else if (event.key === 'Escape') leave(true);
    else if (event.key === 'ArrowLeft') leave(false);
    else if (event.key !== 'Enter' && event.key !== ' ' && event.key !== 'Tab' && event.key !== 'ArrowRight') return;
    if (event.key === 'Tab') leave(true);
    else if (event.key === 'ArrowRight') lines[at]?.click();
    if (event.key !== 'Enter' && event.key !== ' ' && event.key !== 'Tab') event.preventDefault();
    event.stopPropagation();
  });
}

export function focusFirst(menu: HTMLElement): void {
  const chosen = menu.querySelector<HTMLElement>('[aria-checked="true"]') ?? menu.querySelector<HTMLElement>('[role^="menuitem"]:not(.heading)');
  chosen?.focus();
}
