// The pieces of `integrations/`, as far as they run on one machine: built where they are built, played in Chromium. WordPress has a file of its own.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { WWW, freshProject, run, serveFolder } from './lib/package.mjs';
import { startPeerTube } from './lib/peertube.mjs';
import { startStage } from './lib/stage.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

const FOLDER = fileURLToPath(new URL('../../integrations/', import.meta.url));
const exec = promisify(execFile);
const require = createRequire(import.meta.url);
const MODULES = ['vite', 'react', 'react-dom', 'vue', '@vitejs/plugin-vue', 'svelte', '@sveltejs/vite-plugin-svelte', 'video.js'];

describe('the example with', () => {
  let demo;
  let browser;
  let project;
  const sites = [];
  before(async () => {
    [demo, browser, project] = await Promise.all([startDemo(), chromium(), freshProject({}, MODULES)]);
  });
  after(async () => {
    await browser?.close();
    await demo?.stop();
    await Promise.all(sites.map((site) => site.stop()));
    await project?.remove();
  });

  /** Builds one as it is, beside the packed player, and opens its page. */
  async function build(name) {
    const folder = path.join(project.folder, name);
    await mkdir(folder);
    await cp(path.join(FOLDER, name), folder, { recursive: true, filter: (from) => !from.includes('node_modules') });
    await run(folder, 'vite/bin/vite.js', 'build', '--logLevel', 'warn');
    const site = await serveFolder(path.join(folder, 'dist'));
    sites.push(site);
    const viewer = await openViewer(browser, demo, { page: `${site.url}/?${new URLSearchParams({ src: demo.vod, trackers: demo.tracker })}` });
    return viewer;
  }

  for (const name of ['react', 'vue', 'svelte']) {
    test(`${name}: its button plays and pauses, its figures come from events`, { timeout: 60_000 }, async () => {
      const other = await openViewer(browser, demo, { src: demo.vod });
      await other.plays(1, { seconds: 30 });
      const viewer = await build(name);
      await until('the player is there', () => viewer.frame.evaluate('Boolean(document.querySelector("potluck-player")?.video)'));
      await viewer.adopt(() => document.querySelector('potluck-player').video);
      const button = async () => await viewer.frame.evaluate('document.querySelector("main > p > button").textContent');
      assert.equal(await button(), 'Play');
      await viewer.page.click('main > p > button');
      const state = await viewer.plays(1, { seconds: 30 });
      assert.equal(state.error, null, inWords(state));
      assert.equal(await button(), 'Pause');
      await until('it tells of the other viewer', () => viewer.frame.evaluate('document.querySelector("output").textContent === "1 people"'), { seconds: 20 });
      await viewer.page.click('main > p > button');
      await viewer.until('it pauses', ({ paused }) => paused);
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
      await other.close();
    });
  }

  test("video.js: its controls and its API drive the element, and other sources go to its own tech", { timeout: 60_000 }, async () => {
    const viewer = await build('videojs');
    await until('the tech is there', () => viewer.frame.evaluate('Boolean(globalThis.player?.tech(true)?.el()?.nativeEl)'));
    await viewer.adopt(() => document.querySelector('potluck-video'));
    await viewer.page.click('.vjs-big-play-button');
    const state = await viewer.plays(1, { seconds: 30 });
    assert.equal(state.error, null, inWords(state));
    const ask = async (expression) => await viewer.frame.evaluate(expression);
    assert.equal(await ask('player.techName_'), 'Potluck');
    assert.ok(await ask('player.duration() > 60 && player.currentSrc().endsWith("master.m3u8")'));
    await until('the time is shown', () => ask(`/1:0\\d/.test(document.querySelector('.vjs-duration-display, .vjs-remaining-time-display').textContent)`));
    await ask('player.currentTime(30); player.playbackRate(1.5); player.volume(0.4)');
    const later = await viewer.until('it seeks', ({ position, rate }) => position >= 30 && position < 45 && rate === 1.5, { seconds: 20 });
    assert.equal(later.paused, false);
    await viewer.page.hover('.video-js');
    await viewer.page.click('.vjs-play-control');
    await viewer.until('it pauses', ({ paused }) => paused);
    // A source that is no HLS, and one that is again.
    await ask(`player.src({ src: '/nothing.mp4', type: 'video/mp4' })`);
    await until('its own tech takes it', () => ask('player.techName_ === "Html5" && !document.querySelector("potluck-video")'));
    await ask(`player.src({ src: '${demo.vod}', type: 'application/vnd.apple.mpegurl' }); player.muted(true)`);
    await until('the element is back', () => ask('Boolean(document.querySelector("potluck-video"))'));
    await viewer.adopt(() => document.querySelector('potluck-video'));
    await ask('player.play()');
    await viewer.plays(1, { seconds: 30 });
    await ask('player.dispose()');
    await until('its worker is gone', () => viewer.page.workers().length === 0, { seconds: 10 });
    assert.deepEqual(viewer.problems.filter((problem) => !problem.includes('nothing.mp4') && !problem.includes('MEDIA_ERR_SRC_NOT_SUPPORTED')), []);
    await viewer.close();
  });
});

describe('the piece for', () => {
  let demo;
  let browser;
  let stage;
  before(async () => {
    [demo, browser, stage] = await Promise.all([startDemo({ hashes: 'none' }), chromium(), startStage({})]);
  });
  after(async () => {
    await browser?.close();
    await demo?.stop();
    await stage?.stop();
  });

  test("PeerTube lays ours over the instance's player from video to video, and leaves private ones alone", { timeout: 90_000 }, async () => {
    const instance = await startPeerTube(demo);
    try {
      // A watch page or an embed as far as the plugin sees it: one video.js for all videos, with plugins that load, and helpers of which
      // embeds have few; the files of the plugin where the server has them.
      const route = '/plugins/potluck/0.1.0/static';
      const videojs = await readFile(require.resolve('video.js/dist/video.min.js'));
      Object.assign(instance.routes, {
        '/plugins/potluck/0.1.0/client-scripts/client.js': { type: 'text/javascript', body: await readFile(path.join(FOLDER, 'peertube-plugin/client.js')) },
        '/video.js': { type: 'text/javascript', body: videojs },
        '/w/page.html': `<!doctype html><link rel="icon" href="data:,"><script src="/video.js"></script><main><video id="vjs" class="video-js" style="position: relative"></video></main>
          <script type="module">
            import { register } from '/plugins/potluck/0.1.0/client-scripts/client.js';
            const hooks = {};
            await register({
              registerHook: ({ target, handler }) => { hooks[target] = handler; },
              peertubeHelpers: { getBaseStaticRoute: () => { throw new Error('This helper is not implemented in embed.'); }, getSettings: async () => ({ trackers: '${demo.tracker}' }) },
            });
            window.loading = 0;
            class WebVideo extends videojs.getPlugin('plugin') {
              constructor(player, options) { super(player, options); loading += 1; }
              dispose() { loading -= 1; super.dispose(); }
            }
            videojs.registerPlugin('webVideo', WebVideo);
            window.player = videojs('vjs', { muted: true, width: 640, height: 360, sources: [] });
            window.told = new Set();
            player.on(['play', 'timeupdate'], ({ type }) => told.add(type));
            window.act = async (hook, video) => { player.autoplay('any'); player.webVideo(); await hooks[hook]({ player, videojs, video }); };
            player.ready(() => { window.ready = true; });
          </script>`,
      });
      const { contents } = await builtFiles();
      for (const [name, body] of contents) instance.routes[`${route}/player/${name}`] = { type: name.endsWith('.wasm') ? 'application/wasm' : 'text/javascript', body };
      for (const what of ['', '/captions', '/chapters', '/storyboards']) instance.routes[`/api/v1/videos/second${what}`] = instance.routes[`/api/v1/videos/${instance.id}${what}`];
      const viewer = await openViewer(browser, demo, { page: `${instance.url}/w/page.html?start=5s` });
      const ask = async (expression) => await viewer.frame.evaluate(expression);
      await until('the page is there', () => ask('Boolean(window.ready)'));
      await ask(`act('action:video-watch.player.loaded', { uuid: '${instance.uuid}', shortUUID: '${instance.id}', privacy: { id: 3 } })`);
      assert.deepEqual(await ask('[document.querySelector("potluck-player"), loading]'), [null, 1]);
      await ask(`act('action:embed.player.loaded', { uuid: '${instance.uuid}', shortUUID: '${instance.id}', privacy: { id: 1 } })`);
      await until('the player is there', () => ask('Boolean(document.querySelector(".video-js > potluck-player")?.video)'));
      await viewer.adopt(() => document.querySelector('potluck-player').video);
      const state = await viewer.plays(1, { seconds: 30 });
      assert.equal(state.error, null, inWords(state));
      assert.ok(state.position >= 5, inWords(state));
      const box = (selector) => ask(`(({ x, y, width, height }) => [x, y, width, height])(document.querySelector('${selector}').getBoundingClientRect())`);
      assert.deepEqual(await box('potluck-player'), await box('.video-js'));
      assert.equal(await ask('loading'), 0, 'both load');
      assert.deepEqual(await ask(`(({ heading, trackers }) => [heading, trackers])(document.querySelector('potluck-player'))`), ['Ein Tag am See <b>', demo.tracker]);
      // The page's own scripts go on asking PeerTube's player.
      assert.deepEqual(await ask('[player.paused(), [...told].sort()]'), [false, ['play', 'timeupdate']]);
      // As `setCurrentTime` of its player does it for a link to a time.
      await ask('if (player.hasStarted_) player.currentTime(30); null');
      await viewer.until('it seeks', ({ position }) => position >= 30, { seconds: 20 });
      assert.ok(await ask('player.currentTime() >= 30'));
      // The next video, in the same page.
      await ask(`history.replaceState(null, '', '/w/second'); act('action:video-watch.player.loaded', { uuid: 'x', shortUUID: 'second', privacy: { id: 2 } })`);
      await viewer.until('it begins', ({ position, readyState, paused }) => position > 0 && position < 25 && readyState >= 2 && !paused, { seconds: 30 });
      assert.deepEqual(await ask('[document.querySelectorAll("potluck-player").length, loading, player.paused()]'), [1, 0, false]);
      // One that not everybody may see, and then one that all may.
      await ask(`act('action:video-watch.player.loaded', { uuid: 'y', shortUUID: 'y', privacy: { id: 5 } })`);
      await until('its worker is gone', () => viewer.page.workers().length === 0, { seconds: 10 });
      assert.deepEqual(await ask('[document.querySelector("potluck-player"), loading, player.paused(), player.currentTime()]'), [null, 1, true, 0]);
      await ask(`act('action:video-watch.player.loaded', { uuid: '${instance.uuid}', shortUUID: '${instance.id}', privacy: { id: 1 } })`);
      await viewer.adopt(() => document.querySelector('potluck-player').video);
      await viewer.plays(1, { seconds: 30 });
      await ask('player.dispose()');
      await until('its worker is gone', () => viewer.page.workers().length === 0, { seconds: 10 });
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    } finally {
      await instance.stop();
    }
  });

  test('Owncast waits until somebody is live, plays, and says when it is over', { timeout: 60_000 }, async () => {
    const status = { online: false, viewerCount: 0, streamTitle: '' };
    Object.assign(stage.routes, {
      '/public/index.html': await readFile(path.join(FOLDER, 'owncast/index.html'), 'utf8'),
      '/api/status': (request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(status)),
      '/logo': { type: 'image/png', body: Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCBd81ytgAAAABJRU5ErkJggg==', 'base64') },
      '/hls/stream.m3u8': (request, response) => response.writeHead(302, { location: demo.live, 'access-control-allow-origin': '*' }).end(),
    });
    const viewer = await openViewer(browser, demo, { page: `${stage.url}/public/index.html?${new URLSearchParams({ potluck: `${demo.url}/potluck.js`, trackers: demo.tracker, poll: '1' })}` });
    const said = async () => await viewer.frame.evaluate(`document.getElementById('status').textContent`);
    await until('it waits', async () => /Nobody is live/.test(await said()), { describe: said });
    Object.assign(status, { online: true, viewerCount: 3, streamTitle: 'Hello <world>' });
    await until('it is live', async () => /Live, 3 watching/.test(await said()), { describe: said });
    await viewer.adopt(() => document.getElementById('player').video);
    const state = await viewer.plays(1, { seconds: 30 });
    assert.equal(state.duration, null, 'a broadcast');
    assert.equal(await viewer.frame.evaluate(`document.getElementById('title').textContent`), 'Hello <world>');
    status.online = false;
    await viewer.until('it is over', ({ readyState }) => readyState === 0, { seconds: 20 });
    assert.match(await said(), /Nobody is live/);
    assert.deepEqual(viewer.problems, []);
    await viewer.close();
  });

  test('Owncast reads from the stream whether somebody is live, on a site that may not ask for the status', { timeout: 60_000 }, async () => {
    // Its own pages alone read the status; the stream is for all. While nobody broadcasts, a clip says so.
    const owncast = await startStage({
      '/api/status': (request, response) => {
        response.removeHeader('access-control-allow-origin');
        response.writeHead(200, { 'content-type': 'application/json' }).end('{ "online": true }');
      },
      '/hls/0/stream.m3u8': '#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:8\n#EXT-X-MAP:URI="offline-init.mp4"\n#EXTINF:8.000000,\noffline-v2.m4s\n#EXT-X-ENDLIST\n',
    });
    try {
      stage.routes['/watch.html'] = await readFile(path.join(FOLDER, 'owncast/index.html'), 'utf8');
      const viewer = await openViewer(browser, demo, { page: `${stage.url}/watch.html?${new URLSearchParams({ server: owncast.url, potluck: `${demo.url}/potluck.js`, poll: '1' })}` });
      const said = async () => await viewer.frame.evaluate(`document.getElementById('status').textContent`);
      await until('it waits without any playlist', async () => /Nobody is live/.test(await said()), { describe: said });
      owncast.routes['/hls/stream.m3u8'] = '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000000\n0/stream.m3u8\n';
      await viewer.page.waitForResponse((response) => response.url().endsWith('/hls/0/stream.m3u8'));
      assert.match(await said(), /Nobody is live/);
      owncast.routes['/hls/stream.m3u8'] = (request, response) => response.writeHead(302, { location: demo.live, 'access-control-allow-origin': '*' }).end();
      await until('it is live', async () => await said() === 'Live.', { describe: said });
      await viewer.adopt(() => document.getElementById('player').video);
      await viewer.plays(1, { seconds: 30 });
      await viewer.close();
    } finally {
      await owncast.stop();
    }
  });

  test("Mastodon and Lemmy says that this server's pages are shown, and why others are not", async () => {
    const check = async (...args) => await exec(process.execPath, [path.join(FOLDER, 'oembed-check/check.mjs'), ...args]).then(({ stdout }) => ({ code: 0, stdout }), (failed) => ({ code: failed.code, stdout: failed.stdout }));
    const good = await check('--insecure', `${demo.url}/?title=live`);
    assert.equal(good.code, 0, good.stdout);
    assert.match(good.stdout, /Mastodon shows a player of 640x360: A day at the lake, live, picture http/);
    assert.match(good.stdout, /Lemmy embeds: A day at the lake, live/);
    const plain = await check(`${demo.url}/?title=live`);
    assert.equal(plain.code, 1);
    assert.match(plain.stdout, /not https/);
    stage.routes['/none.html'] = '<!doctype html><title>Nothing</title>';
    const none = await check('--insecure', `${stage.url}/none.html`);
    assert.equal(none.code, 1);
    assert.match(none.stdout, /names no oEmbed card/);
  });
});

/** The built player's files, by name. */
async function builtFiles() {
  const names = (await readdir(WWW)).filter((name) => /\.(js|wasm)$/.test(name));
  return { contents: await Promise.all(names.map(async (name) => [name, await readFile(path.join(WWW, name))])) };
}
