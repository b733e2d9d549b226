// What pages do with elements: two of them on one page, another film before the first has come, and sound without a click.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, test } from 'node:test';
import { chromium } from './lib/browsers.mjs';
import { inWords } from './lib/figures.mjs';
import { scene } from './lib/scene.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

/** As browsers are delivered: sound needs a click. */
const refusing = () => chromium({ args: ['--autoplay-policy=document-user-activation-required'] });

describe('on one page', () => {
  let demo;
  let browser;
  scene(refusing, (...both) => { [demo, browser] = both; });

  test('two elements play two films, each with an engine of its own', { timeout: 60_000 }, async () => {
    const viewer = await openViewer(browser, demo, { src: demo.vod });
    await viewer.plays(1, { seconds: 30 });
    await viewer.with((element, src) => {
      const other = element.cloneNode();
      other.id = 'other';
      other.src = src;
      document.body.append(other);
    }, demo.live);
    await until('the other plays', () => viewer.frame.evaluate(`document.getElementById('other').currentTime > 0 && document.getElementById('other').readyState >= 3`), { seconds: 30 });
    assert.equal(viewer.page.workers().length, 2);
    const types = await viewer.frame.evaluate(`[...document.querySelectorAll('potluck-video')].map((one) => one.streamType)`);
    assert.deepEqual(types, ['on-demand', 'live']);
    await viewer.plays(1, { seconds: 20 });
    await viewer.frame.evaluate(`document.getElementById('other').remove()`);
    await until('its engine is gone', () => viewer.page.workers().length === 1, { seconds: 15 });
    await viewer.plays(1, { seconds: 20 });
    assert.deepEqual(viewer.problems, []);
    await viewer.close();
  });

  test('what goes wrong with a film is not said of the next one', { timeout: 60_000 }, async () => {
    /** A page whose engine hears of the second film when the first has failed. */
    const hold = () => {
      const { postMessage } = Worker.prototype;
      Worker.prototype.postMessage = function (message, ...rest) {
        if (message?.type === 'load' && !message.url.includes('nothing')) setTimeout(() => postMessage.call(this, message, ...rest), 2000);
        else postMessage.call(this, message, ...rest);
      };
    };
    const viewer = await openViewer(browser, demo, { src: `${demo.url}/media/nothing.m3u8`, before: hold });
    await viewer.until('it has failed', ({ error }) => error?.name === 'playlist-status', { seconds: 30 });
    await viewer.with(async (element, [nothing, vod]) => {
      element.src = `${nothing}?again`;
      await new Promise((go) => setTimeout(go, 0));
      element.src = vod;
    }, [`${demo.url}/media/nothing.m3u8`, demo.vod]);
    const state = await viewer.plays(1, { seconds: 30 });
    assert.equal(state.error, null, inWords(state));
    assert.deepEqual(state.warnings, []);
    await viewer.close();
  });

  test('of films that follow each other at once only the last plays', { timeout: 60_000 }, async () => {
    const viewer = await openViewer(browser, demo, { src: `${demo.url}/media/first.m3u8` });
    await viewer.with(async (element, [vod, live]) => {
      element.src = live;
      await new Promise((go) => setTimeout(go, 0));
      element.src = vod;
      await new Promise((go) => setTimeout(go, 15));
      element.src = live;
      await Promise.resolve();
      element.src = vod;
    }, [demo.vod, demo.live]);
    const state = await viewer.until('the film plays', (now) => now.position > 1 && now.duration > 60 && now.readyState >= 3, { seconds: 30 });
    assert.equal(state.error, null, inWords(state));
    assert.deepEqual(state.warnings, []);
    assert.equal(viewer.page.workers().length, 1);
    await viewer.close();
  });

  test('the next film plays when it is asked to, and waits when it is not', { timeout: 60_000 }, async () => {
    const viewer = await openViewer(browser, demo, { src: demo.vod });
    await viewer.plays(1, { seconds: 30 });
    await viewer.with((element, src) => {
      element.autoplay = false;
      element.src = src;
      return element.play();
    }, `${demo.vod}?next`);
    await viewer.until('the next plays', ({ position, paused, readyState }) => !paused && readyState >= 3 && position > 0 && position < 30, { seconds: 30 });
    assert.equal(await viewer.with((element) => element.currentSrc), `${demo.vod}?next`);
    await viewer.plays(1, { seconds: 30 });
    await viewer.with((element, src) => { element.src = src; }, `${demo.vod}?last`);
    const state = await viewer.until('the last has come', ({ position, readyState }) => readyState >= 3 && position === 0, { seconds: 30 });
    assert.equal(state.paused, true, inWords(state));
    assert.equal(await viewer.with((element) => element.currentSrc), `${demo.vod}?last`);
    await viewer.close();
  });

  test('a player far down the page loads nothing before the viewer comes near', { timeout: 60_000 }, async () => {
    const page = await openViewer(browser, demo);
    await page.frame.evaluate(`import('/potluck.js').then(() => {
      const [far, early] = [0, 1].map(() => document.createElement('potluck-player'));
      for (const player of [far, early]) player.setAttribute('src', '${demo.vod}');
      early.setAttribute('preload', 'auto');
      document.documentElement.style.overflow = document.body.style.overflow = 'auto';
      document.body.style.display = 'block';
      const gap = document.createElement('div');
      gap.style.height = '6000px';
      document.body.replaceChildren(gap, far, early);
      Object.assign(window, { far, early });
      return null;
    })`);
    await until('the one that says so is loaded', () => page.frame.evaluate('early.readyState > 0'), { seconds: 30 });
    assert.equal(await page.frame.evaluate('far.readyState'), 0);
    assert.equal(page.page.workers().length, 1, 'the other has its engine already');
    assert.ok(await page.frame.evaluate('Boolean(far.shadowRoot.querySelector("potluck-play-button"))'), 'its controls are not there');
    await page.frame.evaluate('far.scrollIntoView()');
    await until('it is loaded', () => page.frame.evaluate('far.readyState > 0'), { seconds: 30 });
    assert.equal(await page.frame.evaluate('far.preload'), await page.frame.evaluate('document.createElement("potluck-video").preload'));
    assert.deepEqual(page.problems, []);
    await page.close();
  });

  test('what plays by itself shows its picture first, and its controls when that takes long', { timeout: 60_000 }, async () => {
    const page = await openViewer(browser, demo);
    // The first player of a page is the one whose controls have to be fetched.
    const begin = (src) => page.frame.evaluate(`import('/potluck.js').then(() => {
      const player = document.createElement('potluck-player');
      for (const [name, value] of Object.entries({ src: '${src}', autoplay: '', muted: '' })) player.setAttribute(name, value);
      window.pictured = Infinity;
      player.video.addEventListener('loadeddata', () => { window.pictured = performance.now(); });
      window.began = performance.now();
      document.body.replaceChildren(player);
      window.player = player;
      return null;
    })`);
    const dressed = () => page.frame.evaluate('Boolean(player.shadowRoot.querySelector("potluck-play-button"))');
    await begin(demo.vod);
    await until('the controls are there', dressed, { seconds: 30 });
    await until('the film plays', () => page.frame.evaluate('player.currentTime > 0'), { seconds: 30 });
    const [asked, pictured, began] = await page.frame.evaluate(`[performance.getEntriesByType('resource').find(({ name }) => name.endsWith('/potluck-player.js')).startTime, pictured, began]`);
    assert.ok(asked >= Math.min(pictured, began + 490), `the controls were asked for ${asked - began} ms after the start, the picture came after ${pictured - began} ms`);

    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    await begin(`http://127.0.0.1:${silent.address().port}/master.m3u8`);
    await until('the controls are there without a picture', dressed, { seconds: 30 });
    assert.deepEqual(await page.frame.evaluate('[player.readyState, player.error]'), [0, null]);
    silent.closeAllConnections();
    silent.close();
    await page.close();
  });

  test('a film that may not play with sound waits for a click', { timeout: 60_000 }, async () => {
    const page = `${demo.url}/embed.html?${new URLSearchParams({ src: demo.vod, autoplay: '1' })}`;
    const viewer = await openViewer(browser, demo, { page });
    // Whoever evaluates something in a page counts as a click there, so nothing is asked before the film is loaded.
    await viewer.page.waitForNetworkIdle({ idleTime: 4000, timeout: 30_000 });
    await viewer.adopt(() => document.querySelector('potluck-player').video);
    const waits = await viewer.until('it is loaded', (state) => state.readyState >= 3, { seconds: 30 });
    assert.equal(waits.paused, true, inWords(waits));
    assert.equal(waits.error, null);
    const button = await viewer.frame.waitForSelector('>>> [part~="big-play-button"]', { visible: true });
    await button.click();
    const state = await viewer.plays(1, { seconds: 20 });
    assert.equal(state.error, null);
    assert.equal(await viewer.with((element) => element.muted), false);
    assert.deepEqual(viewer.problems, []);
    await viewer.close();
  });
});
