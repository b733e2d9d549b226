// Under a Content-Security-Policy: what the documentation says is enough, and what is missing is named.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { WWW, serveFolder } from './lib/package.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`a page with a Content-Security-Policy, in ${name}`, () => {
    let demo;
    let browser;
    let policy;
    const sites = [];
    before(async () => {
      [demo, browser] = await Promise.all([startDemo(), launch()]);
      policy = {
        'default-src': "'none'", 'script-src': "'self' 'wasm-unsafe-eval'", 'worker-src': "'self'", 'connect-src': `'self' ${demo.url} ${demo.tracker.replace('/announce', '')}`,
        'media-src': 'blob:', 'img-src': 'data:',
      };
    });
    after(async () => {
      await browser?.close();
      await demo?.stop();
      await Promise.all(sites.map((site) => site.stop()));
    });

    /** The iframe's page under this policy with changes; null takes a directive out. */
    async function open(changes = {}) {
      const directives = Object.entries({ ...policy, ...changes }).filter(([, value]) => value !== null).map(([key, value]) => `${key} ${value}`);
      const site = await serveFolder(WWW, { 'content-security-policy': directives.join('; ') });
      sites.push(site);
      const query = new URLSearchParams({ src: demo.vod, trackers: demo.tracker, autoplay: '1', muted: '1', consent: 'granted' });
      const viewer = await openViewer(browser, demo, { page: `${site.url}/embed.html?${query}` });
      await until('the player is there', () => viewer.frame.evaluate('Boolean(document.querySelector("potluck-player")?.video)'));
      await viewer.adopt(() => document.querySelector('potluck-player').video);
      return viewer;
    }

    test('that is strict plays, shares, and looks as it should', { timeout: 60_000 }, async () => {
      const viewer = await open();
      const state = await viewer.plays(1, { seconds: 30 });
      assert.equal(state.error, null, inWords(state));
      await viewer.until('the tracker answers', ({ stats }) => stats.peerState === 'alone', { seconds: 20 });
      // Styles are not inline: nothing is refused, and controls lie over the picture.
      const looks = await until('the controls are there', () => viewer.frame.evaluate(`(() => {
        const player = document.querySelector('potluck-player');
        const layer = player.shadowRoot.querySelector('.layer');
        const picture = player.video.nativeEl.getBoundingClientRect();
        return layer && { layer: getComputedStyle(layer).position, player: getComputedStyle(player).position, width: Math.round(picture.width), all: Math.round(player.getBoundingClientRect().width), page: innerWidth };
      })()`));
      assert.equal(looks.layer, 'absolute', inWords(looks));
      assert.equal(looks.player, 'relative');
      assert.equal(looks.width, looks.all, inWords(looks));
      assert.equal(looks.all, looks.page, `the page around it has a margin: ${inWords(looks)}`);
      await viewer.close();
    });

    for (const [what, changes, directive] of [
      ['no workers', { 'worker-src': "'none'" }, /worker-src/],
      ['no wasm', { 'script-src': "'self'" }, /'wasm-unsafe-eval'.*script-src/],
      ['no download of the wasm', { 'connect-src': 'https://elsewhere.example' }, /connect-src/],
    ]) {
      test(`that allows ${what} is named in the error`, { timeout: 40_000 }, async () => {
        const viewer = await open(changes);
        const error = await until('it fails', () => viewer.with((element) => element.error && { name: element.error.name, message: element.error.message }), { seconds: 20 });
        assert.equal(error.name, 'engine-unavailable');
        assert.match(error.message, directive);
        await until('the viewer is told', () => viewer.frame.evaluate(`document.querySelector('potluck-player').shadowRoot.querySelector('.failure')?.hidden === false`));
        await viewer.close();
      });
    }
  });
}
