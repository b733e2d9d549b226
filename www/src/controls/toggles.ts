// <potluck-pip-button>, <potluck-fullscreen-button>, <potluck-airplay-button>, <potluck-cast-button>: where the picture is shown.
// Each is hidden where the browser cannot.

import { Control, define } from './control.js';
import { dressButton, el, ignore } from './dom.js';
import { AIRPLAY, CAST, FULLSCREEN, PIP, WINDOWED } from './icons.js';

export class PipButton extends Control {
  protected override build(): void {
    const { video, words } = this.stage;
    const button = el('button', { type: 'button', part: 'button pip-button' });
    this.hidden = !document.pictureInPictureEnabled || video.disablePictureInPicture;
    button.addEventListener('click', () => {
      togglePip(video);
    });
    this.append(button);
    this.follow(['enterpictureinpicture', 'leavepictureinpicture'], () => {
      const inside = isInPip(video);
      dressButton(button, PIP, words.say(inside ? 'endPip' : 'pip'), 'p');
      button.setAttribute('aria-pressed', String(inside));
    });
  }
}

function isInPip(video: Control['stage']['video']): boolean {
  // Browsers without it do not know the selector, and throw.
  return document.pictureInPictureEnabled && video.nativeEl.matches(':picture-in-picture');
}

export function togglePip(video: Control['stage']['video']): void {
  if (!document.pictureInPictureEnabled) return;
  (isInPip(video) ? document.exitPictureInPicture() : video.nativeEl.requestPictureInPicture()).catch(ignore);
}

/** iPhones show only the <video> itself full screen. */
interface AppleVideo extends HTMLVideoElement {
  webkitEnterFullscreen?(): void;
  webkitShowPlaybackTargetPicker?(): void;
}

export class FullscreenButton extends Control {
  protected override build(): void {
    const { player, video, words } = this.stage;
    const button = el('button', { type: 'button', part: 'button fullscreen-button' });
    this.hidden = !document.fullscreenEnabled && !(video.nativeEl as AppleVideo).webkitEnterFullscreen;
    button.addEventListener('click', () => {
      toggleFullscreen(this.stage);
    });
    this.append(button);
    const show = (): void => {
      const full = player.matches(':fullscreen');
      dressButton(button, full ? WINDOWED : FULLSCREEN, words.say(full ? 'endFullscreen' : 'fullscreen'), 'f');
    };
    player.addEventListener('fullscreenchange', show);
    show();
  }
}

export function toggleFullscreen({ player, video }: Control['stage']): void {
  if (player.matches(':fullscreen')) document.exitFullscreen().catch(ignore);
  // On the element itself, not on what it passes on to the video.
  else if (document.fullscreenEnabled) HTMLElement.prototype.requestFullscreen.call(player).catch(ignore);
  else (video.nativeEl as AppleVideo).webkitEnterFullscreen?.();
}

export class AirplayButton extends Control {
  protected override build(): void {
    const native = this.stage.video.nativeEl as AppleVideo;
    const button = el('button', { type: 'button', part: 'button airplay-button' });
    dressButton(button, AIRPLAY, this.stage.words.say('airplay'));
    this.hidden = true;
    native.addEventListener('webkitplaybacktargetavailabilitychanged', (event) => {
      this.hidden = (event as Event & { availability?: string }).availability !== 'available';
    });
    button.addEventListener('click', () => {
      native.webkitShowPlaybackTargetPicker?.();
    });
    this.append(button);
  }
}

export class CastButton extends Control {
  #remote: RemotePlayback | null = null;
  #watching: Promise<number> | null = null;

  /** Who watches is kept by the browser: only while the player is on a page. */
  connectedCallback(): void {
    if (!this.#remote || this.#watching) return;
    this.#watching = this.#remote.watchAvailability((available) => {
      this.hidden = !available;
    });
    this.#watching.catch(ignore);
  }

  disconnectedCallback(): void {
    const remote = this.#remote;
    this.#watching?.then((id) => remote?.cancelWatchAvailability(id)).catch(ignore);
    this.#watching = null;
  }

  protected override build(): void {
    const { video, words } = this.stage;
    const button = el('button', { type: 'button', part: 'button cast-button' });
    dressButton(button, CAST, words.say('cast'));
    this.hidden = true;
    this.append(button);
    const { remote } = video.nativeEl as { remote?: RemotePlayback };
    // Safari's devices are the AirPlay button's.
    if (!remote || 'webkitShowPlaybackTargetPicker' in video.nativeEl || video.disableRemotePlayback) return;
    this.#remote = remote;
    if (this.isConnected) this.connectedCallback();
    button.addEventListener('click', () => {
      remote.prompt().catch(ignore);
    });
  }
}

define('potluck-pip-button', PipButton);
define('potluck-fullscreen-button', FullscreenButton);
define('potluck-airplay-button', AirplayButton);
define('potluck-cast-button', CastButton);
