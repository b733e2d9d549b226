// Puts the controls around the video of a <potluck-player>: a bundle of its own (potluck-player.js).

import '../controls/consent.js';
import '../controls/live-button.js';
import '../controls/messages.js';
import '../controls/play-button.js';
import '../controls/seek-bar.js';
import '../controls/seek-button.js';
import '../controls/settings-menu.js';
import '../controls/sharing-button.js';
import '../controls/time-display.js';
import '../controls/toggles.js';
import '../controls/volume.js';
import { applyCaptionStyle } from '../controls/caption-style.js';
import { Control, type Stage } from '../controls/control.js';
import { el, ignore } from '../controls/dom.js';
import { listenToGestures } from '../controls/gestures.js';
import { listenToKeys, shortcuts } from '../controls/keys.js';
import { joinMediaSession } from '../controls/media-session.js';
import STYLE from '../controls/controls.css';
import { wordsFor } from '../controls/words.js';
import { adoptStyle } from './adopt-style.js';
import type { PotluckPlayer } from '../public/potluck-player.js';

/** The row below the time line, in reading order. `.wide` is left out where there is little room. */
const ROW: readonly [string, Record<string, string>?][] = [
  ['potluck-play-button'], ['potluck-seek-button', { by: '-10', class: 'wide' }], ['potluck-seek-button', { by: '10', class: 'wide' }], ['potluck-volume'],
  ['potluck-live-button'], ['potluck-time'], ['span', { class: 'spacer' }], ['potluck-sharing-button'], ['potluck-captions-button'],
  ['potluck-settings-menu'], ['potluck-airplay-button'], ['potluck-cast-button'], ['potluck-pip-button', { class: 'wide' }], ['potluck-fullscreen-button'],
];

/** Once the words of the viewer's language are there. */
export async function dress(player: PotluckPlayer): Promise<void> {
  const words = await wordsFor(player);
  const root = player.shadowRoot;
  const { video } = player;
  if (!root || root.querySelector('.layer')) return;

  const surface = el('div', { class: 'surface' });
  const layer = el('div', { class: 'layer', part: 'controls', dir: words.direction, lang: words.language },
    surface,
    el('div', { class: 'middle' }, element('potluck-messages'), element('potluck-play-button', { big: '' })),
    el('div', { class: 'top' }, el('div', { part: 'heading' }, player.heading)),
    element('potluck-consent'),
    el('div', { class: 'bottom', part: 'bar', },
      element('potluck-seek-bar'), el('div', { class: 'row' }, ...ROW.map(([tag, attributes]) => element(tag, attributes)))));
  adoptStyle(root, STYLE);
  root.append(layer);

  let opener: HTMLElement | null = null;
  const stage: Stage = { player, video, layer, words, open(sheet) {
    const focused = root.activeElement as HTMLElement | null;
    for (const other of layer.querySelectorAll<HTMLElement>('[role="dialog"], [role="menu"]')) other.hidden = other !== sheet;
    if (sheet) {
      opener = focused && !sheet.contains(focused) ? focused : opener;
      if (sheet.getAttribute('role') === 'dialog') sheet.focus();
    } else {
      // Back to where the viewer came from, if the focus was inside what has closed.
      if (focused && !focused.checkVisibility()) opener?.focus();
      opener = null;
    }
  }, toggle(panel, at) {
    import('../controls/panels.js').then(({ togglePanel }) => {
      togglePanel(stage, panel, at);
    }).catch(ignore);
  }, shortcuts: shortcuts() };
  player.addEventListener('contextmenu', (event) => {
    if (event.shiftKey || event.defaultPrevented) return;
    event.preventDefault();
    stage.toggle('menu', event);
  });

  for (const control of layer.querySelectorAll('*')) if (control instanceof Control) control.mount(stage);
  listenToGestures(stage, surface);
  listenToKeys(stage);
  joinMediaSession(stage);
  applyCaptionStyle(stage);
  // Firefox stops at a <video> without controls too.
  video.nativeEl.tabIndex = -1;
  // Focusable, so that the keys work; named, because it is.
  const own = { tabindex: '0', role: 'region', 'aria-label': player.heading || 'Potluck' };
  for (const [name, value] of Object.entries(own)) if (!player.hasAttribute(name)) player.setAttribute(name, value);

  const showScheme = (): void => {
    layer.dataset['scheme'] = player.getAttribute('scheme') ?? 'dark';
  };
  new MutationObserver(showScheme).observe(player, { attributeFilter: ['scheme'] });
  showScheme();

  const showPlayed = (): void => {
    layer.toggleAttribute('data-played', !video.paused || video.currentTime > 0);
  };
  for (const event of ['play', 'playing', 'emptied', 'timeupdate', 'seeked']) video.addEventListener(event, showPlayed);
  showPlayed();
}

function element(tag: string, attributes: Record<string, string> = {}): HTMLElement {
  return el(tag as 'div', attributes);
}
