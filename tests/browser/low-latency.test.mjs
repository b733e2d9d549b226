// A low-latency channel: parts as soon as they are made, and from peers too.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { inWords, segmentsOf } from './lib/figures.mjs';
import { scene } from './lib/scene.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

/** Seconds behind live that a viewer may be. */
const MOST = 3;
/** Seconds that are watched. */
const WATCHED = 6;
const FOLDER = '/media/live-low-latency/';

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/**
 * What was seen in some seconds without an interruption: latencies, and the states before and after. A machine that is busy may need
 * more than one try until the page has settled.
 */
async function watch(viewers, seconds) {
  let seen = null;
  await until(`${seconds} s were played without an interruption`, async () => {
    const before = await Promise.all(viewers.map((viewer) => viewer.state()));
    const latencies = viewers.map(() => []);
    for (;;) {
      const states = await Promise.all(viewers.map((viewer) => viewer.state()));
      states.forEach(({ stats }, n) => latencies[n].push(stats.liveLatency));
      if (states.some(({ stats }, n) => stats.rebuffers > before[n].stats.rebuffers)) return false;
      if (states.every(({ meter }, n) => meter.played >= before[n].meter.played + seconds)) {
        seen = { before, states, latencies };
        return true;
      }
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }, { seconds: 45 });
  return seen;
}

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`low latency in ${name}`, () => {
    let demo;
    let browser;
    scene(launch, (...both) => { [demo, browser] = both; });

    test('one viewer plays close to the edge and asks for parts before they are made', { timeout: 120_000 }, async (t) => {
      const viewer = await openViewer(browser, demo, { src: demo.lowLatency, attributes: { p2p: 'off' } });
      await viewer.until('it has settled', (state) => state.meter.played > 2 && state.stats.liveLatency <= MOST, { seconds: 60 });
      const { states: [state], latencies: [latencies] } = await watch([viewer], WATCHED);
      const { origin } = await demo.stats();
      t.diagnostic(`${median(latencies).toFixed(2)} s behind live; ${origin.heldParts} hinted parts, ${origin.heldPlaylists} blocking reloads, ${origin.deltaUpdates} delta updates; ${state.stats.rebuffers} rebuffers before it settled`);
      const all = inWords({ state, latencies });
      assert.ok(median(latencies) <= MOST, `${median(latencies)} s behind live: ${all}`);
      assert.ok(Math.min(...latencies) > 0.3, `closer than there are parts: ${all}`);
      assert.ok(origin.heldParts > WATCHED && origin.heldPlaylists > WATCHED && origin.deltaUpdates > WATCHED, inWords({ ...origin, paths: null }));
      assert.equal(state.error, null);
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });

    if (launch !== chromium) return;

    test('a viewer goes over to another rendition and back and stays close to the edge', { timeout: 120_000 }, async (t) => {
      const viewer = await openViewer(browser, demo, { src: demo.lowLatency, attributes: { p2p: 'off' } });
      const settled = ({ meter, stats }) => meter.played > 2 && stats.liveLatency <= MOST;
      const before = await viewer.until('it has settled', settled, { seconds: 60 });
      for (const [height, index] of [[240, 2], [720, -1], [480, 1]]) {
        await viewer.with((element, chosen) => { element.videoRenditions.selectedIndex = chosen; }, index);
        await viewer.until(`it shows ${height} lines`, (state) => state.height === height, { seconds: 15 });
      }
      const after = await viewer.until('it is close to the edge', settled, { seconds: 10 });
      const waited = after.stats.rebufferSeconds - before.stats.rebufferSeconds;
      t.diagnostic(`${waited.toFixed(2)} s of standing still, ${after.stats.liveLatency.toFixed(2)} s behind live`);
      assert.ok(waited < 2, `${waited} s of standing still: ${inWords({ after })}`);
      assert.equal(after.error, null);
      await viewer.close();
    });

    test('two viewers take parts from each other', { timeout: 120_000 }, async (t) => {
      const first = await openViewer(browser, demo, { src: demo.lowLatency });
      await first.plays(2, { seconds: 40 });
      const second = await openViewer(browser, demo, { src: demo.lowLatency });
      await second.plays(2, { seconds: 40 });
      await second.until('it has a peer', (state) => state.stats.peers > 0, { seconds: 30 });
      await demo.reset();
      const { before, states, latencies } = await watch([first, second], 2 * WATCHED);
      const origin = await demo.stats();
      const grown = (field) => states.reduce((sum, { stats }, n) => sum + stats[field] - before[n].stats[field], 0);
      const share = grown('peerBytes') / (grown('peerBytes') + grown('httpBytes'));
      t.diagnostic(`${(100 * share).toFixed(1)} % from the other; ${latencies.map(median).map((value) => value.toFixed(2)).join(' and ')} s behind live`);
      const all = inWords({ before, states, latencies, origin });
      assert.ok(share > 0.2, `too little came from the other viewer: ${all}`);
      for (const seconds of latencies) assert.ok(median(seconds) <= MOST, all);
      // What the origin was asked for near the edge, and so what the viewers had for each other, were parts.
      const whole = segmentsOf(origin, FOLDER).filter(({ path }) => /seg-\d+\.m4s$/.test(path));
      assert.deepEqual(whole, [], 'a whole segment was fetched at the edge');
      await first.close();
      await second.close();
    });
  });
}
