// The embed generator: what it says to copy is pasted into a page of another site, and has to play there.

import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { chromium } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { startPeerTube } from './lib/peertube.mjs';
import { startStage } from './lib/stage.mjs';
import { Viewer, openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

/** Pictures to look at; never compared. */
const OUT = fileURLToPath(new URL('out/', import.meta.url));
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

describe('the embed generator', () => {
  let demo;
  let browser;
  let stage;
  let instance;
  before(async () => {
    [demo, browser, stage] = await Promise.all([startDemo(), chromium(), startStage({}), mkdir(OUT, { recursive: true })]);
    instance = await startPeerTube(demo);
  });
  after(async () => {
    await browser?.close();
    await demo?.stop();
    await stage?.stop();
    await instance?.stop();
  });

  const open = async (query = '') => await openViewer(browser, demo, { page: `${demo.url}/generator${query}` });
  const paste = async (viewer, address) => {
    await viewer.frame.evaluate(`document.getElementById('address').value = ${JSON.stringify(address)}`);
    await viewer.page.click('#form .button');
  };
  const set = async (viewer, changes) => await viewer.frame.evaluate(`for (const [name, value] of Object.entries(${JSON.stringify(changes)})) {
    const input = document.getElementById(name) ?? document.querySelector('[name="' + name + '"][value="' + value + '"]');
    if (input.type === 'radio' || input.type === 'checkbox') { if (input.checked !== (value !== false)) input.click(); }
    else { input.value = value; input.dispatchEvent(new Event('input', { bubbles: true })); }
  }`);
  const code = async (viewer) => await viewer.frame.evaluate(`document.getElementById('output').hidden ? '' : document.getElementById('code').value`);
  const told = async (viewer) => await viewer.frame.evaluate(`document.getElementById('told').textContent`);

  /** A page of another site with this in it. */
  async function pasted(html, head = '') {
    stage.routes['/blog.html'] = `<!doctype html><html lang="en"><title>My blog</title><link rel="icon" href="data:,">${head}<h1>My blog</h1>${html}</html>`;
    const viewer = await openViewer(browser, demo, { page: `${stage.url}/blog.html` });
    return viewer;
  }
  const inside = async (page, what = 'potluck-player') => {
    const frame = await until('the iframe has its player', async () => {
      for (const one of page.frames()) if (one !== page.mainFrame() && await one.evaluate(`Boolean(document.querySelector('${what}')?.video)`).catch(() => false)) return one;
      return null;
    });
    const viewer = new Viewer(null, page, frame);
    await viewer.adopt(() => document.querySelector('potluck-player').video);
    return viewer;
  };

  test('shows a film of this server, and its element plays elsewhere', { timeout: 60_000 }, async () => {
    const viewer = await open(`?url=${encodeURIComponent(`${demo.url}/?title=sample`)}`);
    await until('it is found', async () => /“A day at the lake”/.test(await told(viewer)), { describe: () => told(viewer) });
    await set(viewer, { size: 'medium', muted: true, autoplay: true, lazy: false, title: 'A "quoted" <day>', 'min-viewers': '3', 'swarm-token': 'a.b"c' });
    const html = await code(viewer);
    for (const part of ['min-viewers="3"', 'swarm-token="a.b&quot;c"', `src="${demo.vod}"`, `trackers="${demo.tracker}"`, 'heading="A &quot;quoted&quot; &lt;day&gt;"', 'max-width: 640px', 'consent="ask"', 'poster=']) assert.ok(html.includes(part), `${part}: ${html}`);
    const attribute = async (name) => await viewer.frame.evaluate(`document.getElementById('player').getAttribute('${name}')`);
    assert.equal(await attribute('min-viewers'), '3', 'the preview is another');
    await set(viewer, { 'min-viewers': '', 'swarm-token': '' });
    assert.equal(await attribute('min-viewers'), null);
    const plain = await code(viewer);
    assert.ok(!/min-viewers|swarm-token/.test(plain), plain);
    const blog = await pasted(html);
    await until('the element is there', () => blog.frame.evaluate('Boolean(document.querySelector("potluck-player")?.video)'));
    await blog.adopt(() => document.querySelector('potluck-player').video);
    const state = await blog.plays(1, { seconds: 30 });
    assert.equal(state.error, null, inWords(state));
    assert.deepEqual(await blog.frame.evaluate(`(({ heading, offsetWidth, offsetHeight }) => [heading, offsetWidth, offsetHeight])(document.querySelector('potluck-player'))`), ['A "quoted" <day>', 640, 360]);
    assert.deepEqual(blog.problems, []);
    await blog.close();
    await viewer.close();
  });

  test('the iframe loads its poster alone, and plays at a click', { timeout: 60_000 }, async () => {
    const viewer = await open();
    await until('it is found', () => code(viewer));
    await set(viewer, { size: 'small', kind: 'iframe', start: '20', muted: true, 'min-viewers': '4', 'swarm-token': 'a.b.c' });
    const html = await code(viewer);
    assert.match(html, /width="400" height="225"/);
    assert.match(html, /min-viewers=4&amp;swarm-token=a\.b\.c/);
    const blog = await pasted(html);
    const asked = [];
    blog.page.on('request', (request) => asked.push(request.url()));
    await blog.page.reload({ waitUntil: 'networkidle0' });
    assert.deepEqual(asked.filter((url) => url.startsWith(demo.url)), [`${demo.url}/media/sample/poster.jpg`], 'more than the poster was loaded');
    await blog.page.screenshot({ path: `${OUT}generator-lazy-iframe.png` });
    const frame = await blog.page.waitForSelector('iframe');
    await (await frame.contentFrame()).click('a');
    const inner = await inside(blog.page);
    const state = await inner.plays(1, { seconds: 30 });
    assert.ok(state.position >= 20, inWords(state));
    await blog.close();
    await viewer.close();
  });

  test("takes a PeerTube video, and a player's own page; its code for npm works", { timeout: 60_000 }, async () => {
    const viewer = await open();
    await paste(viewer, `${instance.url}/w/${instance.id}`);
    await until('it plays', async () => /Plays: a video of the PeerTube instance localhost/.test(await told(viewer)), { describe: () => told(viewer) });
    await set(viewer, { kind: 'npm', muted: true, autoplay: true, lazy: false, consent: 'off' });
    const script = await code(viewer);
    const html = /\/\*\n([\s\S]*)\n\*\//.exec(script)[1];
    const blog = await pasted(`${html}<script type="module">${script}</script>`, `<script type="importmap">{ "imports": { "potluck-player": "${demo.url}/package.js" } }</script>`);
    await until('the element is there', () => blog.frame.evaluate('Boolean(document.querySelector("potluck-player")?.video)'));
    await blog.adopt(() => document.querySelector('potluck-player').video);
    await blog.plays(1, { seconds: 30 });
    assert.equal(await blog.frame.evaluate('document.querySelector("potluck-player").heading'), 'Ein Tag am See <b>');
    await blog.close();
    await paste(viewer, `${demo.url}/embed?${new URLSearchParams({ src: demo.live, title: 'Now' })}`);
    await until('it plays', async () => /Plays: a player in an iframe/.test(await told(viewer)), { describe: () => told(viewer) });
    assert.ok((await code(viewer)).includes(`src="${demo.live}"`));
    await viewer.close();
  });

  test('says what is wrong with an address', { timeout: 40_000 }, async () => {
    const viewer = await open();
    await until('the first is found', () => code(viewer));
    for (const [address, words] of [
      ['film', /not an address/], ['javascript:alert(1)', /begin with https/], [`${demo.url}/nothing.m3u8`, /does not play.*404/], [`${instance.url}/w/private`, /does not show this video/],
    ]) {
      await paste(viewer, address);
      await until(`${address} is refused`, async () => words.test(await told(viewer)), { describe: () => told(viewer) });
    }
    assert.equal(await viewer.frame.evaluate(`document.getElementById('told').className`), 'note bad');
    await viewer.close();
  });

  test('fits any screen, and axe finds nothing', { timeout: 60_000 }, async () => {
    const viewer = await open();
    await until('it is found', () => code(viewer));
    await viewer.frame.evaluate(`document.querySelector('details').open = true`);
    await viewer.frame.evaluate(axe);
    for (const [scheme, width, height] of [['light', 1440, 1000], ['dark', 1440, 1000], ['light', 768, 1200], ['light', 360, 1900], ['dark', 360, 1900]]) {
      await viewer.page.setViewport({ width, height });
      await viewer.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      const wide = await viewer.frame.evaluate('document.documentElement.scrollWidth');
      assert.ok(wide <= width, `the page is ${wide} px wide on a screen of ${width} px`);
      const { violations } = await viewer.frame.evaluate(`axe.run({ exclude: ['potluck-player'] })`);
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join()}`), [], `${scheme}, ${width} px`);
      await viewer.page.screenshot({ path: `${OUT}generator-${scheme}-${width}.png` });
    }
    assert.deepEqual(viewer.problems, []);
    await viewer.close();
  });
});
