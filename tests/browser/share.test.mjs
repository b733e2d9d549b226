// Viewers of one title carry it for each other.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { inWords, offload, originCopies, percent } from './lib/figures.mjs';
import { startNpmTracker } from './lib/npm-tracker.mjs';
import { startOtherSite } from './lib/other-site.mjs';
import { scene } from './lib/scene.mjs';
import { openViewer } from './lib/viewer.mjs';

const LENGTH = 64;
/** Holds little ahead, so that it still needs somebody when something happens in the middle. */
const SHORT_BUFFER = { forwardBuffer: 8, peerBuffer: 10 };

/** Loads the whole film at once, so that nobody has to watch it to its end. */
const HURRIED = { forwardBuffer: 70, peerBuffer: 70 };

const holdsAll = (state) => {
  const bytes = state.stats.httpBytes + state.stats.peerBytes;
  return bytes > 0 && (state.buffered.at(-1)?.[1] ?? 0) > LENGTH - 0.1;
};

describe('viewers share', () => {
  let demo;
  let browser;
  scene(chromium, (...both) => { [demo, browser] = both; });

  /** A second viewer joins 5 s after the first began to play, and loads the whole title; both are as they were then. */
  async function secondJoins(t, { browsers = [browser, browser], options = {} } = {}) {
    await demo.reset();
    const first = await openViewer(browsers[0], demo, { src: demo.vod, tuning: HURRIED, ...options });
    await first.plays(5, { seconds: 30 });
    const second = await openViewer(browsers[1], demo, { src: demo.vod, tuning: HURRIED, ...options });
    try {
      await second.plays(2, { seconds: 30 });
      const to = await second.until('the second viewer holds all of the title', holdsAll, { seconds: 75 });
      // Statistics come each second.
      const from = await first.until('what was given is counted', ({ stats }) => stats.uploadedBytes >= to.stats.peerBytes, { seconds: 10 });
      const origin = await demo.stats();
      const copies = originCopies(origin, '/media/sample/');
      t.diagnostic(`second viewer: ${percent(offload(to))} from the first; K ${copies.toFixed(3)}`);
      const all = inWords({ to, from, origin, problems: [...first.problems, ...second.problems] });
      assert.ok(offload(to) >= 0.8, `only ${percent(offload(to))} came from the first viewer: ${all}`);
      assert.ok(copies <= 1.3, `the origin sent ${copies} copies of each segment: ${all}`);
      // What one took, the other gave, but for pieces that came twice.
      assert.ok(from.stats.uploadedBytes >= to.stats.peerBytes, all);
      assert.deepEqual(to.meter.interruptions, [], all);
      assert.deepEqual(from.meter.interruptions, [], all);
    } finally {
      await second.close();
      await first.close();
    }
  }

  test('for a whole film: a second viewer, 5 s later, gets at least 80 % from the first', { timeout: 150_000 }, async (t) => {
    await demo.reset();
    const first = await openViewer(browser, demo, { src: demo.vod });
    await first.plays(5);
    const second = await openViewer(browser, demo, { src: demo.vod });
    await first.until('the first viewer is at the end', (state) => state.ended, { seconds: 90, every: 500 });
    const to = await second.until('the second viewer is at the end', (state) => state.ended, { seconds: 30, every: 500 });
    const from = await first.state();
    const origin = await demo.stats();
    const copies = originCopies(origin, '/media/sample/');
    t.diagnostic(`second viewer: ${percent(offload(to))} from the first; K ${copies.toFixed(3)}`);
    const all = inWords({ to, from, origin });
    assert.ok(offload(to) >= 0.8, `only ${percent(offload(to))} came from the first viewer: ${all}`);
    assert.ok(copies <= 1.3, `the origin sent ${copies} copies of each segment: ${all}`);
    // The elements' counters and the origin's tell of the same bytes.
    const counted = to.stats.httpBytes + from.stats.httpBytes;
    assert.ok(Math.abs(counted - origin.origin.mediaBytes) < 0.02 * counted, all);
    for (const viewer of [to, from]) {
      assert.deepEqual(viewer.meter.interruptions, [], all);
      assert.equal(viewer.stats.rebuffers, 0, all);
      assert.ok(viewer.meter.played > LENGTH - 1, all);
    }
    assert.deepEqual([...first.problems, ...second.problems], []);
    await second.close();
    await first.close();
  });

  test('over the npm tracker', { timeout: 120_000 }, async (t) => {
    const tracker = await startNpmTracker();
    try {
      await secondJoins(t, { options: { trackers: tracker.url } });
      // An answer to a viewer who has just left cannot be sent; all else would be about our messages.
      assert.deepEqual(tracker.complaints.filter((words) => !words.includes('WebSocket is not open')), []);
    } finally {
      await tracker.stop();
    }
  });

  test('where a data channel cannot be transferred to the worker', { timeout: 120_000 }, async (t) => {
    await secondJoins(t, {
      options: {
        before: () => {
          const { postMessage } = Worker.prototype;
          Worker.prototype.postMessage = function (message, ...rest) {
            if (message?.type === 'peer-channel') throw new DOMException('channels stay where they are', 'DataCloneError');
            return postMessage.call(this, message, ...rest);
          };
        },
      },
    });
  });

  test('what another site compresses', { timeout: 90_000 }, async () => {
    // Its `Content-Length` is too small, and its `Content-Encoding` is not to be seen.
    const site = await startOtherSite(demo.url, { compresses: true });
    const viewers = [];
    try {
      const src = `${site.url}${new URL(demo.vod).pathname}`;
      for (const seconds of [3, 8]) {
        viewers.push(await openViewer(browser, demo, { src }));
        await viewers.at(-1).plays(seconds, { seconds: 30 });
      }
      const states = await Promise.all(viewers.map((viewer) => viewer.state()));
      for (const { meter, stats } of states) {
        assert.deepEqual(meter.interruptions, [], inWords(states));
        assert.equal(stats.rebuffers, 0, inWords(states));
      }
      assert.ok(states[1].stats.peerBytes > 0, `nothing was shared: ${inWords(states)}`);
      assert.ok(site.ranges.includes('bytes=0-'), `no segment was asked for as it is: ${site.ranges}`);
      assert.deepEqual(viewers.flatMap((viewer) => viewer.problems), []);
    } finally {
      await Promise.all(viewers.map((viewer) => viewer.close()));
      await site.stop();
    }
  });

  test('what each finds under an address with a token of its own', { timeout: 90_000 }, async () => {
    const site = await startOtherSite(demo.url);
    const viewers = [];
    try {
      for (const mac of ['1f', '2e']) {
        const src = `${site.url}/mac=${mac}${new URL(demo.vod).pathname}`;
        viewers.push(await openViewer(browser, demo, { src, tuning: HURRIED, attributes: { swarm: 'the film' } }));
        await viewers.at(-1).plays(3, { seconds: 30 });
      }
      const { stats } = await viewers[1].until('all is here', holdsAll, { seconds: 30 });
      assert.ok(stats.peerBytes > stats.httpBytes, inWords([{ stats }]));
      assert.deepEqual(viewers.flatMap((viewer) => viewer.problems), []);
    } finally {
      await Promise.all(viewers.map((viewer) => viewer.close()));
      await site.stop();
    }
  });

  test('nothing with p2p="off"', { timeout: 60_000 }, async () => {
    await demo.reset();
    const options = { src: demo.vod, tuning: HURRIED, attributes: { p2p: 'off' } };
    const viewers = [await openViewer(browser, demo, options), await openViewer(browser, demo, options)];
    for (const viewer of viewers) await viewer.until('all is here', holdsAll, { seconds: 50 });
    const origin = await demo.stats();
    assert.ok(originCopies(origin, '/media/sample/') > 1.9, inWords(origin));
    for (const viewer of viewers) {
      const { stats } = await viewer.state();
      assert.equal(stats.peerBytes + stats.uploadedBytes, 0);
      assert.equal(stats.peerState, 'off');
      await viewer.close();
    }
  });

  test('when the first viewer leaves in the middle, the second plays on', { timeout: 120_000 }, async (t) => {
    const closed = async (viewer) => await viewer.close();
    const killed = async (viewer, process) => {
      const ended = new Promise((resolve) => process.once('exit', resolve));
      process.kill('SIGKILL');
      await ended;
    };
    await Promise.all([['tab closed', closed], ['process killed', killed]].map(async ([how, leave]) => {
      const other = await chromium();
      const attributes = { swarm: how };
      try {
        const first = await openViewer(other, demo, { src: demo.vod, attributes });
        await first.plays(5, { seconds: 30 });
        const second = await openViewer(browser, demo, { src: demo.vod, attributes, tuning: SHORT_BUFFER });
        const before = await second.until('the second viewer lives on the first', (state) => (
          state.position > 6 && state.stats.peerBytes > state.stats.httpBytes
        ), { seconds: 40 });
        assert.ok(before.buffered.at(-1)[1] < 40, `there is nothing left to load: ${inWords(before)}`);
        await leave(first, other.process());
        const after = await second.plays(18, { seconds: 40 });
        const all = inWords({ how, before, after });
        t.diagnostic(`${how}: ${percent(offload(before))} from the first until then; longest standstill ${after.meter.longestGapMs.toFixed(0)} ms`);
        assert.ok(after.stats.httpBytes > before.stats.httpBytes, `somebody else served the rest: ${all}`);
        assert.deepEqual(after.meter.interruptions, [], all);
        assert.equal(after.stats.rebuffers, 0, all);
        await second.close();
      } finally {
        await other.close().catch(() => {});
      }
    }));
  });

  describe('between Chromium and Firefox', () => {
    let fox;
    before(async () => {
      fox = await firefox();
    });
    after(async () => {
      await fox?.close();
    });

    test('from Chromium to Firefox', { timeout: 120_000 }, async (t) => {
      await secondJoins(t, { browsers: [browser, fox] });
    });

    test('from Firefox to Chromium', { timeout: 120_000 }, async (t) => {
      await secondJoins(t, { browsers: [fox, browser] });
    });
  });
});
