// The keyboard: one table, for the keys and for the sheet that lists them.

import { toggleCaptions } from './captions-button.js';
import { seekBy, seekable, type Control, type Shortcut } from './control.js';
import { togglePlay } from './play-button.js';
import { toggleFullscreen, togglePip } from './toggles.js';
import { changeVolume, toggleMute } from './volume.js';

type Stage = Control['stage'];

const SHORTCUTS: readonly Shortcut[] = [
  { keys: ['k', ' '], name: 'play', act: ({ video }) => { togglePlay(video); } },
  { keys: ['j', 'ArrowLeft'], name: 'back', act: ({ video }, key) => { seekBy(video, key === 'j' ? -10 : -5); } },
  { keys: ['l', 'ArrowRight'], name: 'forward', act: ({ video }, key) => { seekBy(video, key === 'l' ? 10 : 5); } },
  { keys: ['ArrowUp', 'ArrowDown'], name: 'volume', act: ({ video }, key) => { changeVolume(video, key === 'ArrowUp' ? 0.05 : -0.05); } },
  { keys: ['m'], name: 'mute', act: ({ video }) => { toggleMute(video); } },
  { keys: ['c'], name: 'captions', act: ({ video }) => { toggleCaptions(video); } },
  { keys: ['<', '>'], name: 'speed', act: ({ video }, key) => { changeSpeed(video, key === '<' ? -0.25 : 0.25); } },
  { keys: ['0', '9'], name: 'position', act: ({ video }, key) => { seekToTenth(video, Number(key)); } },
  { keys: ['f'], name: 'fullscreen', act: (stage) => { toggleFullscreen(stage); } },
  { keys: ['p'], name: 'pip', act: ({ video }) => { togglePip(video); } },
  { keys: ['s'], name: 'sharing', act: (stage) => { stage.toggle('sharing'); } },
  { keys: ['i'], name: 'statistics', act: (stage) => { stage.toggle('statistics'); } },
  { keys: ['?'], name: 'keys', act: (stage) => { stage.toggle('keys'); } },
];

/** The whole table. */
export function shortcuts(): readonly Shortcut[] {
  return SHORTCUTS;
}

/** Keys that are pressed while the player, or one of its controls, has the focus. */
export function listenToKeys(stage: Stage): void {
  stage.player.addEventListener('keydown', (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
    const focused = stage.player.shadowRoot?.activeElement ?? null;
    if (event.key === 'Escape') {
      stage.open(null);
      return;
    }
    // A control that has the focus keeps the keys that it has a use for itself.
    if (focused instanceof HTMLSelectElement || focused instanceof HTMLInputElement && event.key.startsWith('Arrow')) return;
    if (focused && event.key === ' ') return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const found = SHORTCUTS.find(({ keys }) => keys.includes(key) || keys[0] === '0' && /^[0-9]$/.test(key));
    if (!found) return;
    event.preventDefault();
    found.act(stage, key);
  });
}

function changeSpeed(video: Stage['video'], by: number): void {
  video.playbackRate = Math.min(2, Math.max(0.25, video.playbackRate + by));
}

function seekToTenth(video: Stage['video'], tenth: number): void {
  const range = seekable(video);
  if (range) video.currentTime = range[0] + (tenth / 10) * (range[1] - range[0]);
}
