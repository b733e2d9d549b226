// The player on other people's pages: in an iframe, and by a script from another origin.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords, offload, percent } from './lib/figures.mjs';
import { startStage } from './lib/stage.mjs';
import { Viewer, openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

/** PeerTube's own client, as npm has it. */
const peerTubeClient = new URL('../build/player.min.js', `file://${createRequire(import.meta.url).resolve('@peertube/embed-api')}`);

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`on a page of another origin, in ${name}`, () => {
    let demo;
    let browser;
    let stage;
    before(async () => {
      [demo, browser] = await Promise.all([startDemo(), launch()]);
      const query = new URLSearchParams({ src: demo.vod, trackers: demo.tracker, title: 'The film', autoplay: '1', muted: '1', consent: 'granted' });
      stage = await startStage({
        '/iframe.html': `<!doctype html><title>Somebody's page</title><link rel="icon" href="data:,">
          <iframe src="${demo.url}/embed.html?${query}" width="640" height="360" allow="autoplay; fullscreen; picture-in-picture"></iframe>`,
        '/script.html': `<!doctype html><title>Somebody's page</title><link rel="icon" href="data:,">
          <script type="module" src="${demo.url}/potluck.js"></script>
          <potluck-player src="${demo.vod}" trackers="${demo.tracker}" heading="The film" muted autoplay></potluck-player>`,
        '/driven.html': `<!doctype html><link rel="icon" href="data:,"><iframe width="640" height="360" allow="autoplay; fullscreen; picture-in-picture"
            src="${demo.url}/embed?${new URLSearchParams({ src: demo.vod, muted: '1', lazy: '1', accent: '#00ff00' })}"></iframe>
          <script type="module">
            import { PotluckEmbed } from '${demo.url}/embed-client.js';
            window.player = new PotluckEmbed(document.querySelector('iframe'));
            window.heard = [];
            for (const type of ['play', 'timeupdate', 'volumechange', 'statschange']) player.addEventListener(type, () => heard.push(type));
          </script>`,
        '/peertube.html': `<!doctype html><link rel="icon" href="data:,"><iframe width="640" height="360" allow="autoplay; fullscreen"
            src="${demo.url}/embed?${new URLSearchParams({ src: demo.vod, muted: '1', api: '1' })}"></iframe>
          <script src="/peertube.js"></script>
          <script>
            window.player = new PeerTubePlayer(document.querySelector('iframe'));
            window.heard = {};
            for (const type of ['play', 'pause', 'playbackStatusUpdate', 'playbackStatusChange', 'resolutionUpdate', 'volumeChange']) player.addEventListener(type, (event) => { heard[type] = event ?? true; });
          </script>`,
        '/peertube.js': { type: 'text/javascript', body: await readFile(peerTubeClient) },
        '/sandbox.html': `<!doctype html><link rel="icon" href="data:,">
          <iframe sandbox="allow-scripts allow-same-origin" src="${demo.url}/embed.html?${query}" width="640" height="360" allow="autoplay; fullscreen; picture-in-picture"></iframe>`,
        '/nothing.html': `<!doctype html><link rel="icon" href="data:,"><iframe src="${demo.url}/embed.html"></iframe>`,
      });
    });
    after(async () => {
      await browser?.close();
      await demo?.stop();
      await stage?.stop();
    });

    /** The page's iframe as a viewer, once its player is there. */
    async function inIframe(page) {
      const frame = await until('the iframe has its player', async () => {
        const found = page.frames().find((one) => one.url().startsWith(demo.url));
        return found && await found.evaluate('Boolean(document.querySelector("potluck-player")?.video)').catch(() => false) && found;
      });
      const viewer = new Viewer(null, page, frame);
      await viewer.adopt(() => document.querySelector('potluck-player').video);
      return viewer;
    }

    test('the iframe plays, and shares with a viewer elsewhere', { timeout: 90_000 }, async (t) => {
      const elsewhere = await openViewer(browser, demo, { src: demo.vod, tuning: { forwardBuffer: 70 } });
      await elsewhere.plays(2, { seconds: 30 });
      const outer = await openViewer(browser, demo, { page: `${stage.url}/iframe.html` });
      const inner = await inIframe(outer.page);
      assert.notEqual(new URL(outer.page.url()).hostname, new URL(demo.url).hostname, 'another site, not just another port');
      const state = await inner.plays(3, { seconds: 30 });
      assert.equal(state.error, null, inWords(state));
      assert.deepEqual(state.meter.interruptions, [], inWords(state));
      const shared = await inner.until('it gets something from elsewhere', (now) => now.stats.peerBytes > 0, { seconds: 20 });
      t.diagnostic(`${percent(offload(shared))} from a viewer elsewhere`);
      assert.deepEqual([...outer.problems, ...inner.problems], []);
      await outer.close();
      await elsewhere.close();
    });

    test('the iframe plays in a sandbox', { timeout: 60_000 }, async () => {
      const page = await openViewer(browser, demo, { page: `${stage.url}/sandbox.html` });
      const viewer = await inIframe(page.page);
      const state = await viewer.plays(1, { seconds: 30 });
      assert.equal(state.error, null, inWords(state));
      await viewer.until('it finds the tracker', ({ stats }) => stats.peerState === 'alone' || stats.peers > 0, { seconds: 20 });
      await page.close();
    });

    test('the script plays, with its worker and its wasm from another origin', { timeout: 60_000 }, async () => {
      const viewer = await openViewer(browser, demo, { page: `${stage.url}/script.html` });
      await until('the element is there', () => viewer.frame.evaluate('Boolean(document.querySelector("potluck-player")?.video)'));
      await viewer.adopt(() => document.querySelector('potluck-player').video);
      const state = await viewer.plays(3, { seconds: 30 });
      assert.equal(state.error, null, inWords(state));
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });

    test('the page drives the iframe by messages', { timeout: 60_000 }, async () => {
      const viewer = await openViewer(browser, demo, { page: `${stage.url}/driven.html` });
      const ask = async (expression) => await viewer.page.evaluate(`(async () => ${expression})()`);
      await until('the iframe answers', () => ask(`Boolean(window.player && await Promise.race([player.ready.then(() => true), new Promise((go) => setTimeout(go, 200))]))`), { seconds: 20 });
      assert.equal(await ask(`player.get('readyState')`), 0, 'lazy, and loaded all the same');
      await ask('player.play()');
      await until('it plays', () => ask(`player.state?.currentTime > 1 && heard.includes('play') && heard.includes('statschange')`), { seconds: 30 });
      await ask('player.seek(30)');
      await until('it seeks', () => ask('player.state.currentTime >= 30 && player.state.currentTime < 40'), { seconds: 20 });
      await ask(`player.set('volume', 0.3)`);
      await until('the volume changes', () => ask(`heard.includes('volumechange') && Math.abs(player.state.volume - 0.3) < 0.01`));
      assert.ok((await ask('player.stats()')).httpBytes > 0);
      assert.deepEqual((await ask(`player.get('videoRenditions')`)).map(({ height }) => height), [720, 480, 240]);
      await ask(`player.call('selectRendition', 2)`);
      await until('the rendition changes', () => ask(`player.get('videoHeight').then((height) => height === 240)`), { seconds: 30 });
      const refused = await ask(`player.get('nativeEl').then(() => 'given', (cause) => cause.message)`);
      assert.match(refused, /no property nativeEl/);
      await ask('player.pause()');
      assert.equal(await ask(`player.get('paused')`), true);
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });

    test("PeerTube's embed API drives the iframe", { timeout: 60_000 }, async () => {
      const viewer = await openViewer(browser, demo, { page: `${stage.url}/peertube.html` });
      const ask = async (expression) => await viewer.page.evaluate(`(async () => ${expression})()`);
      await until('it is ready', () => ask(`Promise.race([player.ready.then(() => true), new Promise((go) => setTimeout(go, 200))])`), { seconds: 30 });
      await ask('player.play()');
      await until('it plays', () => ask(`player.getCurrentTime().then((time) => time > 1)`), { seconds: 30 });
      assert.equal(await ask('player.isPlaying()'), true);
      await ask('player.seek(20)');
      await until('it tells where it is', () => ask(`heard.playbackStatusUpdate?.position >= 20 && heard.playbackStatusUpdate.playbackState === 'playing'`), { seconds: 20 });
      await ask('player.setVolume(0.4)');
      await until('it tells how loud it is', () => ask('Math.abs(heard.volumeChange - 0.4) < 0.01'));
      const resolutions = await ask('player.getResolutions()');
      assert.deepEqual(resolutions.map(({ label }) => label), ['720p', '480p', '240p', 'Auto']);
      await ask('player.setResolution(2)');
      await until('it tells of the resolution', () => ask('heard.resolutionUpdate?.find(({ active }) => active)?.height === 240'), { seconds: 30 });
      await ask('player.setPlaybackRate(1.5)');
      assert.equal(await ask('player.getPlaybackRate()'), 1.5);
      assert.match(await ask('player.getImageDataUrl()'), /^data:image\/jpeg;base64,/);
      await ask('player.pause()');
      await until('it tells that it has paused', () => ask(`heard.pause && heard.playbackStatusChange === 'paused'`));
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });

    test('the iframe says what is missing when it is told nothing', { timeout: 30_000 }, async () => {
      const viewer = await openViewer(browser, demo, { page: `${stage.url}/nothing.html` });
      const frame = await until('the iframe is there', () => viewer.page.frames().find((one) => one.url().startsWith(demo.url)));
      await until('it says something', () => frame.evaluate('/src=/.test(document.querySelector("[role=alert]")?.textContent ?? "")').catch(() => false));
      await viewer.close();
    });
  });
}
