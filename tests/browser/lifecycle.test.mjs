// Elements that come and go leave nothing behind.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chromium } from './lib/browsers.mjs';
import { inWords } from './lib/figures.mjs';
import { scene } from './lib/scene.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

describe('an element', () => {
  let demo;
  let browser;
  scene(chromium, (...both) => { [demo, browser] = both; });

  const tracked = async () => (await demo.stats()).tracker;

  test('that is removed ends its worker, its tracker connection and its peers; added again, it plays', { timeout: 90_000 }, async () => {
    const other = await openViewer(browser, demo, { src: demo.vod });
    await other.plays(1, { seconds: 30 });
    const viewer = await openViewer(browser, demo, { src: demo.vod });
    for (let round = 0; round < 3; round++) {
      await viewer.plays(1, { seconds: 30 });
      await viewer.until('it has met the other', (state) => state.stats.peers === 1, { seconds: 20 });
      assert.equal(viewer.page.workers().length, 1);
      await viewer.with((element) => element.remove());
      await until('its worker is gone', () => viewer.page.workers().length === 0, { seconds: 10 });
      await until('the tracker has forgotten it', async () => (await tracked()).peers === 1, { seconds: 10 });
      await other.until('the other knows that it left', (state) => state.stats.peers === 0, { seconds: 10 });
      await viewer.with((element) => {
        document.body.append(element);
        return element.play();
      });
    }
    await viewer.plays(1, { seconds: 30 });
    assert.deepEqual([...viewer.problems, ...other.problems], []);
    await viewer.close();
    await other.close();
  });

  test('that is moved plays on', { timeout: 60_000 }, async () => {
    const viewer = await openViewer(browser, demo, { src: demo.vod });
    const before = await viewer.plays(2, { seconds: 30 });
    const requests = (await demo.stats()).origin.paths['/media/sample/master.m3u8'].requests;
    await viewer.with((element) => {
      const place = document.createElement('div');
      document.body.append(place);
      place.append(element);
      // Whatever a browser does to a <video> that is moved: pages that move one call play().
      return element.play();
    });
    const after = await viewer.plays(1, { seconds: 20 });
    assert.ok(after.position > before.position, inWords(after));
    assert.equal((await demo.stats()).origin.paths['/media/sample/master.m3u8'].requests, requests, 'it loaded anew');
    await viewer.close();
  });

  test('that gets one title after another keeps one engine and no media of the last', { timeout: 90_000 }, async () => {
    const viewer = await openViewer(browser, demo, { src: demo.vod });
    for (const src of [demo.live, demo.vod, demo.live, demo.vod]) {
      await viewer.with((element, url) => {
        element.src = url;
      }, src);
      const live = src === demo.live;
      const state = await viewer.until(`${src} plays`, (now) => (
        now.position > 0.5 && now.readyState >= 3 && (now.duration === null) === live
      ), { seconds: 20 });
      assert.equal(state.error, null);
      assert.equal(viewer.page.workers().length, 1);
      assert.ok(state.stats.storeBytes < 6e6, inWords(state));
    }
    await viewer.plays(1);
    await viewer.with((element) => element.removeAttribute('src'));
    await viewer.until('nothing is loaded', (state) => state.readyState === 0, { seconds: 10 });
    await until('the tracker has forgotten it', async () => (await tracked()).peers === 0, { seconds: 10 });
    assert.deepEqual(viewer.problems, []);
    await viewer.close();
  });

  test('changes its options while it plays', { timeout: 90_000 }, async () => {
    const tuning = { forwardBuffer: 8, peerBuffer: 10 };
    const other = await openViewer(browser, demo, { src: demo.vod, tuning: { forwardBuffer: 70, peerBuffer: 70 } });
    await other.plays(1, { seconds: 30 });
    const viewer = await openViewer(browser, demo, { src: demo.vod, tuning });
    await viewer.until('the two share', (state) => state.stats.peerBytes > 0, { seconds: 30 });
    await viewer.with((element) => {
      element.p2p = 'off';
    });
    const off = await viewer.until('it is by itself', (state) => state.stats.peers === 0 && state.stats.peerState === 'off', { seconds: 10 });
    const later = await viewer.until('the origin serves what comes next', (state) => state.stats.httpBytes > off.stats.httpBytes, { seconds: 20 });
    assert.equal(later.stats.peerBytes, off.stats.peerBytes, inWords(later));
    assert.deepEqual(later.meter.interruptions, [], inWords(later));
    await viewer.with((element) => {
      element.p2p = 'on';
    });
    await viewer.until('the two share again', (state) => state.stats.peerBytes > later.stats.peerBytes, { seconds: 30 });
    assert.deepEqual([...viewer.problems, ...other.problems], []);
    await viewer.close();
    await other.close();
  });

  test('whose engine breaks down goes on where it was; the second time soon after it says so', { timeout: 90_000 }, async () => {
    const viewer = await openViewer(browser, demo, { src: demo.vod, start: 20 });
    const breakDown = async () => await viewer.page.workers()[0].evaluate(() => {
      setTimeout(() => {
        throw new Error('a broken invariant');
      });
    });
    await viewer.plays(2, { seconds: 30 });
    // What goes on does so because it played, not because it plays by itself.
    await viewer.with((element) => element.removeAttribute('autoplay'));
    const before = await viewer.state();
    await breakDown();
    const again = await viewer.until('it plays on', ({ warnings, position }) => warnings.includes('engine-stopped') && position > before.position + 2, { seconds: 30 });
    assert.equal(again.error, null, inWords(again));
    assert.ok(again.buffered[0][0] > before.position - 8, `it began anew: ${inWords(again)}`);
    assert.equal(viewer.page.workers().length, 1);
    await breakDown();
    const end = await viewer.until('it ends', ({ error }) => error !== null, { seconds: 20 });
    assert.equal(end.error.name, 'engine-stopped', inWords(end));
    await viewer.close();
  });
});
