// A live channel: its viewers fetch each segment about once together, as near to the edge as one would alone.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { chromium } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords, offload, originCopies, percent } from './lib/figures.mjs';
import { startOtherSite } from './lib/other-site.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

const MINUTE = 60;
/** Length of the channel's segments in ms; it began at a whole number of them since 1970. */
const SEGMENT_MS = 4000;

/** Of a list of numbers. */
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * Ready soon after a segment was published. Who joins then is nearer to the edge than who joins just before the next: only viewers who
 * join at the same time of a segment's life can be compared.
 */
async function freshSegment() {
  await until('a segment was published', () => {
    const age = Date.now() % SEGMENT_MS;
    return age > 300 && age < 600;
  }, { every: 50 });
}

describe('live', () => {
  let demo;
  /** The same channel at the same second, for the viewers who do not share: their bytes are counted apart. */
  let apart;
  let browser;
  before(async () => {
    [demo, apart, browser] = await Promise.all([startDemo(), startDemo(), chromium()]);
  });
  after(async () => {
    await browser?.close();
    await demo?.stop();
    await apart?.stop();
  });

  test('three viewers for a minute: few copies, no interruption, no later than alone', { timeout: 180_000 }, async (t) => {
    const sharing = [];
    for (let n = 0; n < 3; n++) {
      await freshSegment();
      sharing.push(await openViewer(browser, demo, { src: demo.live }));
      await sharing[n].plays(1, { seconds: 30 });
    }
    await freshSegment();
    const alone = await openViewer(browser, apart, { src: apart.live, attributes: { p2p: 'off' } });
    await alone.plays(1, { seconds: 30 });

    const viewers = [...sharing, alone];
    const before = await Promise.all(viewers.map((viewer) => viewer.state()));
    const latencies = viewers.map(() => []);
    await demo.reset();
    await until('a minute was watched', async () => {
      const states = await Promise.all(viewers.map((viewer) => viewer.state()));
      states.forEach(({ stats }, n) => latencies[n].push(stats.liveLatency));
      return states.every((state, n) => state.meter.played >= before[n].meter.played + MINUTE);
    }, { seconds: MINUTE + 30, every: 1000 });

    const origin = await demo.stats();
    const states = await Promise.all(viewers.map((viewer) => viewer.state()));
    const copies = originCopies(origin, '/media/live/');
    const seconds = latencies.map(mean);
    t.diagnostic(`K ${copies.toFixed(3)}; offload ${states.slice(0, 3).map((state) => percent(offload(state))).join(', ')}`);
    t.diagnostic(`behind live: ${seconds.slice(0, 3).map((value) => value.toFixed(2)).join(', ')} s sharing, ${seconds[3].toFixed(2)} s alone`);
    const all = inWords({ states, origin, latencies });
    assert.ok(copies <= 1.5, `the origin sent ${copies} copies of each segment: ${all}`);
    for (const [n, state] of states.entries()) {
      assert.deepEqual(state.meter.interruptions, [], all);
      assert.equal(state.stats.rebuffers, 0, all);
      // What the start of a page differs by on a busy machine; one segment later would be 4 s.
      assert.ok(seconds[n] <= seconds[3] + 1, `viewer ${n} is ${seconds[n]} s behind live, ${seconds[3]} s without peers: ${all}`);
    }
    assert.deepEqual(viewers.flatMap((viewer) => viewer.problems), []);
  });

  test('of another site, which shows no size of what it serves in parts, while one viewer cannot be reached', { timeout: 120_000 }, async () => {
    // Where somebody is out of reach nobody takes a new segment for all of it: its first block is asked for, whatever its size.
    const deaf = 'RTCPeerConnection.prototype.setRemoteDescription = async () => { throw new DOMException("out of reach"); };';
    const plain = await startDemo({ hashes: 'none' });
    const site = await startOtherSite(plain.url);
    const viewers = [];
    try {
      for (const before of [[], deaf, []]) {
        const src = `${site.url}${new URL(plain.live).pathname}`;
        const viewer = await openViewer(browser, plain, { src, before, tuning: { liveLatency: 14 } });
        viewers.push(viewer);
        await viewer.plays(1, { seconds: 30 });
      }
      const states = await until('half a minute was watched', async () => {
        const states = await Promise.all(viewers.map((viewer) => viewer.state()));
        return states.every(({ meter }) => meter.played > 30) && states;
      }, { seconds: 60, every: 500 });
      const all = inWords({ states, ranges: site.ranges });
      assert.ok(site.ranges.includes('bytes=0-65535'), `no first block was asked for: ${all}`);
      for (const state of states) {
        assert.deepEqual(state.meter.interruptions, [], all);
        assert.equal(state.stats.rebuffers, 0, all);
        assert.equal(state.error ?? null, null, all);
      }
      assert.ok(states[2].stats.peerBytes > 0, `nothing was shared: ${all}`);
      assert.deepEqual(viewers.flatMap((viewer) => viewer.problems), []);
    } finally {
      await Promise.all(viewers.map((viewer) => viewer.close()));
      await site.stop();
      await plain.stop();
    }
  });

  test('says that it is live, and what can be seeked to', { timeout: 60_000 }, async () => {
    const viewer = await openViewer(browser, demo, { src: demo.live });
    await viewer.plays(1, { seconds: 30 });
    const live = await viewer.with((element) => ({
      streamType: element.streamType,
      start: element.seekable.start(0),
      end: element.seekable.end(0),
      edge: element.liveEdgeStart,
      position: element.currentTime,
      endless: element.duration === Infinity,
    }));
    assert.equal(live.streamType, 'live');
    assert.ok(live.endless);
    assert.ok(live.start < live.end && live.edge <= live.end, inWords(live));
    assert.ok(live.position >= live.edge, `a viewer who follows is at the edge: ${inWords(live)}`);
    await viewer.close();
  });
});
