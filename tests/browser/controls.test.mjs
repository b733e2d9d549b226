// <potluck-player>'s controls: by keyboard alone, for screen readers, in other languages, and what a viewer can decide.

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { watchConnections } from './lib/connections.mjs';
import { OUT, scene } from './lib/scene.mjs';
import { startStage } from './lib/stage.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

const require = createRequire(import.meta.url);

/** What the page's scripts say of the controls. */
const INSIDE = `window.inside = (selector) => document.querySelector('potluck-player').shadowRoot.querySelector(selector);
  window.focused = () => { const root = document.querySelector('potluck-player').shadowRoot; return root.activeElement; };`;

async function openPlayer(browser, demo, { query = {}, lang = null, count = false } = {}) {
  const page = `${demo.url}/embed.html?${new URLSearchParams({ src: demo.vod, trackers: demo.tracker, title: 'The film', muted: '1', autoplay: '1', consent: 'granted', ...query })}`;
  const speak = `addEventListener('DOMContentLoaded', () => { document.documentElement.lang = '${lang}'; })`;
  const viewer = await openViewer(browser, demo, { page, before: [...lang ? [speak] : [], ...count ? [watchConnections] : []] });
  await until('the controls are there', () => viewer.frame.evaluate(`Boolean(document.querySelector('potluck-player')?.shadowRoot?.querySelector('.layer potluck-play-button button'))`));
  await viewer.frame.evaluate(INSIDE);
  await viewer.adopt(() => document.querySelector('potluck-player').video);
  return viewer;
}

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`the controls in ${name}`, () => {
    let demo;
    let browser;
    scene(launch, (...both) => { [demo, browser] = both; });

    test('each can be reached with Tab, and has a name', { timeout: 60_000 }, async (t) => {
      const viewer = await openPlayer(browser, demo);
      await viewer.plays(1, { seconds: 30 });
      const wanted = await viewer.frame.evaluate(`[...document.querySelector('potluck-player').shadowRoot.querySelectorAll('.bottom :is(button, input, [role="slider"]):not([tabindex="-1"])')].filter((control) => control.checkVisibility()).length`);
      await viewer.frame.evaluate(`document.querySelector('potluck-player').focus()`);
      const names = [];
      for (let press = 0; press < wanted; press++) {
        await viewer.page.keyboard.press('Tab');
        names.push(await viewer.frame.evaluate(`focused()?.getAttribute('aria-label') ?? null`));
      }
      t.diagnostic(names.join(', '));
      assert.ok(wanted >= 8, `only ${wanted} controls`);
      assert.ok(names.every((one) => one), 'one has no name');
      assert.equal(new Set(names).size, wanted, `some are not reached: ${names.join(', ')}`);
      await viewer.close();
    });

    test('keys play, seek, change the volume and the speed', { timeout: 60_000 }, async () => {
      const viewer = await openPlayer(browser, demo);
      await viewer.plays(1, { seconds: 30 });
      await viewer.frame.evaluate(`document.querySelector('potluck-player').focus()`);
      const press = async (key) => await viewer.page.keyboard.press(key);
      await press('k');
      await viewer.until('k pauses', (state) => state.paused);
      await press('5');
      await viewer.until('5 goes to the middle', (state) => Math.abs(state.position - state.duration / 2) < 1);
      const middle = (await viewer.state()).position;
      await press('l');
      await viewer.until('l goes on by ten seconds', (state) => Math.abs(state.position - middle - 10) < 0.5);
      await press('ArrowLeft');
      await viewer.until('the arrow goes back by five', (state) => Math.abs(state.position - middle - 5) < 0.5);
      await press('m');
      await until('m gives the sound back', () => viewer.with((element) => !element.muted));
      await press('ArrowDown');
      await until('the arrow makes it softer', () => viewer.with((element) => Math.abs(element.volume - 0.95) < 0.01));
      await press('>');
      await viewer.until('> is faster', (state) => state.rate === 1.25);
      await press(' ');
      await viewer.until('the space bar plays', (state) => !state.paused);
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });

    test('a rendition is chosen in the menu by keys alone', { timeout: 60_000 }, async () => {
      const viewer = await openPlayer(browser, demo);
      await viewer.plays(1, { seconds: 30 });
      await viewer.frame.evaluate(`inside('[part~="settings-button"]').focus()`);
      const press = async (...keys) => {
        for (const key of keys) await viewer.page.keyboard.press(key);
      };
      await press('Enter');
      await until('the menu is open', () => viewer.frame.evaluate(`focused()?.getAttribute('role') === 'menuitem' && !inside('[role="menu"]').hidden`));
      await press('Enter');
      await until('it shows the qualities', () => viewer.frame.evaluate(`focused()?.getAttribute('role') === 'menuitemradio'`));
      await press('End');
      const chosen = await viewer.frame.evaluate(`focused().textContent`);
      assert.equal(chosen, '240p');
      await press('Enter', 'Escape');
      await until('the menu is closed, and the focus back', () => viewer.frame.evaluate(`inside('[role="menu"]').hidden && focused() === inside('[part~="settings-button"]')`));
      await viewer.until('that rendition plays', (state) => state.height === 240, { seconds: 30 });
      await viewer.close();
    });

    test('a viewer who switches sharing off is in no swarm, now and the next time', { timeout: 90_000 }, async () => {
      const first = await openPlayer(browser, demo, { query: { swarm: `choice-${name}` } });
      await first.plays(2, { seconds: 30 });
      const second = await openPlayer(browser, demo, { query: { swarm: `choice-${name}` } });
      await second.until('they share', (state) => state.stats.peers === 1, { seconds: 30 });
      await second.frame.evaluate(`document.querySelector('potluck-player').focus()`);
      await second.page.keyboard.press('s');
      await until('the panel is open', () => second.frame.evaluate(`inside('potluck-sharing-panel')?.hidden === false`));
      await second.page.screenshot({ path: `${OUT}sharing-${name}.png` });
      await second.frame.evaluate(`inside('[part="switch"]').click()`);
      await second.until('the viewer has left', (state) => state.stats.peers === 0 && state.stats.peerState === 'off', { seconds: 15 });
      await second.plays(1, { seconds: 15 });
      await second.page.reload({ waitUntil: 'load' });
      await until('the player is there again', () => second.frame.evaluate(`document.querySelector('potluck-player')?.shadowRoot?.querySelector('potluck-sharing-button button') !== null`));
      assert.equal(await second.frame.evaluate(`document.querySelector('potluck-player').consent`), 'off');
      await first.close();
      await second.close();
    });

    test('nothing tells of a viewer before the viewer has agreed, and then not again', { timeout: 90_000 }, async () => {
      const swarm = `asked-${name}`;
      const first = await openPlayer(browser, demo, { query: { swarm } });
      await first.plays(2, { seconds: 30 });
      const asked = await openPlayer(browser, demo, { query: { swarm, consent: 'ask' }, count: true });
      await asked.plays(3, { seconds: 30 });
      const exposed = async () => await asked.frame.evaluate(`({ connections: window.rtc.made, sharing: performance.getEntriesByType('resource').some(({ name }) => name.includes('sharing')) })`);
      assert.deepEqual(await exposed(), { connections: 0, sharing: false });
      assert.equal((await asked.state()).stats.peerState, 'off');
      assert.equal((await first.state()).stats.swarmSize, 1, 'the tracker knows of the viewer who was asked');
      await asked.page.screenshot({ path: `${OUT}consent-${name}.png` });
      await asked.frame.evaluate(`inside('[part="consent-yes"]').click()`);
      await asked.until('they share', (state) => state.stats.peers === 1, { seconds: 30 });
      assert.ok((await exposed()).connections > 0);
      await asked.page.reload({ waitUntil: 'load' });
      await until('the player is there again', () => asked.frame.evaluate(`Boolean(document.querySelector('potluck-player')?.shadowRoot?.querySelector('potluck-consent'))`));
      assert.equal(await asked.frame.evaluate(`document.querySelector('potluck-player').shadowRoot.querySelector('potluck-consent').hidden`), true, 'the viewer is asked again');
      await asked.close();
      await first.close();
    });

    test('speaks Arabic, from right to left', { timeout: 60_000 }, async () => {
      const viewer = await openPlayer(browser, demo, { lang: 'ar' });
      assert.equal(await viewer.frame.evaluate(`inside('.layer').dir`), 'rtl');
      assert.equal(await viewer.frame.evaluate(`inside('[part~="fullscreen-button"]').getAttribute('aria-label')`), 'ملء الشاشة');
      const places = await viewer.frame.evaluate(`['play', 'fullscreen'].map((name) => inside('.row [part~="' + name + '-button"]').getBoundingClientRect().left)`);
      assert.ok(places[0] > places[1], `play is at ${places[0]}, full screen at ${places[1]}`);
      await viewer.page.screenshot({ path: `${OUT}rtl-${name}.png` });
      await viewer.close();
    });
  });
}

describe('the controls', () => {
  let demo;
  let browser;
  scene(chromium, (...both) => { [demo, browser] = both; });

  test('have no fault that axe finds, in any state', { timeout: 120_000 }, async (t) => {
    const axe = await readFile(require.resolve('axe-core/axe.min.js'), 'utf8');
    const viewer = await openPlayer(browser, demo);
    await viewer.plays(1, { seconds: 30 });
    await viewer.frame.evaluate(axe);
    const check = async (state) => {
      const violations = await viewer.frame.evaluate(`axe.run(document.querySelector('potluck-player'), { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })
        .then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html.slice(0, 120)).join(' ')))`);
      t.diagnostic(`${state}: ${violations.length}`);
      assert.deepEqual(violations, [], state);
    };
    await viewer.page.mouse.move(100, 100);
    await check('playing');
    for (const scheme of ['dark', 'light']) {
      await viewer.frame.evaluate(`document.querySelector('potluck-player').setAttribute('scheme', '${scheme}')`);
      await viewer.frame.evaluate(`inside('[part~="settings-button"]').click()`);
      await check(`settings, ${scheme}`);
      for (const key of ['s', 'i', '?']) {
        await viewer.frame.evaluate(`document.querySelector('potluck-player').focus()`);
        await viewer.page.keyboard.press(key);
        await until('the sheet is open', () => viewer.frame.evaluate(`Boolean(inside('[role="dialog"]:not([hidden])'))`));
        await check(`sheet ${key}, ${scheme}`);
        await viewer.page.keyboard.press('Escape');
      }
    }
    await viewer.frame.evaluate(`document.querySelector('potluck-player').setAttribute('src', '/nothing.m3u8')`);
    await until('the failure is told', () => viewer.frame.evaluate(`inside('.failure').hidden === false`), { seconds: 20 });
    await check('failed');
    assert.ok(await viewer.frame.evaluate(`inside('.failure').scrollHeight <= inside('.failure').clientHeight`), 'the way out is cut off');
    await viewer.page.screenshot({ path: `${OUT}controls-failed.png` });
    await viewer.close();
  });

  test('say the same things in each language', async () => {
    const folder = new URL('../../www/src/lang/', import.meta.url);
    const read = async (file) => JSON.parse(await readFile(new URL(file, folder), 'utf8'));
    const english = await read('en.json');
    const files = (await readdir(folder)).filter((file) => file.endsWith('.json'));
    assert.ok(files.length >= 10, files.join());
    for (const file of files) {
      const texts = await read(file);
      assert.deepEqual(Object.keys(texts), Object.keys(english), file);
      for (const [key, text] of Object.entries(texts)) {
        const places = (of) => (of.match(/\{\w+\}/g) ?? []).sort().join();
        assert.equal(places(text), places(english[key]), `${file}: ${key}`);
      }
    }
  });

  test('of media-chrome drive <potluck-video> as well', { timeout: 60_000 }, async () => {
    const chrome = await readFile(require.resolve('media-chrome').replace(/cjs\/index\.js$|index\.js$/, 'iife/index.js'), 'utf8');
    const stage = await startStage({
      '/media-chrome.js': { type: 'text/javascript', body: chrome },
      '/page.html': `<!doctype html><link rel="icon" href="data:,"><script src="/media-chrome.js"></script><script type="module" src="${demo.url}/potluck.js"></script>
        <media-controller><potluck-video slot="media" src="${demo.vod}" muted></potluck-video>
        <media-control-bar><media-play-button></media-play-button><media-time-range></media-time-range><media-time-display showduration></media-time-display></media-control-bar></media-controller>`,
    });
    try {
      const viewer = await openViewer(browser, demo, { page: `${stage.url}/page.html` });
      await viewer.adopt(() => document.querySelector('potluck-video'));
      const shown = async () => await viewer.frame.evaluate(`document.querySelector('media-time-display').shadowRoot.querySelector('slot').textContent.trim()`);
      // Once all of the film is there, browsers say 63.999999 s, and this clock cuts off what is less than a second.
      await until('the controls know the duration', async () => {
        const duration = await viewer.with((element) => element.duration);
        return Math.abs(duration - 64) < 0.001 && (await shown()).endsWith(`1:0${Math.floor(duration) - 60}`);
      }, { seconds: 30, describe: async () => ({ shown: await shown(), ...(await viewer.state()), problems: viewer.problems }) });
      await viewer.frame.evaluate(`document.querySelector('media-play-button').click()`);
      await viewer.plays(1, { seconds: 20 });
      await viewer.frame.evaluate(`document.querySelector('media-play-button').click()`);
      await viewer.until('it pauses', (state) => state.paused);
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    } finally {
      await stage.stop();
    }
  });
});
