// <potluck-settings-menu>: quality, speed, audio, captions and how they look, loop.

import type { AudioTrack } from 'media-tracks';
import { captionChoice, chooseCaption, LOOKS, SIZES } from './caption-style.js';
import { captionTracks, showCaptions, shownTrack } from './captions-button.js';
import { Control, define, seekable } from './control.js';
import { dressButton, el } from './dom.js';
import { SETTINGS } from './icons.js';
import { focusFirst, type Item, menuItems, menuKeys } from './menu.js';
import type { Key } from './words.js';

const SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];

/** A submenu: its choices, and what is chosen. */
interface Choice {
  name: Key;
  now: string;
  items: Item[];
}

export class SettingsMenu extends Control {
  readonly #menu = el('div', { role: 'menu', part: 'menu sheet', hidden: true });
  readonly #button = el('button', { type: 'button', part: 'button settings-button', 'aria-haspopup': 'menu' });
  #inside: Key | null = null;

  protected override build(): void {
    const { words, layer } = this.stage;
    dressButton(this.#button, SETTINGS, words.say('settings'));
    this.#menu.setAttribute('aria-label', words.say('settings'));
    this.#button.addEventListener('click', () => {
      this.#inside = null;
      this.stage.open(this.#menu.hidden ? this.#menu : null);
      this.#show();
      if (!this.#menu.hidden) focusFirst(this.#menu);
    });
    menuKeys(this.#menu, (all) => {
      if (all || this.#inside === null) {
        this.stage.open(null);
        this.#button.focus();
      } else {
        this.#enter(null);
      }
    });
    // Opened and closed by others too.
    new MutationObserver(() => {
      this.#button.setAttribute('aria-expanded', String(!this.#menu.hidden));
    }).observe(this.#menu, { attributeFilter: ['hidden'] });
    this.append(this.#button);
    layer.append(this.#menu);
  }

  #enter(name: Key | null): void {
    this.#inside = name;
    this.#show();
    focusFirst(this.#menu);
  }

  #show(): void {
    const { words } = this.stage;
    const choices = this.#choices().filter(({ items }) => items.length > 1);
    const inside = choices.find(({ name }) => name === this.#inside);
    if (inside) {
      this.#menu.replaceChildren(...menuItems(inside.items, { text: words.say(inside.name), act: () => {
        this.#enter(null);
      } }));
      return;
    }
    this.#menu.replaceChildren(...menuItems(choices.map(({ name, now }) => ({ text: words.say(name), value: now, act: () => {
      this.#enter(name);
    } }))));
  }

  /** A line that is one of several; after the choice the menu is where it was before. */
  #item(text: string, checked: boolean, choose: () => void): Item {
    return { text, checked, act: () => {
      choose();
      this.#enter(null);
    } };
  }

  #choices(): Choice[] {
    return [this.#quality(), this.#speed(), this.#audio(), this.#captions(), ...this.#captionStyle(), this.#loop()];
  }

  #quality(): Choice {
    const { video, words } = this.stage;
    const renditions = [...video.videoRenditions];
    const { selectedIndex } = video.videoRenditions;
    const name = (height?: number, bitrate?: number): string => height ? `${height}p` : words.say('kbit', { rate: Math.round((bitrate ?? 0) / 1000) });
    const auto = video.videoHeight > 0 ? words.say('autoNow', { quality: `${video.videoHeight}p` }) : words.say('auto');
    const items = renditions.map(({ height, bitrate, frameRate }, index) => {
      const fast = frameRate && frameRate > 30 ? String(Math.round(frameRate)) : '';
      // Two of one height differ by their bit rate.
      const twin = renditions.filter((other) => other.height === height).length > 1 && bitrate ? ` · ${words.say('kbit', { rate: Math.round(bitrate / 1000) })}` : '';
      const item = this.#item(`${name(height, bitrate)}${fast}${twin}`, index === selectedIndex, () => {
        video.videoRenditions.selectedIndex = index;
      });
      return { item, rank: (height ?? 0) * 1e9 + (bitrate ?? 0) };
    });
    items.sort((a, b) => b.rank - a.rank);
    const chosen = renditions[selectedIndex];
    return {
      name: 'quality',
      now: chosen ? name(chosen.height, chosen.bitrate) : auto,
      items: renditions.length < 2 ? [] : [this.#item(auto, selectedIndex < 0, () => {
        video.videoRenditions.selectedIndex = -1;
      }), ...items.map(({ item }) => item)],
    };
  }

  #speed(): Choice {
    const { video, words } = this.stage;
    const name = (speed: number): string => speed === 1 ? words.say('normal') : `${speed}×`;
    const speeds = video.streamType === 'live' && seekable(video) === null ? [] : SPEEDS;
    return { name: 'speed', now: name(video.playbackRate), items: speeds.map((speed) => this.#item(name(speed), speed === video.playbackRate, () => {
      video.playbackRate = speed;
    })) };
  }

  #audio(): Choice {
    const tracks = [...this.stage.video.audioTracks] as AudioTrack[];
    const name = ({ label, language }: { label: string; language: string }): string => label || language;
    const enabled = tracks.find((track) => track.enabled);
    return { name: 'audio', now: enabled ? name(enabled) : '', items: tracks.map((track) => this.#item(name(track), track === enabled, () => {
      track.enabled = true;
    })) };
  }

  #captions(): Choice {
    const { video, words } = this.stage;
    const tracks = captionTracks(video);
    const shown = shownTrack(video);
    const name = ({ label, language }: TextTrack): string => label || language || words.say('captions');
    const choose = (track: TextTrack | undefined): (() => void) => () => {
      showCaptions(video, track);
    };
    return {
      name: 'captions',
      now: shown ? name(shown) : words.say('captionsOff'),
      items: tracks.length === 0 ? [] : [this.#item(words.say('captionsOff'), !shown, choose(undefined)), ...tracks.map((track) => this.#item(name(track), track === shown, choose(track)))],
    };
  }

  #captionStyle(): Choice[] {
    const { video, words } = this.stage;
    if (captionTracks(video).length === 0) return [];
    const choice = (name: 'captionSize' | 'captionLook', keys: readonly Key[]): Choice => {
      const chosen = captionChoice(name);
      return { name, now: words.say(keys[chosen] ?? 'medium'), items: keys.map((key, index) => this.#item(words.say(key), index === chosen, () => {
        chooseCaption(this.stage, name, index);
      })) };
    };
    return [choice('captionSize', SIZES.map(([key]) => key)), choice('captionLook', LOOKS.map(([key]) => key))];
  }

  #loop(): Choice {
    const { video, words } = this.stage;
    const items = (['off', 'on'] as const).map((key) => this.#item(words.say(key), video.loop === (key === 'on'), () => {
      video.loop = key === 'on';
    }));
    return { name: 'loop', now: words.say(video.loop ? 'on' : 'off'), items: video.streamType === 'live' ? [] : items };
  }
}

define('potluck-settings-menu', SettingsMenu);
