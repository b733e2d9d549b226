// The picture itself as a control: click and double click, tap and double tap.

import { seekBy, seekable, type Control } from './control.js';
import { ignore } from './dom.js';
import { togglePlay } from './play-button.js';
import { toggleFullscreen } from './toggles.js';

/** Two taps within so many ms are one double tap. */
const DOUBLE_MS = 300;
/** Without a move of the pointer the controls go away after so many ms. */
const IDLE_MS = 2500;

export function listenToGestures(stage: Control['stage'], surface: HTMLElement): void {
  const { player, video, layer } = stage;
  let lastTap = 0;
  let pending: ReturnType<typeof setTimeout> | undefined;
  surface.addEventListener('pointerup', (event) => {
    if (event.button !== 0) return;
    if (!sheetIsOpen(layer)) tap(event);
    else stage.open(null);
  });

  const tap = (event: PointerEvent): void => {
    const touch = event.pointerType === 'touch';
    const twice = event.timeStamp - lastTap < DOUBLE_MS;
    lastTap = twice ? 0 : event.timeStamp;
    clearTimeout(pending);
    if (!twice) {
      // A first tap waits for the second; a mouse does not, and a double click undoes it.
      if (touch) pending = setTimeout(() => { layer.toggleAttribute('data-idle'); }, DOUBLE_MS);
      else togglePlay(video);
      return;
    }
    if (!touch) {
      togglePlay(video);
      toggleFullscreen(stage);
      return;
    }
    const box = surface.getBoundingClientRect();
    const part = (event.clientX - box.left) / box.width;
    if (seekable(video) && (part < 0.35 || part > 0.65)) seekBy(video, part < 0.5 ? -10 : 10);
    else video.play().catch(ignore);
  };

  // The controls are there while the pointer moves, something has the focus, or nothing plays.
  let idle: ReturnType<typeof setTimeout> | undefined;
  const wake = (): void => {
    layer.removeAttribute('data-idle');
    clearTimeout(idle);
    idle = setTimeout(() => {
      if (!video.paused && !sheetIsOpen(layer) && !layer.querySelector(':focus-visible')) layer.setAttribute('data-idle', '');
    }, IDLE_MS);
  };
  for (const event of ['pointermove', 'keydown', 'focusin'] as const) {
    player.addEventListener(event, (moved) => {
      if (!(moved instanceof PointerEvent && moved.pointerType === 'touch')) wake();
    });
  }
  player.addEventListener('pointerleave', (event) => {
    if (event.pointerType === 'mouse' && !video.paused && !sheetIsOpen(layer)) layer.setAttribute('data-idle', '');
  });
  for (const event of ['play', 'pause', 'ended', 'error']) video.addEventListener(event, wake);
  wake();
}

function sheetIsOpen(layer: HTMLElement): boolean {
  return layer.querySelector('[role="dialog"]:not([hidden]), [role="menu"]:not([hidden])') !== null;
}
