// One viewer, without anybody to share with: a film to its end, seeks, renditions.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords, segmentsOf } from './lib/figures.mjs';
import { scene } from './lib/scene.mjs';
import { openViewer } from './lib/viewer.mjs';

const LENGTH = 64;
const FRAMES_PER_SECOND = 24;
/** Little enough ahead that another rendition is on the screen soon. */
const SHORT_BUFFER = { forwardBuffer: 8, peerBuffer: 8 };

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`one viewer in ${name}`, () => {
    let demo;
    let browser;
    scene(launch, (...both) => { [demo, browser] = both; });

    test('plays the film to its end', { timeout: 90_000 }, async (t) => {
      const viewer = await openViewer(browser, demo, { src: demo.vod });
      const start = await viewer.plays(2, { seconds: 30 });
      await viewer.with((element) => {
        element.playbackRate = 4;
      });
      const end = await viewer.until('it is at the end', (state) => state.ended, { seconds: 50 });
      t.diagnostic(`first frame after ${start.meter.firstFrameMs.toFixed(0)} ms; ${end.frames} of ${LENGTH * FRAMES_PER_SECOND} frames at four times the speed`);
      assert.ok(Math.abs(end.position - LENGTH) < 0.2 && Math.abs(end.duration - LENGTH) < 0.2, inWords(end));
      assert.ok(end.frames > LENGTH * FRAMES_PER_SECOND * 0.4, `too few frames were shown: ${inWords(end)}`);
      assert.deepEqual(end.meter.interruptions, [], inWords(end));
      assert.equal(end.error, null);
      // Again from the start: play() at the end begins anew, as on <video>.
      await viewer.with(async (element) => {
        element.playbackRate = 1;
        await element.play();
      });
      await viewer.until('it plays from the start', (state) => state.position > 0.5 && state.position < 20 && !state.ended);
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });

    test('seeks forward and back, and goes on', { timeout: 90_000 }, async () => {
      const viewer = await openViewer(browser, demo, { src: demo.vod, tuning: SHORT_BUFFER });
      await viewer.plays(1, { seconds: 30 });
      for (const to of [41.3, 12.7, 58, 0, 30]) {
        await viewer.with((element, position) => {
          element.currentTime = position;
        }, to);
        await viewer.plays(1, { seconds: 15 });
        const state = await viewer.state();
        assert.ok(state.position >= to && state.position < to + 6, `after a seek to ${to}: ${inWords(state)}`);
        assert.deepEqual(state.meter.interruptions, [], inWords(state));
      }
      // Many at once, as somebody who drags the bar makes them.
      await viewer.with(async (element) => {
        for (let n = 0; n < 20; n++) {
          element.currentTime = (n * 17) % 60;
          await new Promise((resolve) => setTimeout(resolve, 30));
        }
        element.currentTime = 57;
      });
      await viewer.plays(1, { seconds: 15 });
      const end = await viewer.until('it is at the end', (state) => state.ended, { seconds: 40 });
      assert.equal(end.stats.rebuffers, 0, inWords(end));
      // Back, so far that nothing of the end is kept, and to the very end again.
      await viewer.with((element) => {
        element.currentTime = 3;
        return element.play();
      });
      await viewer.plays(0.5, { seconds: 15 });
      await viewer.with((element) => {
        element.currentTime = element.duration;
      });
      const again = await viewer.until('it is at the end again', (state) => state.ended, { seconds: 15 });
      assert.equal(again.error, null, inWords(again));
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });

    test('starts at the very end when it is asked to', { timeout: 60_000 }, async () => {
      const viewer = await openViewer(browser, demo, { src: demo.vod, start: LENGTH });
      const state = await viewer.until('it is at the end', (now) => now.ended || now.error !== null, { seconds: 20 });
      assert.equal(state.error, null, inWords(state));
      await viewer.close();
    });

    test('pauses, and starts where it is asked to', { timeout: 60_000 }, async () => {
      const viewer = await openViewer(browser, demo, { src: demo.vod, start: 21 });
      const state = await viewer.plays(1, { seconds: 30 });
      assert.ok(state.position >= 21 && state.position < 26, inWords(state));
      assert.ok(state.buffered[0][0] > 12, `what lies before was loaded too: ${inWords(state)}`);
      const [before, later] = await viewer.with(async (element) => {
        element.pause();
        const at = element.currentTime;
        await new Promise((resolve) => setTimeout(resolve, 500));
        return [at, element.currentTime];
      });
      assert.ok(later - before < 0.2, `${later} after ${before}`);
      await viewer.with((element) => element.play());
      await viewer.plays(1);
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });

    test('switches renditions by hand', { timeout: 90_000 }, async () => {
      const viewer = await openViewer(browser, demo, { src: demo.vod, tuning: SHORT_BUFFER });
      await viewer.plays(1, { seconds: 30 });
      const renditions = await viewer.with((element) => Array.from(element.videoRenditions, ({ width, height, bitrate }) => ({ width, height, bitrate })));
      assert.deepEqual(renditions.map(({ height }) => height), [720, 480, 240]);
      for (const [index, { height }] of [...renditions.entries()].reverse()) {
        await viewer.with((element, selected) => {
          element.videoRenditions.selectedIndex = selected;
        }, index);
        const state = await viewer.until(`${height} lines are shown`, (state) => state.height === height, { seconds: 30 });
        assert.equal(state.stats.rendition, index);
        await viewer.plays(0.5);
      }
      const state = await viewer.state();
      assert.deepEqual(state.meter.interruptions, [], inWords(state));
      assert.equal(await viewer.with((element) => element.videoRenditions.selectedIndex), 0);
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });
  });
}

// What the engine chooses does not depend on the browser.
describe('one viewer whose line changes', () => {
  let browser;
  before(async () => {
    browser = await chromium();
  });
  after(async () => {
    await browser?.close();
  });

  // In bytes a second: the smallest rendition takes 13,000 of them, the next 26,000, the largest 52,000.
  const SLOW = 'slow:20000';
  const FAST = 'slow:200000';

  test('gets larger renditions by itself when it becomes faster, and smaller ones when it becomes slower', { timeout: 120_000 }, async (t) => {
    await Promise.all([
      ['faster', { from: SLOW, to: FAST, initialBandwidthBps: 150_000, forwardBuffer: 8, starts: 240 }],
      ['slower', { from: FAST, to: SLOW, initialBandwidthBps: 1_000_000, forwardBuffer: 14, starts: 720 }],
    ].map(async ([how, { from, to, initialBandwidthBps, forwardBuffer, starts }]) => {
      const demo = await startDemo({ faults: true });
      try {
        await demo.break('.m4s', from);
        const viewer = await openViewer(browser, demo, {
          src: demo.vod, attributes: { 'size-cap': 'off' }, tuning: { forwardBuffer, peerBuffer: forwardBuffer, initialBandwidthBps },
        });
        const start = await viewer.plays(2, { seconds: 40 });
        assert.equal(start.height, starts, inWords(start));
        await demo.mend();
        await demo.break('.m4s', to);
        const other = await viewer.until(`it is ${how}`, (state) => (how === 'faster' ? state.height === 720 : state.height < 720), { seconds: 50 });
        await viewer.plays(2);
        const end = await viewer.state();
        t.diagnostic(`${how}: ${start.height} to ${other.height} lines at ${other.position.toFixed(1)} s`);
        assert.deepEqual(end.meter.interruptions, [], inWords(end));
        assert.equal(await viewer.with((element) => element.videoRenditions.selectedIndex), -1);
        const folders = new Set(segmentsOf(await demo.stats()).map(({ path }) => path.split('/').at(-2)));
        assert.ok(folders.size > 1 && folders.has('720p'), [...folders].join());
        assert.deepEqual(viewer.problems, []);
        await viewer.close();
      } finally {
        await demo.stop();
      }
    }));
  });
});
