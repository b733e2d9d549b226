// WebKit, as far as Debian builds it: WebKitGTK has Media Source Extensions on GStreamer, and no WebRTC. So it shows the HTTP path and the
// controls. Run where WebKitWebDriver, MiniBrowser and Xvfb are installed.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { inWords } from './lib/figures.mjs';
import { OUT, scene } from './lib/scene.mjs';
import { until } from './lib/wait.mjs';
import { webkit, webkitPrograms } from './lib/webkit.mjs';

const skip = webkitPrograms() ? false : 'WebKitGTK is not installed: apt-get install webkit2gtk-driver gstreamer1.0-libav gstreamer1.0-plugins-bad xvfb';

const STATE = `(() => {
  const video = document.querySelector('potluck-player')?.video;
  if (!video) return null;
  const { error, warnings, stats, waitingReason } = video;
  return {
    position: video.currentTime, duration: video.duration, paused: video.paused, readyState: video.readyState, width: video.videoWidth, height: video.videoHeight,
    frames: video.nativeEl.getVideoPlaybackQuality().totalVideoFrames, error: error && error.name + ': ' + error.message, warnings: warnings.map(({ code }) => code),
    waitingReason, httpBytes: stats.httpBytes, peerState: stats.peerState, live: video.streamType === 'live',
  };
})()`;
const INSIDE = (selector) => `document.querySelector('potluck-player').shadowRoot.querySelector('${selector}')`;

describe('in WebKitGTK', { skip }, () => {
  let demo;
  let browser;
  if (!skip) scene(webkit, (...both) => { [demo, browser] = both; });

  const open = async (query) => {
    await browser.goto(`${demo.url}/embed.html?${new URLSearchParams({ trackers: demo.tracker, title: 'The film', muted: '1', autoplay: '1', consent: 'granted', ...query })}`);
  };
  /** Without a window manager no window has the focus, so the driver's own keys go nowhere. */
  const press = async (key) => {
    await browser.evaluate(`document.querySelector('potluck-player').dispatchEvent(new KeyboardEvent('keydown', { key: '${key}', bubbles: true, composed: true, cancelable: true }))`);
  };
  const reach = async (what, condition, seconds = 40) => {
    let last = null;
    return await until(what, async () => {
      last = await browser.evaluate(STATE);
      return last && condition(last) && last;
    }, { seconds, describe: () => last });
  };

  test('a film plays by HTTP, is sought in and paused by keys', { timeout: 120_000 }, async (t) => {
    await open({ src: demo.vod });
    const playing = await reach('it plays', (state) => state.position > 1 && state.frames > 10);
    t.diagnostic(`WebKitGTK ${browser.version}: ${inWords(playing).replaceAll('\n', '')}`);
    assert.equal(playing.error, null);
    assert.ok(playing.httpBytes > 0 && playing.width > 0, inWords(playing));
    assert.ok(['webrtc-unavailable', 'alone', 'connecting'].includes(playing.peerState), playing.peerState);
    await press('5');
    const middle = await reach('it plays on in the middle', (state) => state.position > state.duration / 2 + 0.5 && state.readyState >= 3);
    assert.equal(middle.error, null);
    await press('k');
    await reach('the key pauses', (state) => state.paused);
    await press('k');
    await reach('and plays', (state) => !state.paused && state.position > middle.position);
    await writeFile(`${OUT}webkit.png`, await browser.screenshot());
  });

  test('the controls are there, named, and do what they say', { timeout: 120_000 }, async () => {
    await open({ src: demo.vod });
    await reach('it plays', (state) => state.position > 0.5);
    const names = await browser.evaluate(`[...document.querySelector('potluck-player').shadowRoot.querySelectorAll('.bottom :is(button, input, [role="slider"])')].filter((control) => control.offsetParent).map((control) => control.getAttribute('aria-label') ?? control.textContent.trim())`);
    assert.ok(names.length >= 9 && names.every(Boolean), names.join());
    assert.equal(await browser.evaluate(`document.querySelector('potluck-player').video.controls`), false, 'the browser\'s own controls are there');
    await browser.evaluate(`${INSIDE('[part~="settings-button"]')}.click()`);
    await until('the menu is open', () => browser.evaluate(`!${INSIDE('[role="menu"]')}.hidden`));
    await writeFile(`${OUT}webkit-menu.png`, await browser.screenshot());
    // The last entry is the smallest rendition.
    await browser.evaluate(`${INSIDE('[role="menu"] [role="menuitem"]')}.click()`);
    await until('the qualities are shown', () => browser.evaluate(`${INSIDE('[role="menuitemradio"]')} !== null`));
    await browser.evaluate(`[...document.querySelector('potluck-player').shadowRoot.querySelectorAll('[role="menuitemradio"]')].at(-1).click()`);
    await reach('the smallest rendition plays', (state) => state.height === 240, 60);
    await press('i');
    await until('the statistics are open', () => browser.evaluate(`${INSIDE('potluck-stats-sheet')}?.hidden === false`));
  });

  test('the live channel plays', { timeout: 90_000 }, async () => {
    await open({ src: demo.live });
    const state = await reach('it plays', (now) => now.live && now.position > 0 && now.readyState >= 3 && now.frames > 30);
    assert.equal(state.error, null);
  });

  test('a film that is not there is an error with a way out', { timeout: 60_000 }, async () => {
    await open({ src: `${demo.url}/media/nothing.m3u8` });
    const state = await reach('there is an error', (now) => now.error !== null);
    assert.match(state.error, /^playlist-status/);
    await until('it is shown', () => browser.evaluate(`${INSIDE('[part~="error"]')}?.offsetParent !== null`));
  });
});
