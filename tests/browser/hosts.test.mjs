// A session asks nobody whom the page did not name: not for files, not for addresses, not for how to be reached. Everything that the
// browsers ask for goes through a proxy that writes it down, and Chromium keeps a log of its network.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { watchConnections } from './lib/connections.mjs';
import { startDemo } from './lib/demo.mjs';
import { startPeerTube } from './lib/peertube.mjs';
import { startProxy } from './lib/proxy.mjs';
import { startStage } from './lib/stage.mjs';
import { Viewer, openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

/** What Firefox asks for by itself, with an empty page too. */
const FIREFOX_OWN = /(?:^|\.)(?:mozilla\.(?:com|net|org)|firefox\.com)$/;
/** One grey pixel, as PNG. */
const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCBd81ytgAAAABJRU5ErkJggg==', 'base64');
const WORDS = 'WEBVTT\n\n00:00.000 --> 01:00.000\nHello\n';

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  test(`a session in ${name} asks nobody whom the page did not name`, { timeout: 120_000 }, async (t) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'potluck-hosts-'));
    const log = path.join(folder, 'net.json');
    const [demo, proxy] = await Promise.all([startDemo(), startProxy()]);
    const at = (host, port = demo.port) => `http://${host}.localhost:${port}`;
    const stage = await startStage({});
    const instance = await startPeerTube(demo);
    const browser = await launch({ proxy: proxy.port, args: [`--log-net-log=${log}`, '--net-log-capture-mode=Default'] });
    const stagePort = new URL(stage.url).port;
    const film = `${at('film')}/media/sample/master.m3u8`;
    const trackers = `ws://announce.localhost:${demo.port}/announce`;
    try {
      const page = (body) => `<!doctype html><title>Somebody's page</title><link rel="icon" href="data:,">
        <script type="module" src="${at('player')}/potluck.js"></script>${body}`;
      const common = `trackers="${trackers}" muted autoplay`;
      Object.assign(stage.routes, {
        '/element.html': page(`<potluck-player src="${film}" ${common} poster="${stage.url}/poster.png" crossorigin heading="The film">
          <track kind="captions" srclang="en" label="English" src="${stage.url}/words.vtt" default></potluck-player>`),
        '/embed.html': page(`<iframe width="640" height="360" allow="autoplay" src="${at('embed')}/embed.html?${new URLSearchParams({
          src: film, trackers, consent: 'granted', muted: '1', autoplay: '1', poster: `${stage.url}/poster.png`, title: 'The film',
        })}"></iframe>`),
        '/peertube.html': page(`<potluck-player src="${instance.url}/w/${instance.id}" ${common}></potluck-player>`),
        '/poster.png': { type: 'image/png', body: PIXEL },
        '/words.vtt': { type: 'text/vtt', body: WORDS },
      });
      const element = await open('/element.html');
      await element.plays(2, { seconds: 40 });
      const embed = await open('/embed.html', (url) => url.startsWith(at('embed')));
      await embed.plays(1, { seconds: 40 });
      await element.until('they share', ({ stats }) => stats.peers > 0, { seconds: 30 });
      const peertube = await open('/peertube.html');
      await peertube.plays(1, { seconds: 40 });
      // Panels and captions are loaded when they are wanted.
      for (const { frame } of [element, embed, peertube]) {
        await frame.evaluate(`document.querySelector('potluck-player').shadowRoot.querySelector('[part~="sharing-button"]')?.click()`);
      }
      await until('the captions are there', () => element.frame.evaluate(`[...document.querySelector('potluck-player').textTracks].some(({ cues }) => cues?.length > 0)`), { seconds: 20 });
      for (const viewer of [element, embed, peertube]) {
        const { servers, connections } = await viewer.frame.evaluate('({ servers: window.rtc.servers, connections: window.rtc.made })');
        assert.ok(connections > 0, 'nobody was connected with');
        assert.deepEqual(servers, [], 'a STUN or TURN server that no page named');
      }
    } finally {
      await browser.close();
      await Promise.all([demo.stop(), stage.stop(), instance.stop(), proxy.stop()]);
    }
    const { resolved, own } = name === 'Chromium' ? await readNetLog(log) : { resolved: new Set(), own: FIREFOX_OWN };
    const asked = [...proxy.hosts].filter((host) => !own.test(host)).sort();
    t.diagnostic([...proxy.hosts].join(' '));
    // The page itself and the PeerTube instance are `localhost`, the instance's film is at 127.0.0.1.
    const named = ['127.0.0.1', 'announce.localhost', 'embed.localhost', 'film.localhost', 'localhost', 'player.localhost'];
    assert.deepEqual(asked, named);
    assert.deepEqual([...resolved].filter((host) => !named.includes(host) && !own.test(host)), [], 'names that were looked up beside the proxy');
    await rm(folder, { recursive: true });

    async function open(page, isInner = null) {
      const outer = await openViewer(browser, demo, { page: stage.url + page, before: watchConnections });
      const frame = await until('the player is there', async () => {
        const found = isInner ? outer.page.frames().find((one) => isInner(one.url())) : outer.page.mainFrame();
        return found && await found.evaluate('Boolean(document.querySelector("potluck-player")?.video)').catch(() => false) && found;
      });
      const viewer = new Viewer(null, outer.page, frame);
      await viewer.adopt(() => document.querySelector('potluck-player').video);
      return viewer;
    }
  });
}

/** Names that Chromium looked up, and those that no page but the browser itself asked for. */
async function readNetLog(file) {
  const { constants, events } = JSON.parse(await readFile(file, 'utf8'));
  const { HOST_RESOLVER_MANAGER_REQUEST, URL_REQUEST_START_JOB } = constants.logEventTypes;
  const resolved = new Set();
  const byPages = new Set();
  const byNobody = new Set();
  for (const { type, params } of events) {
    if (type === HOST_RESOLVER_MANAGER_REQUEST && params?.host) resolved.add(new URL(params.host.includes('://') ? params.host : `http://${params.host}`).hostname);
    if (type === URL_REQUEST_START_JOB && params?.url) (params.initiator === 'not an origin' ? byNobody : byPages).add(new URL(params.url).hostname);
  }
  assert.ok(byPages.has('film.localhost'), 'the log does not say who asked');
  // The test itself opens pages at `localhost`.
  return { resolved, own: { test: (host) => host !== 'localhost' && byNobody.has(host) && !byPages.has(host) } };
}
