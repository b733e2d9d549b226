// Nobody to share with, for one reason or another: the stream plays by HTTP, and the statistics say why.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chromium } from './lib/browsers.mjs';
import { inWords } from './lib/figures.mjs';
import { startNpmTracker } from './lib/npm-tracker.mjs';
import { scene } from './lib/scene.mjs';
import { openViewer } from './lib/viewer.mjs';

/** A browser says on the console that a socket could not be opened; no page can keep it from that. */
const isSocket = (problem) => problem.includes('WebSocket');

describe('without others', () => {
  let demo;
  let browser;
  scene(chromium, (...both) => { [demo, browser] = both; }, { faults: true });

  const says = (peerState) => (state) => state.stats.peerState === peerState;

  test('a tracker that is down from the start is named, and found when it comes up', { timeout: 120_000 }, async (t) => {
    await demo.trackerUp(false);
    const viewers = [];
    try {
      for (let n = 0; n < 2; n++) viewers.push(await openViewer(browser, demo, { src: demo.vod, attributes: { swarm: 'down' } }));
      for (const viewer of viewers) {
        const state = await viewer.plays(3, { seconds: 20 });
        assert.ok(state.meter.firstFrameMs < 5000, `a dead tracker held it up: ${inWords(state)}`);
        assert.deepEqual(state.meter.interruptions, [], inWords(state));
        assert.equal(state.error, null);
        await viewer.until('it says that the tracker does not answer', says('tracker-unreachable'));
      }
      const before = performance.now();
      await demo.trackerUp(true);
      for (const viewer of viewers) await viewer.until('the two have met', says('connected'), { seconds: 60 });
      t.diagnostic(`they met ${((performance.now() - before) / 1000).toFixed(1)} s after the tracker came up`);
      for (const viewer of viewers) assert.deepEqual(viewer.problems.filter((problem) => !isSocket(problem)), []);
    } finally {
      await demo.trackerUp(true);
      for (const viewer of viewers) await viewer.close();
    }
  });

  test('a tracker that is lost later parts nobody, and is named when the others have gone', { timeout: 120_000 }, async () => {
    const options = { src: demo.vod, attributes: { swarm: 'lost' } };
    const tuning = { forwardBuffer: 8, peerBuffer: 10 };
    const first = await openViewer(browser, demo, options);
    await first.plays(2, { seconds: 30 });
    const second = await openViewer(browser, demo, { ...options, tuning });
    try {
      await second.until('the two have met', (state) => state.stats.peers === 1 && state.stats.peerBytes > 0, { seconds: 30 });
      await demo.trackerUp(false);
      const lost = await second.state();
      const later = await second.until('the first goes on giving', (state) => state.stats.peerBytes > lost.stats.peerBytes, { seconds: 20 });
      assert.equal(later.stats.peerState, 'connected', inWords(later));
      await first.close();
      const alone = await second.until('it says that the tracker does not answer', says('tracker-unreachable'), { seconds: 30 });
      const end = await second.until('it plays on by HTTP', (state) => (
        state.stats.httpBytes > alone.stats.httpBytes && state.position > alone.position + 5
      ), { seconds: 40 });
      assert.deepEqual(end.meter.interruptions, [], inWords(end));
      assert.equal(end.stats.rebuffers, 0);
      assert.deepEqual(second.problems.filter((problem) => !isSocket(problem)), []);
    } finally {
      await demo.trackerUp(true);
      await second.close();
    }
  });

  for (const [how, before] of [
    ['is not there', () => {
      delete window.RTCPeerConnection;
    }],
    ['is blocked', () => {
      window.RTCPeerConnection = class {
        constructor() {
          throw new DOMException('blocked by a policy', 'NotAllowedError');
        }
      };
    }],
  ]) {
    test(`a browser whose WebRTC ${how}`, { timeout: 60_000 }, async () => {
      const viewer = await openViewer(browser, demo, { src: demo.vod, before });
      const state = await viewer.plays(3, { seconds: 30 });
      assert.equal(state.stats.peerState, 'webrtc-unavailable', inWords(state));
      assert.ok(state.stats.httpBytes > 0);
      assert.deepEqual(state.meter.interruptions, [], inWords(state));
      assert.equal(state.error, null);
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });
  }

  test('a tracker that refuses is quoted', { timeout: 60_000 }, async () => {
    const tracker = await startNpmTracker({
      filter: (_infoHash, _params, done) => done(new Error('this swarm is closed')),
    });
    const viewer = await openViewer(browser, demo, { src: demo.vod, trackers: tracker.url });
    try {
      await viewer.plays(2, { seconds: 30 });
      const state = await viewer.until('it says that the tracker refuses', says('tracker-refused'));
      assert.match(state.stats.trackerFailure, /this swarm is closed/);
    } finally {
      await viewer.close();
      await tracker.stop();
    }
  });

  test('no tracker, sharing switched off, nobody else', { timeout: 60_000 }, async () => {
    const cases = [
      ['no-tracker', { trackers: '' }],
      ['off', { attributes: { p2p: 'off' } }],
      ['off', { attributes: { consent: 'off' } }],
      ['alone', { attributes: { swarm: 'nobody else knows this name' } }],
    ];
    await Promise.all(cases.map(async ([name, options]) => {
      const viewer = await openViewer(browser, demo, { src: demo.vod, ...options });
      await viewer.until(`it says ${name}`, says(name));
      await viewer.plays(1, { seconds: 30 });
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    }));
  });
});
