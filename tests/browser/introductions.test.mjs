// Viewers who met at no tracker meet through a neighbour of both.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { openViewer } from './lib/viewer.mjs';

/** Takes all of the film at once. */
const HURRIED = { forwardBuffer: 70, peerBuffer: 70 };
/** Asks for little, so that it still needs somebody at the end. */
const SHORT_BUFFER = { forwardBuffer: 8, peerBuffer: 10 };

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`in ${name}`, () => {
    let demo;
    let elsewhere;
    let browser;
    before(async () => {
      [demo, elsewhere, browser] = await Promise.all([startDemo({ faults: true }), startDemo({ faults: true }), launch()]);
    });
    after(async () => {
      await browser?.close();
      await Promise.all([demo?.stop(), elsewhere?.stop()]);
    });

    test('a neighbour introduces two, and when it and the trackers have gone they go on sharing', { timeout: 90_000 }, async () => {
      const [one, other] = [demo.tracker, elsewhere.tracker];
      const open = (urls, tuning) => openViewer(browser, demo, { src: demo.vod, trackers: urls, tuning, attributes: { swarm: 'chain' } });
      const viewers = [];
      try {
        // Only the first knows both trackers; the second holds all of the film, the third little.
        viewers.push(await open(`${one} ${other}`, SHORT_BUFFER));
        const [first] = viewers;
        await first.plays(1, { seconds: 30 });
        viewers.push(await open(one, HURRIED));
        const second = viewers[1];
        await second.until('the second has met the first', ({ stats }) => stats.peers === 1, { seconds: 30 });
        viewers.push(await open(other, SHORT_BUFFER));
        const third = viewers[2];
        await third.until('the third has met both', ({ stats }) => stats.peers === 2, { seconds: 30 });
        await second.until('so has the second', ({ stats }) => stats.peers === 2, { seconds: 10 });
        await Promise.all([demo.trackerUp(false), elsewhere.trackerUp(false)]);
        await first.close();
        const before = await third.until('the third knows the second alone', ({ stats }) => stats.peers === 1, { seconds: 20 });
        const state = await third.until('the second gives it more', ({ stats }) => stats.peerBytes > before.stats.peerBytes + 200_000, { seconds: 30 });
        assert.equal(state.stats.peerState, 'connected', inWords(state));
        assert.deepEqual(state.meter.interruptions, [], inWords(state));
        assert.equal(state.error, null);
      } finally {
        await Promise.all(viewers.map((viewer) => viewer.close().catch(() => {})));
      }
    });
  });
}
