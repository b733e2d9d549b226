// The controls of <potluck-player>, built with media-chrome: a bundle of its own (potluck-player.js).

import 'media-chrome/dist/media-controller.js';
import 'media-chrome/dist/media-airplay-button.js';
import 'media-chrome/dist/media-captions-button.js';
import 'media-chrome/dist/media-control-bar.js';
import 'media-chrome/dist/media-fullscreen-button.js';
import 'media-chrome/dist/media-live-button.js';
import 'media-chrome/dist/media-loading-indicator.js';
import 'media-chrome/dist/media-mute-button.js';
import 'media-chrome/dist/media-pip-button.js';
import 'media-chrome/dist/media-play-button.js';
import 'media-chrome/dist/media-time-display.js';
import 'media-chrome/dist/media-time-range.js';
import 'media-chrome/dist/media-volume-range.js';
import 'media-chrome/dist/menu/media-audio-track-menu.js';
import 'media-chrome/dist/menu/media-captions-menu.js';
import 'media-chrome/dist/menu/media-playback-rate-menu.js';
import 'media-chrome/dist/menu/media-rendition-menu.js';
import 'media-chrome/dist/menu/media-settings-menu-button.js';
import 'media-chrome/dist/menu/media-settings-menu-item.js';
import 'media-chrome/dist/menu/media-settings-menu.js';
import type { PotluckPlayer } from '../public/potluck-player.js';
import type { WaitingReason } from './protocol.js';

/** What viewers read while they wait; the spinner says `buffering` by itself. */
const WAITING_TEXT: Record<WaitingReason, string> = {
  'buffering': '',
  'origin-unavailable': 'The server does not answer. Trying again…',
  'offline': 'You are offline. Playback goes on when you are back.',
  'playlist-stale': 'The broadcast has paused. Waiting for it to go on…',
};

const STYLE = `
  media-controller {
    --media-primary-color: #fff;
    --media-secondary-color: transparent;
    --media-control-background: transparent;
    --media-control-hover-background: rgb(255 255 255 / .16);
    --media-font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
    --media-font-size: 13px;
    --media-text-content-height: 22px;
    --media-control-height: 22px;
    --media-button-padding: 9px;
    --media-control-padding: 9px;
    --media-focus-box-shadow: inset 0 0 0 2px var(--_accent);
    --media-range-bar-color: var(--_accent);
    --media-range-thumb-background: var(--_accent);
    --media-range-track-background: rgb(255 255 255 / .25);
    --media-range-track-border-radius: 4px;
    --media-time-range-buffered-color: rgb(255 255 255 / .35);
    --media-live-button-indicator-color: #ff4d4d;
    --media-settings-menu-background: rgb(24 24 30 / .96);
    --media-settings-menu-min-width: 190px;
    --media-menu-item-hover-background: rgb(255 255 255 / .12);
    --media-preview-time-background: rgb(24 24 30 / .9);
    --media-preview-time-border-radius: 6px;
    --media-preview-time-padding: 4px 8px;
    --media-tooltip-background: rgb(24 24 30 / .95);
    --media-tooltip-border-radius: 6px;
    --_accent: var(--potluck-accent, #ff8a4c);
    display: block; width: 100%; height: 100%; background: #000; outline: none;
  }
  .bottom { width: 100%; box-sizing: border-box; padding: 36px 8px 4px; background: linear-gradient(transparent, rgb(0 0 0 / .4) 40%, rgb(0 0 0 / .75)); }
  [part="heading"] { padding: 14px 18px 30px; font: 600 16px/1.35 var(--media-font-family); text-shadow: 0 1px 3px rgb(0 0 0 / .6);
    background: linear-gradient(rgb(0 0 0 / .6), transparent); width: 100%; box-sizing: border-box; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  [part="heading"]:empty { display: none; }
  media-time-range { width: 100%; height: 20px; --media-range-track-height: 4px; --media-range-padding: 10px; --media-range-thumb-opacity: 0; --media-range-thumb-width: 13px; --media-range-thumb-height: 13px; }
  media-time-range:hover, media-time-range:focus-within { --media-range-track-height: 6px; --media-range-thumb-opacity: 1; }
  media-control-bar { width: 100%; align-items: center; gap: 1px; }
  media-control-bar > * { border-radius: 8px; flex: none; }
  .spacer { flex: 1 1 0; min-width: 0; }
  media-volume-range { width: 0; min-width: 0; overflow: hidden; padding: 0; opacity: 0; transition: width .2s, opacity .2s; --media-range-track-height: 4px; --media-range-thumb-width: 11px; --media-range-thumb-height: 11px; }
  .volume { display: flex; border-radius: 8px; }
  .volume:hover media-volume-range, .volume:focus-within media-volume-range { width: 84px; opacity: 1; }
  media-volume-range[mediavolumeunavailable] { display: none; }
  media-time-display { color: rgb(255 255 255 / .92); font-variant-numeric: tabular-nums; }
  media-live-button { font-weight: 600; letter-spacing: .03em; }
  .controls:not([data-stream="live"]) media-live-button { display: none; }
  .controls[data-stream="live"] media-time-display, .controls[data-stream="live"] .on-demand { display: none; }
  .controls[data-stream="live"]:not([data-dvr]) media-time-range { visibility: hidden; }
  media-captions-button:not([mediasubtitleslist]), media-pip-button[mediapipunavailable], media-airplay-button[mediaairplayunavailable], media-fullscreen-button[mediafullscreenunavailable] { display: none; }
  media-settings-menu { right: 8px; bottom: 58px; border-radius: 12px; box-shadow: 0 8px 30px rgb(0 0 0 / .5); max-height: 70%; }
  media-settings-menu-item { border-radius: 8px; }
  media-settings-menu-item[submenusize="0"], media-settings-menu-item[submenusize="1"].choice { display: none; }
  [part="people"] { display: inline-flex; align-items: center; gap: 6px; height: 28px; padding: 0 10px; margin: 0 4px; border-radius: 999px; background: rgb(255 255 255 / .14);
    font: 600 12px/1 var(--media-font-family); font-variant-numeric: tabular-nums; white-space: nowrap; cursor: default; }
  [part="people"][hidden] { display: none; }
  [part="people"] svg { width: 15px; height: 15px; fill: currentColor; }
  [part="people"].sharing { color: #9cf0c1; background: rgb(60 200 130 / .22); }
  .center { display: grid; place-items: center; gap: 14px; width: 100%; height: 100%; pointer-events: none; }
  .center > * { grid-area: 1 / 1; pointer-events: auto; }
  media-loading-indicator { --media-loading-indicator-icon-height: 84px; pointer-events: none; }
  .big { --media-control-height: 40px; padding: 18px; border-radius: 50%; background: rgb(20 20 26 / .62); backdrop-filter: blur(6px); transition: background .15s, transform .15s; --media-tooltip-display: none; }
  .big:hover { background: var(--_accent); transform: scale(1.06); }
  .played .big, .failed .big { display: none; }
  .status { align-self: center; max-width: min(86%, 34rem); padding: 10px 16px; border-radius: 12px; background: rgb(20 20 26 / .82); font: 500 14px/1.4 var(--media-font-family); text-align: center; margin-top: 110px; }
  .status:empty { display: none; }
  .failure { max-width: min(88%, 38rem); padding: 22px 26px; border-radius: 16px; background: rgb(20 20 26 / .9); font: 400 14px/1.5 var(--media-font-family); text-align: center; overflow-wrap: anywhere; overflow: auto; max-height: 80%; box-sizing: border-box; }
  .failure[hidden] { display: none; }
  .failure h2 { margin: 0 0 6px; font-size: 17px; }
  .failure p { margin: 0 0 14px; color: rgb(255 255 255 / .82); }
  .failure code { display: block; margin: 0 0 14px; font-size: 12px; color: rgb(255 255 255 / .55); }
  .failure button { border: 0; border-radius: 999px; padding: 9px 20px; font: 600 14px/1 var(--media-font-family); color: #1b1108; background: var(--_accent); cursor: pointer; }
  .failure button:focus-visible { outline: 2px solid #fff; outline-offset: 2px; }
  @container (max-width: 520px) {
    media-controller { --media-button-padding: 7px; --media-control-padding: 7px; --media-font-size: 12px; }
    media-volume-range, .volume:hover media-volume-range, media-airplay-button, .wide { display: none; }
    .big { --media-control-height: 30px; padding: 14px; }
    [part="heading"] { font-size: 14px; padding: 10px 12px 24px; }
    [part="people"] { padding: 0 8px; margin: 0 2px; }
    .status { margin-top: 84px; font-size: 13px; padding: 8px 12px; }
    .failure { padding: 14px 16px; font-size: 13px; line-height: 1.4; }
    .failure code { margin-bottom: 8px; } .failure p { margin-bottom: 8px; }
  }
  @media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
`;

const CONTROLS = `
  <div slot="top-chrome" part="heading"></div>
  <div slot="centered-chrome" class="center" noautohide>
    <media-loading-indicator noautohide></media-loading-indicator>
    <div class="status" role="status"></div>
    <media-play-button class="big"></media-play-button>
    <div class="failure" role="alert" hidden><h2>This video cannot be played</h2><p></p><code></code><button type="button">Try again</button></div>
  </div>
  <media-settings-menu anchor="auto" hidden>
    <media-settings-menu-item class="choice">Quality<media-rendition-menu slot="submenu" hidden><div slot="title">Quality</div></media-rendition-menu></media-settings-menu-item>
    <media-settings-menu-item class="on-demand">Speed<media-playback-rate-menu slot="submenu" hidden><div slot="title">Speed</div></media-playback-rate-menu></media-settings-menu-item>
    <media-settings-menu-item class="choice">Audio<media-audio-track-menu slot="submenu" hidden><div slot="title">Audio</div></media-audio-track-menu></media-settings-menu-item>
    <media-settings-menu-item class="choice">Captions<media-captions-menu slot="submenu" hidden><div slot="title">Captions</div></media-captions-menu></media-settings-menu-item>
  </media-settings-menu>
  <div class="bottom"><media-time-range></media-time-range>
  <media-control-bar>
    <media-play-button></media-play-button>
    <div class="volume"><media-mute-button></media-mute-button><media-volume-range></media-volume-range></div>
    <media-live-button></media-live-button>
    <media-time-display showduration></media-time-display>
    <span class="spacer"></span>
    <span part="people" hidden><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M8.5 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Zm7.5 0a3 3 0 1 0 0-6 3 3 0 0 0 0 6Zm-7.5 2C5 13 2 14.8 2 17.2V20h13v-2.8C15 14.8 12 13 8.5 13Zm7.5 0c-.4 0-.8 0-1.2.1 1.4 1 2.2 2.4 2.2 4.1V20h5v-2.6C22 15 19 13 16 13Z"/></svg><span></span></span>
    <media-captions-button></media-captions-button>
    <media-settings-menu-button></media-settings-menu-button>
    <media-airplay-button></media-airplay-button>
    <media-pip-button class="wide"></media-pip-button>
    <media-fullscreen-button></media-fullscreen-button>
  </media-control-bar></div>
`;

/** Puts the controls around the player's video. */
export function dress(player: PotluckPlayer): void {
  const root = player.shadowRoot;
  const { video } = player;
  if (!root || root.querySelector('media-controller')) return;
  const style = document.createElement('style');
  style.textContent = STYLE;
  const controller = document.createElement('media-controller');
  controller.className = 'controls';
  controller.setAttribute('part', 'controller');
  controller.innerHTML = CONTROLS;
  video.slot = 'media';
  // Moved within one task, the video does not notice.
  controller.prepend(video);
  root.append(style, controller);

  const find = (selector: string): HTMLElement => {
    const element = controller.querySelector<HTMLElement>(selector);
    if (!element) throw new Error(`the controls have no ${selector}`);
    return element;
  };
  find('[part="heading"]').textContent = player.heading;

  const status = find('.status');
  const showWaiting = (): void => {
    status.textContent = video.waitingReason ? WAITING_TEXT[video.waitingReason] : '';
  };

  const failure = find('.failure');
  const showFailure = (): void => {
    const { error } = video;
    failure.hidden = !error;
    controller.classList.toggle('failed', error !== null);
    if (!error) return;
    find('.failure p').textContent = error.message;
    find('.failure code').textContent = 'name' in error ? String(error.name) : `code ${error.code}`;
  };
  find('.failure button').addEventListener('click', () => {
    failure.hidden = true;
    controller.classList.remove('failed');
    video.load();
    video.play().catch(ignore);
  });

  const showStream = (): void => {
    controller.dataset['stream'] = video.streamType;
    // Live without a window to rewind in has nothing to look for on a time line.
    controller.toggleAttribute('data-dvr', video.targetLiveWindow > 0);
  };

  const people = find('[part="people"]');
  const showPeople = (): void => {
    const { peers, peerBytes, httpBytes, peerState } = video.stats;
    people.hidden = peerState === 'off' || peerState === 'no-tracker' || peerState === 'webrtc-unavailable';
    const share = Math.round((100 * peerBytes) / Math.max(1, peerBytes + httpBytes));
    people.classList.toggle('sharing', peers > 0);
    people.title = `${peers} ${peers === 1 ? 'viewer shares' : 'viewers share'} this stream with you; ${share} % came from people`;
    find('[part="people"] > span').textContent = peers > 0 ? `${peers} · ${share} %` : '0';
  };

  const showPlayed = (): void => {
    controller.classList.toggle('played', !video.paused || video.currentTime > 0);
  };

  const shows: [() => void, string[]][] = [
    [showWaiting, ['waitingreasonchange']],
    [showFailure, ['error', 'loadstart', 'playing', 'seekablechange']],
    [showStream, ['streamtypechange', 'targetlivewindowchange']],
    [showPeople, ['statschange']],
    [showPlayed, ['play', 'playing', 'emptied', 'timeupdate', 'seeked']],
  ];
  for (const [show, events] of shows) {
    show();
    for (const event of events) video.addEventListener(event, show);
  }
}

function ignore(): void {
  // play() was refused; the controls stay.
}
