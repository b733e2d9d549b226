// An origin that breaks: playback goes on as long as somebody has the bytes, and waits visibly when nobody has.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { openViewer } from './lib/viewer.mjs';

/**
 * Seconds that are fetched ahead: more than a fault lasts, and little enough that something has to be fetched during each. A segment is
 * 4 s long, so in 5 s of playback at least one more is due.
 */
const SHORT_BUFFER = { forwardBuffer: 9, peerBuffer: 11 };
const FAULT_SECONDS = 5;

/** The browser says on the console which requests failed. */
const isNetwork = (problem) => problem.includes('Failed to load resource') || problem.includes('net::ERR_');

/** A server of its own for each test: faults count for all of its viewers. */
async function withDemo(use) {
  const demo = await startDemo({ faults: true });
  try {
    await use(demo);
  } finally {
    await demo.stop();
  }
}

describe('an origin that breaks', () => {
  let browser;
  before(async () => {
    browser = await chromium();
  });
  after(async () => {
    await browser?.close();
  });

  const ends = (state) => state.buffered.at(-1)?.[1] ?? 0;

  test('for 5 s, in the middle of a film or a broadcast: plays on', { timeout: 120_000 }, async (t) => {
    const cases = [
      ['vod', '.m4s', 'status:503'],
      ['vod', '.m4s', 'hang'],
      ['vod', '.m4s', 'truncate'],
      ['vod', '.m4s', 'close'],
      ['live', '.m3u8', 'status:503'],
    ];
    await Promise.all(cases.map(([title, path, action]) => withDemo(async (demo) => {
      const viewer = await openViewer(browser, demo, { src: demo[title], tuning: SHORT_BUFFER });
      const before = await viewer.plays(3, { seconds: 40 });
      await demo.break(path, action, FAULT_SECONDS);
      const after = await viewer.plays(18, { seconds: 50 });
      const all = `${title}, ${action}: ${inWords({ before, after })}`;
      t.diagnostic(`${title}, ${action}: longest standstill ${after.meter.longestGapMs.toFixed(0)} ms, ${after.stats.httpRequests - before.stats.httpRequests} requests`);
      assert.ok(ends(before) < before.position + 16, `so much was here that the fault was of no concern: ${all}`);
      assert.deepEqual(after.meter.interruptions, [], all);
      assert.equal(after.stats.rebuffers, 0, all);
      assert.equal(after.error, null, all);
      if (action === 'status:503') assert.ok((await demo.stats()).origin.errors > 0, 'no request met the fault');
      assert.deepEqual(viewer.problems.filter((problem) => !isNetwork(problem)), []);
      await viewer.close();
    })));
  });

  test('from the start: waits visibly, then plays', { timeout: 90_000 }, async () => {
    await Promise.all(['status:503', 'hang', 'truncate', 'close'].map((action) => withDemo(async (demo) => {
      // All of it, the first playlist too.
      await demo.break('/media/', action, FAULT_SECONDS);
      const viewer = await openViewer(browser, demo, { src: demo.vod });
      // Somebody who does not answer may yet do so.
      const reason = action === 'hang' ? 'buffering' : 'origin-unavailable';
      const waiting = await viewer.until(`it says ${reason} for ${action}`, (state) => state.waitingReason === reason, { seconds: 15 });
      assert.equal(waiting.error, null, `${action}: ${inWords(waiting)}`);
      const state = await viewer.plays(2, { seconds: 40 });
      assert.equal(state.waitingReason, null, `${action}: ${inWords(state)}`);
      assert.equal(state.error, null);
      await viewer.close();
    })));
  });

  test('gone for good while a peer has everything: plays on; and when that peer leaves: waits, until the origin is back', { timeout: 150_000 }, async (t) => {
    await withDemo(async (demo) => {
      const first = await openViewer(browser, demo, { src: demo.vod, tuning: { forwardBuffer: 70, peerBuffer: 70 } });
      await first.until('the first viewer has everything', (state) => ends(state) > 63.9, { seconds: 40 });
      const second = await openViewer(browser, demo, { src: demo.vod, tuning: SHORT_BUFFER });
      await second.until('the two have met', (state) => state.stats.peerBytes > 0 && state.position > 2, { seconds: 30 });
      await demo.break('', 'close');
      await second.with((element) => {
        element.playbackRate = 2;
      });
      const gone = await second.state();
      const later = await second.until('it plays on', (state) => state.position > gone.position + 20, { seconds: 40 });
      assert.ok(ends(gone) < later.position, `all was here already: ${inWords(gone)}`);
      assert.deepEqual(later.meter.interruptions, [], inWords(later));
      assert.equal(later.stats.rebuffers, 0, inWords(later));
      assert.equal(later.waitingReason, null, inWords(later));
      t.diagnostic(`without an origin ${(later.position - gone.position).toFixed(0)} s were played from a peer`);

      await first.close();
      const waiting = await second.until('it waits, and says why', (state) => (
        state.readyState < 3 && state.waitingReason === 'origin-unavailable'
      ), { seconds: 40 });
      assert.equal(waiting.error, null, inWords(waiting));
      assert.ok(!waiting.paused, 'it wants to go on');
      assert.equal(await second.with((element) => element.getAttribute('waitingreason')), 'origin-unavailable');
      await demo.mend();
      await second.with((element) => {
        element.playbackRate = 1;
      });
      const back = await second.plays(3, { seconds: 40 });
      assert.equal(back.waitingReason, null, inWords(back));
      assert.equal(back.error, null);
      await second.close();
    });
  });
});

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  test(`a viewer whose browser goes offline waits, says so, and goes on by itself, in ${name}`, { timeout: 90_000 }, async () => {
    const browser = await launch();
    try {
      await withDemo(async (demo) => {
        const viewer = await openViewer(browser, demo, { src: demo.vod, trackers: '', tuning: { forwardBuffer: 4, peerBuffer: 4 } });
        await viewer.plays(2, { seconds: 30 });
        // The worker's requests go elsewhere than the page's, so they are made to fail at the origin.
        await demo.break('/media/', 'close');
        await viewer.page.setOfflineMode(true);
        const waiting = await viewer.until('it waits', (state) => state.readyState < 3 && state.waitingReason !== null, { seconds: 30 });
        assert.equal(waiting.waitingReason, 'offline', inWords(waiting));
        await demo.mend();
        await viewer.page.setOfflineMode(false);
        const state = await viewer.plays(2, { seconds: 30 });
        assert.equal(state.waitingReason, null, inWords(state));
        await viewer.close();
      });
    } finally {
      await browser.close();
    }
  });
}
