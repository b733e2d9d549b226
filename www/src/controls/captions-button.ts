// <potluck-captions-button>: captions on and off.

import { Control, define } from './control.js';
import { dressButton, el } from './dom.js';
import { CAPTIONS } from './icons.js';
import { recall, remember } from './memory.js';

export class CaptionsButton extends Control {
  protected override build(): void {
    const { video, words } = this.stage;
    const button = el('button', { type: 'button', part: 'button captions-button' });
    dressButton(button, CAPTIONS, words.say('captions'), 'c');
    button.addEventListener('click', () => {
      toggleCaptions(video);
    });
    this.append(button);
    const show = (): void => {
      this.hidden = captionTracks(video).length === 0;
      button.setAttribute('aria-pressed', String(shownTrack(video) !== undefined));
    };
    for (const event of ['change', 'addtrack', 'removetrack']) video.textTracks.addEventListener(event, show);
    this.follow(['loadedmetadata', 'emptied'], show);
  }
}

/** Tracks that a viewer can choose. */
export function captionTracks(video: Control['stage']['video']): TextTrack[] {
  return [...video.textTracks].filter((track) => track.kind === 'subtitles' || track.kind === 'captions');
}

export function shownTrack(video: Control['stage']['video']): TextTrack | undefined {
  return captionTracks(video).find((track) => track.mode === 'showing');
}

/** Shows this track and no other; undefined shows none. */
export function showCaptions(video: Control['stage']['video'], chosen: TextTrack | undefined): void {
  for (const track of captionTracks(video)) track.mode = track === chosen ? 'showing' : 'disabled';
  if (chosen) remember('captions', chosen.language);
}

/** Off, or the language that was chosen last. */
export function toggleCaptions(video: Control['stage']['video']): void {
  const tracks = captionTracks(video);
  const wanted = tracks.find((track) => track.language === recall('captions')) ?? tracks[0];
  showCaptions(video, shownTrack(video) ? undefined : wanted);
}

define('potluck-captions-button', CaptionsButton);
