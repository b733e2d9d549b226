// <potluck-volume>: mute button and slider. What the viewer chose is kept for the next video.

import { Control, define } from './control.js';
import { dressButton, el } from './dom.js';
import { MUTED, VOLUME_HIGH, VOLUME_LOW } from './icons.js';
import { recall, remember } from './memory.js';

export class Volume extends Control {
  protected override build(): void {
    const { video, words } = this.stage;
    const button = el('button', { type: 'button', part: 'button mute-button' });
    const slider = el('input', { type: 'range', min: '0', max: '1', step: '0.05', part: 'range volume-range', 'aria-label': words.say('volume') });
    this.append(button, slider);

    const kept = recall('volume');
    if (typeof kept === 'number' && kept >= 0 && kept <= 1) video.volume = kept;
    // A page that asks for silence, or an autoplay that needs it, comes first.
    if (recall('muted') === true) video.muted = true;

    button.addEventListener('click', () => {
      toggleMute(video);
    });
    slider.addEventListener('input', () => {
      video.volume = Number(slider.value);
      video.muted = video.volume === 0;
      keep(video);
    });
    this.follow(['volumechange', 'loadedmetadata'], () => {
      const volume = video.muted ? 0 : video.volume;
      dressButton(button, volume === 0 ? MUTED : volume < 0.5 ? VOLUME_LOW : VOLUME_HIGH, words.say(volume === 0 ? 'unmute' : 'mute'), 'm');
      slider.value = String(volume);
      slider.setAttribute('aria-valuetext', words.percent(volume));
      slider.style.setProperty('--_at', `${volume * 100}%`);
    });
  }
}

/** Silence, or back to what could be heard. */
export function toggleMute(video: Control['stage']['video']): void {
  video.muted = !video.muted;
  if (!video.muted && video.volume === 0) video.volume = 0.5;
  keep(video);
}

/** Louder or softer by so much. */
export function changeVolume(video: Control['stage']['video'], by: number): void {
  video.volume = Math.min(1, Math.max(0, (video.muted ? 0 : video.volume) + by));
  video.muted = video.volume === 0;
  keep(video);
}

function keep(video: Control['stage']['video']): void {
  remember('volume', video.volume);
  remember('muted', video.muted);
}

define('potluck-volume', Volume);
