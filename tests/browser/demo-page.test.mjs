// The demo's front page, as a person sees it: two viewers, their figures, light and dark, wide and narrow.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { inWords } from './lib/figures.mjs';
import { OUT, scene } from './lib/scene.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

const LOOKS = [
  { name: 'light-1440', width: 1440, height: 1000, scheme: 'light' },
  { name: 'dark-1440', width: 1440, height: 1000, scheme: 'dark' },
  { name: 'light-360', width: 360, height: 1500, scheme: 'light' },
  { name: 'dark-360', width: 360, height: 1500, scheme: 'dark' },
];

describe('the demo page', () => {
  let demo;
  let browser;
  scene(chromium, (...both) => { [demo, browser] = both; });

  async function openPage(where = browser, query = '') {
    const viewer = await openViewer(where, demo, { page: `${demo.url}/${query}` });
    await until('the player is there', () => viewer.frame.evaluate('Boolean(document.querySelector("potluck-player")?.video)'));
    await viewer.adopt(() => document.querySelector('potluck-player').video);
    return viewer;
  }

  /** What the page says, by the ids of its elements. */
  const shown = async (viewer) => await viewer.frame.evaluate(`Object.fromEntries(
    ['offload', 'from-people', 'from-server', 'peers', 'peer-state', 'given', 'buffer', 'latency-name', 'latency'].map((id) => [id, document.getElementById(id).textContent])
  )`);

  test('shows how two viewers share', { timeout: 120_000 }, async (t) => {
    const first = await openPage();
    await first.plays(3, { seconds: 30 });
    assert.equal(await first.frame.evaluate('document.title'), 'A day at the lake · Potluck');
    const link = await first.frame.evaluate('document.getElementById("another").href');
    assert.ok(link.startsWith(demo.url), link);
    const second = await openPage(browser, new URL(link).search);
    await second.plays(3, { seconds: 30 });
    const figures = await until('the page tells of people', async () => {
      const now = await shown(second);
      return Number.parseInt(now.offload, 10) >= 50 && now.peers === '1' && now;
    }, { seconds: 30, describe: () => shown(second) });
    t.diagnostic(inWords(figures).replaceAll('\n', ''));
    assert.equal(figures['peer-state'], 'connected');
    assert.match(figures['from-people'], /^[\d.,]+ [kM]B from people$/);
    const giver = await shown(first);
    assert.match(giver.given, /^[\d.,]+ [kM]B$/);
    assert.equal(await second.frame.evaluate('document.querySelectorAll("#people tr").length'), 1);
    assert.ok(await second.frame.evaluate('document.getElementById("segments").childElementCount > 0'), 'the map of segments is empty');

    for (const { name, width, height, scheme } of LOOKS) {
      await second.page.setViewport({ width, height });
      await second.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      const wide = await second.frame.evaluate('document.documentElement.scrollWidth');
      assert.ok(wide <= width, `the page is ${wide} px wide on a screen of ${width} px`);
      await second.page.screenshot({ path: `${OUT}demo-${name}.png` });
    }
    assert.deepEqual([...first.problems, ...second.problems], []);
    await second.close();
    await first.close();
  });

  test('changes to the live channel and back', { timeout: 90_000 }, async () => {
    const viewer = await openPage();
    await viewer.plays(1, { seconds: 30 });
    const choose = async (text) => await viewer.frame.evaluate(`[...document.querySelectorAll('#titles a')].find((chip) => chip.textContent.includes('${text}')).click()`);
    await choose('LIVE');
    await viewer.until('the channel plays', (state) => state.duration === null && state.readyState >= 3 && state.stats.liveLatency > 0, { seconds: 30 });
    await until('the page says how far behind', async () => {
      const now = await shown(viewer);
      return now['latency-name'] === 'Behind live' && /^[\d.]+ s$/.test(now.latency);
    });
    await viewer.frame.evaluate('history.back()');
    await viewer.until('the film plays again', (state) => state.duration > 60 && state.readyState >= 3, { seconds: 30 });
    assert.deepEqual(viewer.problems, []);
    await viewer.close();
  });

  test('plays in Firefox', { timeout: 90_000 }, async () => {
    const fox = await firefox();
    try {
      const viewer = await openPage(fox);
      const state = await viewer.plays(2, { seconds: 30 });
      assert.equal(state.error, null);
      assert.deepEqual(viewer.problems, []);
    } finally {
      await fox.close();
    }
  });
});
