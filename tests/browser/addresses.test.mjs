// Nobody's address gets into what pages, copied statistics or logs show: not a viewer's own, not those of others, nor what else is in a
// description of a connection. Two viewers share, and then all that can be read is searched.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { watchConnections } from './lib/connections.mjs';
import { scene } from './lib/scene.mjs';
import { Viewer, openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

/** Runs in each page before anything else: keeps what is copied. */
const collect = () => {
  Object.defineProperty(Navigator.prototype, 'clipboard', { get: () => ({
    writeText: async (text) => {
      window.copied = text;
    },
  }) });
};

/** Everything that can be read in a page, by where it is. */
const readable = async () => {
  const player = document.querySelector('potluck-player');
  const { video } = player;
  const texts = [];
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE) texts.push(node.data);
    // The shapes of icons are numbers.
    for (const { name, value } of node.attributes ?? []) if (name !== 'd') texts.push(value);
    for (const child of [...node.childNodes, ...(node.shadowRoot ? [node.shadowRoot] : [])]) walk(child);
  };
  walk(player);
  const databases = await indexedDB.databases?.() ?? [];
  return {
    stats: JSON.stringify(video.stats),
    trace: JSON.stringify(video.stats.trace),
    warnings: JSON.stringify(video.warnings),
    error: String(video.error?.message),
    copied: String(window.copied),
    text: texts.join('\n'),
    storage: JSON.stringify([{ ...localStorage }, { ...sessionStorage }, databases, document.cookie]),
    resources: performance.getEntries().map(({ name }) => name).join('\n'),
  };
};

/** What identifies a viewer in a description: addresses, names that stand for them, fragments and passwords of ICE, fingerprints. */
function secrets(descriptions) {
  const found = new Set();
  for (const sdp of descriptions) {
    for (const [, address] of sdp.matchAll(/^a=candidate:\S+ \d \S+ \d+ (\S+)/gm)) found.add(address);
    for (const [, value] of sdp.matchAll(/^a=(?:ice-ufrag|ice-pwd|fingerprint):(?:sha-\d+ )?(\S+)/gm)) found.add(value);
  }
  return found;
}

const ADDRESS = /(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])|(?<![\w:])(?:[0-9a-f]{1,4}:){3,7}[0-9a-f]{1,4}|(?<![\w:])(?:[0-9a-f]{1,4}:){1,6}:[0-9a-f]{1,4}|[0-9a-f-]{36}\.local\b|a=candidate|ice-ufrag|fingerprint/i;

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`addresses in ${name}`, () => {
    let demo;
    let browser;
    scene(launch, (...both) => { [demo, browser] = both; });

    test('are in nothing that a page, copied statistics, the console or the server show', { timeout: 90_000 }, async (t) => {
      // By this name the page's own addresses are none that could be mistaken for a viewer's.
      const at = `localhost:${demo.port}`;
      const query = new URLSearchParams({ src: `http://${at}/media/sample/master.m3u8`, trackers: `ws://${at}/announce`, consent: 'granted', autoplay: '1', muted: '1' });
      const viewers = [];
      const said = [];
      for (let n = 0; n < 2; n++) {
        const outer = await openViewer(browser, demo, { page: 'about:blank', before: [watchConnections, collect] });
        outer.page.on('console', (message) => said.push(message.text()));
        outer.page.on('pageerror', (error) => said.push(String(error?.stack ?? error)));
        await outer.page.goto(`http://${at}/embed.html?${query}`, { waitUntil: 'load' });
        await until('the player is there', () => outer.frame.evaluate(`Boolean(document.querySelector('potluck-player')?.shadowRoot?.querySelector('potluck-sharing-button button'))`));
        const viewer = new Viewer(null, outer.page);
        await viewer.adopt(() => document.querySelector('potluck-player').video);
        await viewer.plays(2, { seconds: 40 });
        viewers.push({ viewer, outer });
      }
      await viewers[1].viewer.until('they share', ({ stats }) => stats.peerBytes > 0, { seconds: 40 });
      for (const { viewer: { frame, page } } of viewers) {
        await frame.evaluate(`document.querySelector('potluck-player').shadowRoot.querySelector('[part~="sharing-button"]').click()`);
        await page.bringToFront();
        await frame.evaluate(`document.querySelector('potluck-player').focus()`);
        await page.keyboard.press('i');
        const inside = (expression) => frame.evaluate(`(() => { const root = document.querySelector('potluck-player').shadowRoot; return ${expression}; })()`);
        await until('the statistics are there', () => inside(`Boolean(root.querySelector('potluck-stats-sheet button.action'))`));
        await inside(`root.querySelector('potluck-stats-sheet button.action').click()`);
        await until('they are copied', () => frame.evaluate('typeof window.copied === "string"'));
      }
      const shown = { console: said.join('\n'), server: JSON.stringify(await demo.stats()), log: demo.said.join('').replaceAll('127.0.0.1', '') };
      const descriptions = [];
      for (const [n, { viewer: { frame } }] of viewers.entries()) {
        for (const [where, text] of Object.entries(await frame.evaluate(`(${readable})()`))) shown[`${where} of viewer ${n}`] = text;
        descriptions.push(...await frame.evaluate('window.rtc.descriptions'));
      }
      const hidden = secrets(descriptions);
      assert.ok(hidden.size > 6, `only ${[...hidden].join()} is known`);
      assert.match(shown['copied of viewer 1'], /"peerBytes": [1-9]/);
      assert.match(shown['text of viewer 1'], /\d/);
      t.diagnostic(`${hidden.size} secrets, looked for in ${Object.values(shown).join('').length} characters`);
      for (const [where, text] of Object.entries(shown)) {
        for (const secret of hidden) assert.ok(!text.includes(secret), `${secret} is in ${where}: ${text}`);
        assert.doesNotMatch(text, ADDRESS, where);
      }
      for (const { outer } of viewers) await outer.close();
    });
  });
}
