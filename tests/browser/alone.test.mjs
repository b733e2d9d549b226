// A viewer who shares with nobody: nothing of sharing is loaded, nothing of it is called, and everything else works.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { WWW } from './lib/package.mjs';
import { scene } from './lib/scene.mjs';
import { startStage } from './lib/stage.mjs';
import { openViewer } from './lib/viewer.mjs';

/** A file of the player. */
function own(file) {
  return readFileSync(path.join(WWW, file));
}

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`a viewer who shares with nobody, in ${name}`, () => {
    let demo;
    let browser;
    scene(launch, (...both) => { [demo, browser] = both; }, { faults: true });

    /** A viewer of `src`, the names of the files that it has asked for, and of those for which its worker stood still before it asked for media. */
    async function openAlone(src, options = {}) {
      const viewer = await openViewer(browser, demo);
      const files = [];
      const stoodFor = [];
      viewer.page.on('request', (request) => {
        const file = new URL(request.url()).pathname.split('/').pop();
        files.push(file);
        // WebDriver BiDi does not tell one from the other.
        if (name === 'Chromium' && request.resourceType() === 'xhr' && !files.some((other) => other.endsWith('.m4s'))) stoodFor.push(file);
      });
      await viewer.add({ src, ...options });
      return { viewer, files, stoodFor };
    }

    for (const [what, options] of [
      ['without trackers', { trackers: '' }],
      ['who does not want to share', { attributes: { p2p: 'off' } }],
      ['who has not consented', { attributes: { consent: 'off' } }],
    ]) {
      test(`a film, ${what}`, { timeout: 60_000 }, async () => {
        const { viewer, files } = await openAlone(demo.vod, { trackers: demo.tracker, ...options });
        await viewer.plays(2, { seconds: 30 });
        await viewer.with((element) => { element.currentTime = 50; });
        await viewer.until('it plays after a seek', (state) => state.position > 51 && state.readyState >= 3, { seconds: 20 });
        await viewer.with((element) => { element.videoRenditions.selectedIndex = 0; });
        await viewer.plays(2, { seconds: 20 });
        await demo.break('/sample/', 'status:503', 2);
        await viewer.with((element) => { element.currentTime = 20; });
        await viewer.until('it plays after a fault', (state) => state.position > 21 && state.readyState >= 3, { seconds: 30 });
        const state = await viewer.state();
        assert.equal(state.error, null);
        assert.ok(!files.includes('potluck-sharing.wasm') && !files.includes('potluck-peers.js'), files.join());
        assert.deepEqual(viewer.problems.filter((problem) => !problem.includes('503')), []);
        await viewer.close();
      });
    }

    // Parts are read before there is a picture; whatever else a live channel needs comes behind it.
    for (const [what, src, waited] of [['live', (all) => all.live, 0], ['low latency', (all) => all.lowLatency, 1]]) {
      test(`${what}, without trackers`, { timeout: 60_000 }, async () => {
        const { viewer, files, stoodFor } = await openAlone(src(demo), { trackers: '' });
        await viewer.plays(8, { seconds: 40 });
        const state = await viewer.state();
        assert.equal(state.error, null);
        assert.equal(state.stats.peerState, 'no-tracker');
        assert.ok(!files.includes('potluck-sharing.wasm'), files.join());
        assert.ok(files.includes('potluck-more.wasm') && stoodFor.length <= waited, `its worker stood still for ${stoodFor.join()}`);
        assert.deepEqual(viewer.problems, []);
        await viewer.close();
      });
    }

    test('its playlist travels while the engine does', { timeout: 60_000 }, async () => {
      let asked = 0;
      let ask;
      const first = new Promise((resolve) => { ask = resolve; });
      const site = await startStage({
        ...Object.fromEntries(['potluck.js', 'potluck-worker.js', 'potluck-more.wasm'].map((file) => [`/${file}`, { body: own(file) }])),
        '/': `<link rel="icon" href="data:,"><script type="module" src="/potluck.js"></script><potluck-video muted autoplay src="/film.m3u8"></potluck-video>`,
        '/film.m3u8': (_, response) => {
          asked += 1;
          ask();
          response.writeHead(302, { location: demo.vod }).end();
        },
        // It comes once the playlist was asked for.
        '/potluck.wasm': (_, response) => void first.then(() => response.writeHead(200, { 'content-type': 'application/wasm' }).end(own('potluck.wasm'))),
      });
      try {
        const viewer = await openViewer(browser, demo, { page: site.url });
        await viewer.adopt(() => document.querySelector('potluck-video'));
        await viewer.plays(1, { seconds: 30 });
        assert.equal(asked, 1, 'it is asked for once');
        assert.deepEqual(viewer.problems, []);
        await viewer.close();
      } finally {
        await site.stop();
      }
    });

    test('wants to share later', { timeout: 60_000 }, async () => {
      const { viewer, files } = await openAlone(demo.vod, { trackers: demo.tracker, attributes: { p2p: 'off' } });
      await viewer.plays(1, { seconds: 30 });
      assert.ok(!files.includes('potluck-sharing.wasm'), files.join());
      await viewer.with((element) => { element.p2p = 'on'; });
      await viewer.until('the tracker has answered', (state) => state.stats.peerState === 'alone', { seconds: 20 });
      await viewer.with((element) => { element.p2p = 'off'; });
      await viewer.until('sharing is off again', (state) => state.stats.peerState === 'off', { seconds: 20 });
      await viewer.plays(1, { seconds: 20 });
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });
  });
}
