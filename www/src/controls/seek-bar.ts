// <potluck-seek-bar>: where the playhead is, what is buffered, chapters, and a preview of where the pointer is.

import { Control, TIMELINE_EVENTS, define, seekable } from './control.js';
import { el, keep } from './dom.js';
import { chapters, thumbnailAt, titleAt } from './cues.js';
import { clock } from './words.js';

/** Seconds for each press of an arrow key, and of Page Up and Page Down. */
const STEP = 5;
const PAGE = 60;

export class SeekBar extends Control {
  readonly #track = el('div', { class: 'track', part: 'seek-track' });
  readonly #buffered = el('div', { class: 'buffered', part: 'seek-buffered' });
  readonly #played = el('div', { class: 'played', part: 'seek-played' });
  readonly #marks = el('div', { class: 'marks' });
  readonly #thumb = el('div', { class: 'thumb', part: 'seek-thumb' });
  readonly #preview = el('div', { class: 'preview', part: 'seek-preview', hidden: true });
  readonly #image = el('div', { class: 'image', hidden: true });
  readonly #caption = el('span');
  readonly #slider = el('div', { role: 'slider', tabindex: '0', part: 'seek-bar' });
  /** The seconds that screen readers have been told of, and what is drawn as buffered. */
  #told = '';
  #drawn = '';
  /** Where a drag is, in seconds. */
  #dragged: number | null = null;

  protected override build(): void {
    const { words } = this.stage;
    this.#preview.append(this.#image, this.#caption);
    this.#track.append(this.#buffered, this.#played, this.#marks);
    this.#slider.append(this.#track, this.#thumb, this.#preview);
    this.#slider.setAttribute('aria-label', words.say('position'));
    this.append(this.#slider);
    this.#slider.addEventListener('pointerdown', this.#grab);
    this.#slider.addEventListener('pointermove', this.#hover);
    this.#slider.addEventListener('pointerleave', () => {
      this.#preview.hidden = true;
    });
    this.#slider.addEventListener('keydown', this.#press);
    this.follow(['seeking', 'seeked'], this.#show);
    this.keepUp(['timeupdate', ...TIMELINE_EVENTS], this.#show);
    this.keepUp(['progress', 'timeupdate'], this.#showBuffered);
    this.keepUp(['loadedmetadata', 'durationchange', 'statschange'], this.#showChapters);
  }

  readonly #show = (): void => {
    const { video, words } = this.stage;
    const range = seekable(video);
    keep(this, 'hidden', range === null);
    if (!range) return;
    const position = this.#dragged ?? video.currentTime;
    this.#slider.style.setProperty('--_at', share(position, range));
    const [from, to] = range;
    // What is said changes with the second, not with each of the four events in it.
    const seconds = [from, to, position, to - position].map(Math.floor).join();
    if (seconds === this.#told) return;
    this.#told = seconds;
    keep(this.#slider, 'aria-valuemin', String(Math.floor(from)));
    keep(this.#slider, 'aria-valuemax', String(Math.floor(to)));
    keep(this.#slider, 'aria-valuenow', String(Math.floor(position)));
    const said = video.streamType === 'live'
      ? words.say('behindLive', { time: words.duration(to - position) })
      : words.say('positionOf', { position: words.duration(position), duration: words.duration(to) });
    keep(this.#slider, 'aria-valuetext', said);
  };

  readonly #showBuffered = (): void => {
    const { video } = this.stage;
    const range = seekable(video);
    if (!range) return;
    const parts = Array.from({ length: video.buffered.length }, (_, n) => {
      const [from, to] = [share(video.buffered.start(n), range), share(video.buffered.end(n), range)];
      return `transparent ${from}, var(--potluck-buffered, rgb(255 255 255 / .4)) ${from} ${to}, transparent ${to}`;
    });
    const drawn = parts.length > 0 ? `linear-gradient(to right, ${parts.join(', ')})` : 'none';
    if (drawn !== this.#drawn) this.#buffered.style.background = this.#drawn = drawn;
  };

  readonly #showChapters = (): void => {
    const range = seekable(this.stage.video);
    const starts = range && this.stage.video.streamType !== 'live' ? chapters(this.stage.video).map((cue) => share(cue.startTime, range)) : [];
    const shown = starts.slice(1).join();
    if (this.#marks.dataset['starts'] === shown) return;
    this.#marks.dataset['starts'] = shown;
    this.#marks.replaceChildren(...starts.slice(1).map((left) => {
      const mark = el('i');
      mark.style.left = left;
      return mark;
    }));
  };

  /** Seconds under the pointer. */
  #under(event: PointerEvent): number | null {
    const range = seekable(this.stage.video);
    const box = this.#track.getBoundingClientRect();
    if (!range || box.width === 0) return null;
    const part = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return range[0] + part * (range[1] - range[0]);
  }

  readonly #grab = (event: PointerEvent): void => {
    const at = this.#under(event);
    if (at === null || event.button !== 0) return;
    this.#dragged = at;
    this.#show();
    const move = (moved: PointerEvent): void => {
      this.#dragged = this.#under(moved);
      this.#show();
    };
    const end = (): void => {
      this.#slider.removeEventListener('pointermove', move);
      if (this.#dragged !== null) this.stage.video.currentTime = this.#dragged;
      this.#dragged = null;
      this.#show();
    };
    this.#slider.setPointerCapture(event.pointerId);
    this.#slider.addEventListener('pointermove', move);
    this.#slider.addEventListener('lostpointercapture', end, { once: true });
  };

  readonly #hover = (event: PointerEvent): void => {
    const { video } = this.stage;
    const [at, range] = [this.#under(event), seekable(video)];
    this.#preview.hidden = at === null;
    if (at === null || !range) return;
    const time = video.streamType === 'live' ? `−${clock(range[1] - at)}` : clock(at);
    const title = titleAt(video, at);
    this.#caption.textContent = title ? `${title} · ${time}` : time;
    const picture = thumbnailAt(video, at);
    this.#image.hidden = picture === null;
    if (picture) Object.assign(this.#image.style, picture);
    // Kept inside the bar.
    const box = this.#track.getBoundingClientRect();
    const half = this.#preview.offsetWidth / 2;
    const x = Math.min(box.width - half, Math.max(half, event.clientX - box.left));
    this.#preview.style.left = `${x}px`;
  };

  readonly #press = (event: KeyboardEvent): void => {
    const { video } = this.stage;
    const range = seekable(video);
    if (!range || event.altKey || event.ctrlKey || event.metaKey) return;
    const { currentTime } = video;
    const places: Record<string, number> = {
      ArrowLeft: currentTime - STEP, ArrowDown: currentTime - STEP, ArrowRight: currentTime + STEP, ArrowUp: currentTime + STEP,
      PageDown: currentTime - PAGE, PageUp: currentTime + PAGE, Home: range[0], End: range[1],
    };
    const place = places[event.key];
    if (place === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    video.currentTime = Math.min(range[1], Math.max(range[0], place));
  };
}

function share(at: number, [from, to]: readonly [number, number]): string {
  return `${(100 * Math.min(1, Math.max(0, (at - from) / Math.max(0.001, to - from)))).toFixed(3)}%`;
}

define('potluck-seek-bar', SeekBar);
