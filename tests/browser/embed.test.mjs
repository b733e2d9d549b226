// The player on other people's pages: in an iframe, and by a script from another origin.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords, offload, percent } from './lib/figures.mjs';
import { startStage } from './lib/stage.mjs';
import { Viewer, openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`on a page of another origin, in ${name}`, () => {
    let demo;
    let browser;
    let stage;
    before(async () => {
      [demo, browser] = await Promise.all([startDemo(), launch()]);
      const query = new URLSearchParams({ src: demo.vod, trackers: demo.tracker, title: 'The film', autoplay: '1', muted: '1' });
      stage = await startStage({
        '/iframe.html': `<!doctype html><title>Somebody's page</title><link rel="icon" href="data:,">
          <iframe src="${demo.url}/embed.html?${query}" width="640" height="360" allow="autoplay; fullscreen; picture-in-picture"></iframe>`,
        '/script.html': `<!doctype html><title>Somebody's page</title><link rel="icon" href="data:,">
          <script type="module" src="${demo.url}/potluck.js"></script>
          <potluck-player src="${demo.vod}" trackers="${demo.tracker}" heading="The film" muted autoplay></potluck-player>`,
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

    test('the script plays, with its worker and its wasm from another origin', { timeout: 60_000 }, async () => {
      const viewer = await openViewer(browser, demo, { page: `${stage.url}/script.html` });
      await until('the element is there', () => viewer.frame.evaluate('Boolean(document.querySelector("potluck-player")?.video)'));
      await viewer.adopt(() => document.querySelector('potluck-player').video);
      const state = await viewer.plays(3, { seconds: 30 });
      assert.equal(state.error, null, inWords(state));
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
