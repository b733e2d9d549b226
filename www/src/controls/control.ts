// What all controls have in common.

import type { PotluckPlayer } from '../public/potluck-player.js';
import type { PotluckVideo } from '../public/potluck-video.js';
import type { Key, Words } from './words.js';

/** What opens over the picture and is not needed before. */
export type PanelName = 'sharing' | 'statistics' | 'keys' | 'menu';

/** Keys that do the same, or the first and the last of a row of keys. */
export interface Shortcut {
  keys: readonly string[];
  name: Key;
  act: (stage: Stage, key: string) => void;
}

/** What the controls work on. */
export interface Stage {
  /** The dressed element: goes to fullscreen, has the focus. */
  player: PotluckPlayer;
  video: PotluckVideo;
  /** The layer of controls, inside the player's shadow root. */
  layer: HTMLElement;
  words: Words;
  /** Shows this sheet or menu and hides the others; null hides all. */
  open(sheet: HTMLElement | null): void;
  /** Opens a panel, or closes it when it is open. They come in a bundle of their own. */
  toggle(panel: PanelName, at?: MouseEvent): void;
  /** What each key does. */
  shortcuts: readonly Shortcut[];
}

/** A control: built once, for one player. */
export abstract class Control extends HTMLElement {
  #stage: Stage | null = null;

  /** What it works on; there is none before {@link mount}. */
  protected get stage(): Stage {
    if (!this.#stage) throw new Error(`<${this.localName}> is no part of a player`);
    return this.#stage;
  }

  /** Called once, when the control is in its player. */
  mount(stage: Stage): this {
    this.#stage = stage;
    this.build();
    return this;
  }

  /** Makes the control's inside, and begins to listen. */
  protected abstract build(): void;

  /** Does it now, and whenever the video says one of these. */
  protected follow(events: readonly string[], show: () => void): void {
    for (const event of events) this.stage.video.addEventListener(event, show);
    show();
  }

  /** The same for what is said again and again: while the controls are hidden it waits until they are seen again. */
  protected keepUp(events: readonly string[], show: () => void): void {
    const { layer } = this.stage;
    let late = false;
    const look = (): void => {
      late = layer.hasAttribute('data-idle');
      if (!late) show();
    };
    this.follow(events, look);
    new MutationObserver(() => {
      if (late) look();
    }).observe(layer, { attributeFilter: ['data-idle'] });
  }
}

/** Defines an element, unless a page that loads the script twice has it. */
export function define(tag: string, control: CustomElementConstructor): void {
  if (!customElements.get(tag)) customElements.define(tag, control);
}

/** Events after which what can be seeked to, or how, may have changed. */
export const TIMELINE_EVENTS = ['durationchange', 'streamtypechange', 'targetlivewindowchange', 'seekablechange', 'emptied'] as const;

/** Where a viewer may go: from and to, in seconds; null while nothing is known. */
export function seekable(video: PotluckVideo): [number, number] | null {
  if (video.streamType === 'live') {
    const ranges = video.seekable;
    return ranges.length > 0 && video.targetLiveWindow > 0 ? [ranges.start(0), ranges.end(ranges.length - 1)] : null;
  }
  return Number.isFinite(video.duration) && video.duration > 0 ? [0, video.duration] : null;
}

/** Moves the playhead by so many seconds, within what can be seeked to. */
export function seekBy(video: PotluckVideo, seconds: number): void {
  const range = seekable(video);
  if (range) video.currentTime = Math.min(range[1], Math.max(range[0], video.currentTime + seconds));
}
