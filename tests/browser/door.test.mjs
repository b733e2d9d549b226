// Who may meet whom: swarms that only a token of the site's lets into, and swarms that are too small to share in; and that nobody is known
// again.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { chromium, firefox } from './lib/browsers.mjs';
import { watchConnections } from './lib/connections.mjs';
import { program, startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { startNpmTracker } from './lib/npm-tracker.mjs';
import { scene } from './lib/scene.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

const run = promisify(execFile);
/** Asks for little, so that it still needs somebody later. */
const SHORT_BUFFER = { forwardBuffer: 8, peerBuffer: 10 };

/** Connections that were made, addresses that were found, and others that were learnt of. */
const counted = (viewer) => viewer.with(() => ({ connections: window.rtc.made, candidates: window.rtc.candidates.length, others: window.rtc.learnt }));

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`a locked swarm, in ${name}`, () => {
    let folder;
    let demo;
    let browser;
    let issue;
    before(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'potluck-door-'));
      const key = path.join(folder, 'site.key');
      const { stdout } = await run(program(), ['keygen', key]);
      const [swarmKey] = /[0-9a-f]{64}/.exec(stdout);
      issue = async (time) => (await run(program(), ['token', key, 'the film', '--for', time])).stdout.trim();
      [demo, browser] = await Promise.all([startDemo({ faults: true, more: ['--swarm-key', swarmKey] }), launch()]);
    });
    after(async () => {
      await browser?.close();
      await demo?.stop();
      if (folder) await rm(folder, { recursive: true });
    });

    test('two with tokens share, and strangers play by themselves and learn of nobody', { timeout: 120_000 }, async () => {
      const open = (attributes) => openViewer(browser, demo, { src: demo.vod, attributes, tuning: SHORT_BUFFER, before: watchConnections });
      const viewers = [];
      try {
        const token = await issue('1h');
        viewers.push(await open({ 'swarm-token': token }));
        const [first] = viewers;
        await first.plays(1, { seconds: 30 });
        viewers.push(await open({ 'swarm-token': token }));
        const second = viewers[1];
        await second.until('the two share', ({ stats }) => stats.peers === 1 && stats.peerBytes > 0, { seconds: 30 });

        // One has no token, one has made himself one for the right swarm, and one's cannot be read.
        const forged = token.slice(0, -8) + (token.endsWith('00000000') ? '11111111' : '00000000');
        await Promise.all([
          [{}, 'tracker-refused', 'tracker-refused'],
          [{ 'swarm-token': forged }, 'tracker-refused', 'tracker-refused'],
          [{ 'swarm-token': 'let me in' }, 'off', 'swarm-token'],
        ].map(async ([attributes, state, warning]) => {
          const stranger = await open(attributes);
          viewers.push(stranger);
          const said = await stranger.until(`it says ${state}`, ({ stats, warnings }) => stats.peerState === state && warnings.includes(warning), { seconds: 30 });
          if (state !== 'off') assert.match(said.stats.trackerFailure, /swarm token/);
          const played = await stranger.plays(2, { seconds: 30 });
          assert.deepEqual([played.stats.peers, played.stats.peerBytes, played.stats.swarmSize], [0, 0, 0], inWords(played));
          assert.equal((await counted(stranger)).others, 0, 'it has learnt of somebody');
          assert.equal(played.error, null);
        }));
        assert.equal((await demo.stats()).tracker.peers, 2);
        assert.equal((await first.state()).stats.peers, 1, 'somebody has met a stranger');
        assert.equal((await counted(first)).others, 1);
      } finally {
        await Promise.all(viewers.map((viewer) => viewer.close().catch(() => {})));
      }
    });

    test('a token is exchanged while it plays, and one that is refused stops nothing', { timeout: 120_000 }, async () => {
      const open = (token) => openViewer(browser, demo, { src: demo.vod, attributes: { 'swarm-token': token }, tuning: SHORT_BUFFER });
      const viewers = [];
      try {
        // The page has none at first.
        viewers.push(await open(''));
        const [first] = viewers;
        await first.plays(1, { seconds: 30 });
        assert.equal((await first.state()).stats.peerState, 'off');
        const give = (token) => first.with((element, text) => {
          element.swarmToken = text;
        }, token);
        await give(await issue('1h'));
        viewers.push(await open(await issue('2h')));
        await first.until('the two share', ({ stats }) => stats.peers === 1, { seconds: 30 });

        await give((await issue('3h')).replace(/.{8}$/, ''));
        const refused = await first.until('the tracker refuses', ({ stats }) => stats.trackerFailure !== null, { seconds: 20 });
        assert.ok(refused.warnings.includes('tracker-refused'), inWords(refused));
        assert.equal(refused.stats.peerState, 'connected', 'who is connected stays so');
        await give(await issue('3h'));
        const taken = await first.until('the new token is taken', ({ stats }) => stats.trackerFailure === null, { seconds: 20 });
        const later = await first.plays(2, { seconds: 30 });
        for (const state of [refused, taken, later]) {
          assert.equal(state.stats.peers, 1, inWords(state));
          assert.deepEqual(state.meter.interruptions, [], inWords(state));
          assert.equal(state.stats.rebuffers, 0, inWords(state));
        }
        assert.ok(later.position > taken.position && later.stats.httpBytes >= refused.stats.httpBytes, 'it began anew');
        assert.equal((await demo.stats()).tracker.peers, 2);
      } finally {
        await Promise.all(viewers.map((viewer) => viewer.close().catch(() => {})));
      }
    });
  });

  describe(`a small swarm, in ${name}`, () => {
    let demo;
    let browser;
    scene(launch, (...both) => { [demo, browser] = both; }, { faults: true });

    test('with min-viewers nobody looks for addresses until enough are there, and then they share', { timeout: 120_000 }, async () => {
      const open = () => openViewer(browser, demo, {
        src: demo.vod, attributes: { 'swarm': 'small', 'min-viewers': '3' }, tuning: SHORT_BUFFER, before: watchConnections,
      });
      const viewers = [];
      try {
        for (const state of ['alone', 'few']) {
          const viewer = await open();
          viewers.push(viewer);
          const said = await viewer.until(`it says ${state}`, ({ stats }) => stats.peerState === state, { seconds: 30 });
          assert.equal(said.stats.swarmSize, viewers.length, inWords(said));
        }
        for (const viewer of viewers) {
          await viewer.plays(2, { seconds: 30 });
          assert.deepEqual(await counted(viewer), { connections: 0, candidates: 0, others: 0 });
        }
        viewers.push(await open());
        for (const viewer of viewers) {
          const state = await viewer.until('it has met somebody', ({ stats }) => stats.peers > 0, { seconds: 60 });
          assert.equal(state.stats.swarmSize, 3, inWords(state));
          assert.deepEqual(state.meter.interruptions, [], inWords(state));
        }
      } finally {
        await Promise.all(viewers.map((viewer) => viewer.close().catch(() => {})));
      }
    });
  });

  describe(`a viewer who comes again, in ${name}`, () => {
    let demo;
    let browser;
    let tracker;
    scene(launch, (...both) => { [demo, browser] = both; });
    before(async () => {
      tracker = await startNpmTracker();
    });
    after(async () => {
      await tracker?.stop();
    });

    test('is somebody new to the tracker: after a reload, with another load, and when sharing was off for a while', { timeout: 90_000 }, async () => {
      const viewer = await openViewer(browser, { url: demo.url, tracker: tracker.url }, { src: demo.vod });
      const sessions = () => tracker.heard.filter(({ event }) => event === 'started').map(({ peer_id: id, key }) => ({ id, key }));
      const again = [
        async () => {
          await viewer.page.reload({ waitUntil: 'load' });
          await viewer.add({ src: demo.vod, trackers: tracker.url });
        },
        () => viewer.with((element) => element.load()),
        async () => {
          await viewer.with((element) => { element.p2p = 'off'; });
          await until('it has left', () => tracker.heard.some(({ event, peer_id: id }) => event === 'stopped' && id === sessions().at(-1).id));
          await viewer.with((element) => { element.p2p = 'on'; });
        },
      ];
      await until('the tracker knows it', () => sessions().length === 1, { seconds: 30 });
      for (const [n, come] of again.entries()) {
        await come();
        await until('the tracker knows it again', () => sessions().length === n + 2, { seconds: 30 });
      }
      for (const what of ['id', 'key']) {
        const all = sessions().map((one) => one[what]);
        assert.equal(new Set(all).size, again.length + 1, inWords(all));
        // Nor can it be told by a part: what all viewers of a version have in common ends after eight letters.
        for (const one of all) for (const other of all) if (one !== other) assert.ok(![4, 8].some((n) => one.slice(-n) === other.slice(-n)), inWords(all));
      }
      await viewer.close();
    });
  });
}
