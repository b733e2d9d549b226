// What servers and pages get wrong: each a named error on the element, and the page stays alive.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { startStage } from './lib/stage.mjs';
import { openViewer } from './lib/viewer.mjs';

const HTML = '<!doctype html><html><head><title>404 Not Found</title></head><body>Not here.</body></html>';
const CODECS = 'avc1.4d401f,mp4a.40.2';

const isNetwork = (problem) => problem.includes('Failed to load resource') || problem.includes('net::ERR_') || problem.includes('WebSocket');

const multivariant = (...variants) => ['#EXTM3U', ...variants.map(({ uri, codecs = CODECS, bandwidth = 500_000 }) => (
  `#EXT-X-STREAM-INF:BANDWIDTH=${bandwidth},CODECS="${codecs}",RESOLUTION=1280x720\n${uri}`
)), ''].join('\n');

/** A media playlist of the film's first segments; `replace` puts other URIs in their places. */
const media = (demo, replace = {}) => {
  const folder = `${demo.url}/media/sample/720p`;
  const segments = Array.from({ length: 6 }, (_, n) => `#EXTINF:4.000000,\n${replace[n] ?? `${folder}/00${n}.m4s`}`);
  return [
    '#EXTM3U', '#EXT-X-VERSION:7', '#EXT-X-TARGETDURATION:4', '#EXT-X-MEDIA-SEQUENCE:0', '#EXT-X-PLAYLIST-TYPE:VOD',
    `#EXT-X-MAP:URI="${folder}/init.mp4"`, ...segments, '#EXT-X-ENDLIST', '',
  ].join('\n');
};

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`bad input in ${name}`, () => {
    let demo;
    let browser;
    let stage;
    /** One element gets it all, one after the other. */
    let viewer;
    before(async () => {
      [demo, browser] = await Promise.all([startDemo(), launch()]);
      const whole = media(demo);
      stage = await startStage({
        '/empty.m3u8': '',
        '/cut-header.m3u8': '#EXT',
        '/cut.m3u8': '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1.0,\n',
        '/cut-variants.m3u8': '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=500000\n',
        '/cut-short.m3u8': whole.slice(0, whole.indexOf('003.m4s')),
        '/page.m3u8': { body: HTML, type: 'text/html' },
        '/json.m3u8': { body: '{"error":"not found"}', type: 'application/json' },
        '/film.m3u8': Buffer.from('000000186674797069736f6d00000200', 'hex').toString('latin1'),
        '/large.m3u8': `${whole}${'# nothing here but a comment that goes on\n'.repeat(250_000)}`,
        '/connection-ends.m3u8': { body: whole, cut: 200 },
        '/gone.m3u8': { status: 404, body: HTML, type: 'text/html' },
        '/forbidden.m3u8': { status: 403, body: '' },
        '/missing-variant.m3u8': multivariant({ uri: '/gone.m3u8' }),
        '/loop.m3u8': multivariant({ uri: '/loop.m3u8' }),
        '/loop-of-two.m3u8': multivariant({ uri: '/loop.m3u8' }),
        '/codecs.m3u8': multivariant({ uri: '/good.m3u8', codecs: 'dvh1.08.07,ac-4.02.01.03' }),
        '/empty-segments.m3u8': media(demo, Object.fromEntries(Array.from({ length: 6 }, (_, n) => [n, '/empty.m4s']))),
        '/pages-for-segments.m3u8': media(demo, Object.fromEntries(Array.from({ length: 6 }, (_, n) => [n, '/page.m3u8']))),
        '/empty.m4s': '',
        // What is not good, but can be played.
        '/good.m3u8': whole,
        '/one-empty-segment.m3u8': media(demo, { 1: '/empty.m4s' }),
        '/as-text.txt': { body: whole, type: 'text/plain' },
        '/as-picture': { body: whole, type: 'image/png' },
        '/as-page.m3u8': { body: whole, type: 'text/html' },
        '/one-missing-variant.m3u8': multivariant({ uri: '/gone.m3u8', bandwidth: 400_000 }, { uri: '/good.m3u8', bandwidth: 300_000 }),
        '/one-looping-variant.m3u8': multivariant({ uri: '/loop.m3u8', bandwidth: 400_000 }, { uri: '/good.m3u8', bandwidth: 300_000 }),
      });
      viewer = await openViewer(browser, demo, { src: demo.vod, trackers: '' });
      await viewer.plays(1, { seconds: 30 });
    });
    after(async () => {
      await browser?.close();
      await demo?.stop();
      await stage?.stop();
    });

    async function load(src, attributes = {}) {
      await viewer.with((element, { url, others }) => {
        window.meter.reset();
        for (const [attribute, value] of Object.entries(others)) element.setAttribute(attribute, value);
        element.src = url;
      }, { url: src, others: attributes });
    }

    /** The same element plays the good title after whatever it was given before. */
    async function isAlive() {
      await load(demo.vod);
      const state = await viewer.until('the good title plays on the same element', (now) => (
        now.error === null && now.meter.played > 0.5 && now.duration > 60 && now.readyState >= 3
      ), { seconds: 20 });
      assert.deepEqual(state.warnings, [], inWords(state));
      assert.deepEqual(viewer.problems.filter((problem) => !isNetwork(problem)), []);
    }

    for (const [path, error, code] of [
      ['/empty.m3u8', 'playlist-empty', 4],
      ['/cut-header.m3u8', 'not-a-playlist', 4],
      ['/cut-variants.m3u8', 'playlist-without-media', 4],
      ['/page.m3u8', 'not-a-playlist', 4],
      ['/json.m3u8', 'not-a-playlist', 4],
      ['/film.m3u8', 'not-a-playlist', 4],
      ['/large.m3u8', 'playlist-too-large', 4],
      ['/gone.m3u8', 'playlist-status', 2],
      ['/forbidden.m3u8', 'playlist-status', 2],
      ['/missing-variant.m3u8', 'playlist-status', 2],
      ['/loop.m3u8', 'variant-loop', 4],
      ['/loop-of-two.m3u8', 'variant-loop', 4],
      ['/codecs.m3u8', 'unplayable-codecs', 4],
      ['/empty-segments.m3u8', 'playlist-without-media', 4],
    ]) {
      test(`${path.slice(1)}: ${error}`, { timeout: 60_000 }, async () => {
        await load(stage.url + path);
        const state = await viewer.until('there is an error', (now) => now.error !== null, { seconds: 20 });
        assert.equal(state.error.name, error, inWords(state));
        assert.equal(state.error.code, code);
        assert.ok(state.error.message.length > 10 && !/undefined|NaN|\[object/.test(state.error.message), state.error.message);
        assert.deepEqual(state.meter.events.filter((event) => event.startsWith('error')), [`error ${error}`], 'the event came once');
        assert.equal(state.waitingReason, null);
        await isAlive();
      });
    }

    for (const [what, src] of [['no URL', 'http://[half an address/film.m3u8'], ['another scheme', 'ftp://example.invalid/film.m3u8']]) {
      test(`src that is ${what}: src-url`, { timeout: 60_000 }, async () => {
        await load(src);
        const state = await viewer.until('there is an error', (now) => now.error !== null);
        assert.equal(state.error.name, 'src-url');
        await isAlive();
      });
    }

    for (const path of ['/as-text.txt', '/as-picture', '/as-page.m3u8']) {
      test(`${path.slice(1)}: a playlist is one whatever its content type says`, { timeout: 60_000 }, async () => {
        await load(stage.url + path);
        const state = await viewer.plays(1, { seconds: 20 });
        assert.equal(state.error, null, inWords(state));
      });
    }

    for (const [path, warning] of [['/one-missing-variant.m3u8', 'playlist-status'], ['/one-looping-variant.m3u8', 'variant-loop']]) {
      test(`${path.slice(1)}: the other variant plays, with the warning ${warning}`, { timeout: 60_000 }, async () => {
        await load(stage.url + path);
        const state = await viewer.plays(1, { seconds: 20 });
        assert.equal(state.error, null, inWords(state));
        assert.ok(state.warnings.includes(warning), inWords(state));
        await isAlive();
      });
    }

    test('a segment of no length is stepped over, with the warning segment-empty', { timeout: 60_000 }, async () => {
      await load(`${stage.url}/one-empty-segment.m3u8`);
      // Its four seconds are missing; playback jumps over them by itself.
      const state = await viewer.until('it plays behind the hole', (now) => now.position > 8.5, { seconds: 40 });
      assert.equal(state.error, null, inWords(state));
      assert.deepEqual(state.warnings, ['segment-empty', 'segment-lost'], inWords(state));
      await isAlive();
    });

    test('web pages in the place of segments: waits visibly, for the server may come to its senses', { timeout: 60_000 }, async () => {
      await load(`${stage.url}/pages-for-segments.m3u8`);
      await viewer.until('it says why nothing plays', (now) => now.waitingReason === 'origin-unavailable' || now.error !== null, { seconds: 30 });
      await isAlive();
    });

    test('a connection that ends in the middle of a playlist, each time: waits visibly', { timeout: 60_000 }, async () => {
      await load(`${stage.url}/connection-ends.m3u8`);
      await viewer.until('it says why nothing plays', (now) => now.waitingReason === 'origin-unavailable' || now.error?.name === 'playlist-unreachable', { seconds: 30 });
      await isAlive();
    });

    test('a playlist cut before its first segment: a broadcast that has not begun looks the same, so it waits visibly', { timeout: 60_000 }, async () => {
      await load(`${stage.url}/cut.m3u8`);
      await viewer.until('it says why nothing plays', (now) => now.waitingReason === 'playlist-stale', { seconds: 30 });
      await isAlive();
    });

    test('a playlist cut after some segments: plays them', { timeout: 60_000 }, async () => {
      await load(`${stage.url}/cut-short.m3u8`);
      const state = await viewer.plays(1, { seconds: 20 });
      assert.equal(state.error, null, inWords(state));
      await isAlive();
    });

    test('trackers that are no URL: tracker-url, and playback all the same', { timeout: 60_000 }, async () => {
      await load(`${stage.url}/good.m3u8`, { trackers: 'tracker http://tracker.invalid/announce ws://' });
      const state = await viewer.until('the tracker is named', (now) => now.warnings.includes('tracker-url'), { seconds: 20 });
      assert.equal(state.error, null, inWords(state));
      const played = await viewer.plays(1, { seconds: 20 });
      assert.equal(played.stats.peerState, 'no-tracker', inWords(played));
      await viewer.with((element) => element.removeAttribute('trackers'));
      await isAlive();
    });

    test('options that make no sense: named, and playback all the same', { timeout: 60_000 }, async () => {
      await load(`${stage.url}/good.m3u8`, { 'p2p': 'perhaps', 'upload-limit': 'much', 'ice-servers': '{' });
      const state = await viewer.plays(1, { seconds: 20 });
      for (const warning of ['p2p-value', 'upload-limit-value', 'ice-servers-json']) assert.ok(state.warnings.includes(warning), `${warning}: ${inWords(state)}`);
      await viewer.with((element) => {
        for (const attribute of ['p2p', 'upload-limit', 'ice-servers']) element.removeAttribute(attribute);
      });
      await isAlive();
    });
  });
}
