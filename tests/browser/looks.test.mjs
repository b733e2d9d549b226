// How the player looks in each of its states: pictures for people to look at (tests/browser/out/), and what a machine can say of them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chromium } from './lib/browsers.mjs';
import { OUT, scene } from './lib/scene.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

/** In the page: the player's inside, and what of it reaches over an edge, or over something else. */
const INSIDE = `window.inside = (selector) => document.querySelector('potluck-player').shadowRoot.querySelector(selector);
  window.astray = () => {
    const root = document.querySelector('potluck-player').shadowRoot;
    const seen = (selector) => [...root.querySelectorAll(selector)].filter((one) => one.checkVisibility() && one.getBoundingClientRect().width > 0);
    const box = (one) => one.getBoundingClientRect();
    const name = (one) => one.localName + '.' + (one.getAttribute('part') ?? one.className);
    const edge = box(inside('.layer'));
    const out = seen('.row > *, [role="dialog"], [role="menu"], .failure, .status, potluck-consent').filter((one) => box(one).left < edge.left - 1 || box(one).right > edge.right + 1 || box(one).top < edge.top - 1 || box(one).bottom > edge.bottom + 1);
    const row = seen('.row > :not(.spacer)').sort((one, other) => box(one).left - box(other).left);
    const over = row.filter((one, n) => n > 0 && box(one).left < box(row[n - 1]).right - 1);
    return [...out.map(name), ...over.map((one) => name(one) + ' lies over another')];
  };`;

async function open(browser, demo, { width = 640, height = 360, lang = null, query = {}, title = 'A day at the lake' } = {}) {
  const page = `${demo.url}/embed.html?${new URLSearchParams({ src: demo.vod, trackers: demo.tracker, title, muted: '1', autoplay: '1', consent: 'granted', ...query })}`;
  const viewer = await openViewer(browser, demo, { page: 'about:blank', before: lang ? `addEventListener('DOMContentLoaded', () => { document.documentElement.lang = '${lang}'; });` : '' });
  await viewer.page.setViewport({ width, height });
  await viewer.page.goto(page, { waitUntil: 'load' });
  await until('the controls are there', () => viewer.frame.evaluate(`Boolean(document.querySelector('potluck-player')?.shadowRoot?.querySelector('.layer potluck-play-button button'))`));
  await viewer.frame.evaluate(INSIDE);
  await viewer.adopt(() => document.querySelector('potluck-player').video);
  return viewer;
}

describe('the player', () => {
  let demo;
  let browser;
  scene(chromium, (...both) => { [demo, browser] = both; });

  /** Moves the pointer, so that the controls are seen, and keeps a picture. */
  const picture = async (viewer, name) => {
    const { width, height } = viewer.page.viewport();
    await viewer.page.mouse.move(width / 2, height / 3);
    await viewer.page.mouse.move(width / 2 + 3, height / 3);
    await until('the controls are seen', () => viewer.frame.evaluate(`!inside('.layer').hasAttribute('data-idle')`));
    // The controls come and go within .2 s.
    await viewer.frame.evaluate(`Promise.allSettled(inside('.layer').getAnimations({ subtree: true }).filter(({ effect }) => effect.getTiming().iterations === 1).map(({ finished }) => finished)).then(() => null)`);
    await viewer.page.screenshot({ path: `${OUT}state-${name}.png` });
    assert.deepEqual(await viewer.frame.evaluate('astray()'), [], name);
  };
  const press = async (viewer, key) => {
    await viewer.frame.evaluate(`document.querySelector('potluck-player').focus()`);
    await viewer.page.keyboard.press(key);
  };

  for (const [size, width, height] of [['normal', 640, 360], ['large', 1280, 720], ['small', 300, 169]]) {
    for (const scheme of size === 'normal' ? ['dark', 'light'] : ['dark']) {
      test(`has everything within its edges: ${size}, ${scheme}`, { timeout: 90_000 }, async () => {
        const other = await open(browser, demo, { query: { swarm: `looks-${size}-${scheme}` } });
        await other.plays(3, { seconds: 30 });
        const viewer = await open(browser, demo, { width, height, query: { scheme, swarm: `looks-${size}-${scheme}` } });
        await viewer.plays(1, { seconds: 30 });
        await viewer.until('they share', ({ stats }) => stats.peers > 0 && stats.peerBytes > 0, { seconds: 30 });
        const name = (state) => `${state}-${size}-${scheme}`;
        await picture(viewer, name('playing'));
        await viewer.frame.evaluate(`inside('[part~="settings-button"]').click()`);
        await picture(viewer, name('menu'));
        await viewer.page.keyboard.press('Escape');
        for (const [key, sheet] of [['s', 'panel'], ['i', 'statistics'], ['?', 'keys']]) {
          await press(viewer, key);
          await until('the sheet is open', () => viewer.frame.evaluate(`Boolean(inside('[role="dialog"]:not([hidden])'))`));
          await picture(viewer, name(sheet));
          await viewer.page.keyboard.press('Escape');
        }
        await viewer.page.mouse.click(width / 2, height / 3, { button: 'right' });
        await until('the menu is open', () => viewer.frame.evaluate(`Boolean(inside('[part~="context-menu"]:not([hidden])'))`));
        await picture(viewer, name('context-menu'));
        await viewer.page.keyboard.press('Escape');
        await viewer.frame.evaluate(`document.querySelector('potluck-player').setAttribute('src', '/nothing.m3u8')`);
        await until('the failure is told', () => viewer.frame.evaluate(`inside('.failure').hidden === false`), { seconds: 20 });
        await picture(viewer, name('error'));
        assert.ok(await viewer.frame.evaluate(`(([button, layer]) => button.bottom <= layer.bottom && button.height > 20)(['.failure .action', '.layer'].map((one) => inside(one).getBoundingClientRect()))`), 'the way out is not seen');
        await viewer.close();
        await other.close();
      });
    }
  }

  test('before it plays, while it loads, live, and from right to left', { timeout: 90_000 }, async () => {
    const early = await open(browser, demo, { query: { autoplay: '0', poster: `${demo.url}/media/sample/poster.jpg` } });
    await picture(early, 'poster');
    await early.close();

    const loading = await open(browser, demo, { query: { autoplay: '0', lazy: '1' } });
    await loading.page.setRequestInterception(true);
    // Nobody answers: the playlist is on its way for as long as this looks.
    loading.page.on('request', (request) => { if (!request.url().includes('.m3u8')) void request.continue(); });
    await loading.frame.evaluate(`void document.querySelector('potluck-player').play().catch(() => {})`);
    await until('the spinner turns', () => loading.frame.evaluate(`!inside('[part="spinner"]').hidden`));
    await picture(loading, 'loading');
    await loading.close();

    const live = await open(browser, demo, { query: { src: demo.live, title: '' } });
    await live.plays(1, { seconds: 30 });
    await picture(live, 'live');
    await live.close();

    const arabic = await open(browser, demo, { lang: 'ar' });
    await arabic.plays(1, { seconds: 30 });
    await picture(arabic, 'rtl');
    await press(arabic, 's');
    await until('the panel is open', () => arabic.frame.evaluate(`Boolean(inside('[role="dialog"]:not([hidden])'))`));
    await picture(arabic, 'rtl-panel');
    // A mark from left to right would turn the share around with what follows it.
    assert.match(await arabic.frame.evaluate(`inside('.legend .people').textContent`), /^0% · 0 /);
    await arabic.page.keyboard.press('Escape');
    await arabic.frame.evaluate(`inside('[part~="settings-button"]').click()`);
    await picture(arabic, 'rtl-menu');
    await arabic.close();
  });

  test('says that it waits for more viewers, where the page wants more than there are', { timeout: 60_000 }, async () => {
    const query = { 'min-viewers': '5', 'swarm': 'few' };
    const other = await open(browser, demo, { query });
    await other.plays(1, { seconds: 30 });
    const viewer = await open(browser, demo, { lang: 'de', query });
    await viewer.until('too few are here', ({ stats }) => stats.peerState === 'few', { seconds: 30 });
    await press(viewer, 's');
    await until('the panel says so', () => viewer.frame.evaluate(`/Wartet auf mehr Zuschauer/.test(inside('potluck-sharing-panel')?.textContent)`), { seconds: 15 });
    await picture(viewer, 'few');
    await viewer.close();
    await other.close();
  });

  test('asks small and large for consent within its edges', { timeout: 60_000 }, async () => {
    for (const [width, height] of [[640, 360], [300, 169]]) {
      const viewer = await open(browser, demo, { width, height, lang: 'de', query: { consent: 'ask' } });
      await viewer.plays(1, { seconds: 30 });
      await picture(viewer, `consent-${width}`);
      await viewer.close();
    }
    // In a small one it lies where the big button is.
    const poster = await open(browser, demo, { width: 332, height: 187, query: { consent: 'ask', autoplay: '0' } });
    const seen = async (selector) => await poster.frame.evaluate(`inside('${selector}').checkVisibility()`);
    await until('it asks', () => seen('potluck-consent'));
    assert.equal(await seen('[part~="big-play-button"]'), false);
    await poster.frame.evaluate(`inside('[part="consent-no"]').click()`);
    assert.equal(await seen('[part~="big-play-button"]'), true);
    await poster.close();
  });

  test('changes nothing on the page while its controls are hidden', { timeout: 60_000 }, async () => {
    const viewer = await open(browser, demo);
    await viewer.plays(1, { seconds: 30 });
    await until('the controls are hidden', () => viewer.frame.evaluate(`inside('.layer').hasAttribute('data-idle')`), { seconds: 20 });
    // They fade.
    await viewer.plays(1, { seconds: 30 });
    const recalculated = async () => (await viewer.page.metrics()).RecalcStyleCount;
    const before = await recalculated();
    await viewer.plays(5, { seconds: 40 });
    const count = (await recalculated()) - before;
    // Each of the four `timeupdate` in a second was one when the spinner was hidden anew.
    assert.ok(count <= 5, `style was computed ${count} times in five seconds`);
    await viewer.close();
  });
});
