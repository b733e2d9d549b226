// What a stream lacks, in real browsers: missing segments, declared gaps, codecs that change at a discontinuity. RELIABILITY.md lists
// them; most rows are checked in virtual time (tests/tests/faults.rs), here are those that depend on the media element.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { filesIn, startStage } from './lib/stage.mjs';
import { openViewer } from './lib/viewer.mjs';

/** Seconds of a part of a programme that changes, of a film that lacks something, and of a broadcast; a segment has 2 s. */
const [PART, FILM, BROADCAST] = [4, 8, 28];

const SMALL = ['-s', '320x180', '-profile:v', 'baseline'];
const LARGE = ['-s', '640x360', '-profile:v', 'high'];
const AAC = ['-c:a', 'aac', '-ar', '44100', '-b:a', '64k'];

/** Fragmented MP4, or MPEG-2 TS, with the codecs that are named. */
function make(folder, name, length, codecs, ts = false) {
  const kind = ts ? [] : ['-hls_segment_type', 'fmp4', '-hls_fmp4_init_filename', `${name}-init.mp4`];
  execFileSync('ffmpeg', [
    '-hide_banner', '-loglevel', 'error', '-y',
    '-f', 'lavfi', '-i', `testsrc2=s=640x360:r=24:d=${length}`, '-f', 'lavfi', '-i', `sine=f=440:r=48000:d=${length}`,
    '-c:v', 'libx264', '-preset', 'veryfast', '-b:v', '200k', '-g', '48', '-keyint_min', '48', '-sc_threshold', '0', '-pix_fmt', 'yuv420p',
    ...codecs, '-strict', '-2', '-t', String(length),
    '-f', 'hls', '-hls_time', '2', '-hls_playlist_type', 'vod', ...kind,
    '-hls_segment_filename', `${name}-%d.${ts ? 'ts' : 'm4s'}`, `${name}.m3u8`,
  ], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
}

/** The lines of a playlist between its head and its end. */
function segments(folder, name) {
  const lines = readFileSync(path.join(folder, `${name}.m3u8`), 'utf8').split('\n');
  return lines.filter((line) => /^#EXTINF|^#EXT-X-MAP|^[^#]/.test(line) && line !== '').join('\n');
}

const playlist = (body, end = '#EXT-X-ENDLIST\n') => `#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n${body}\n${end}`;
const master = (variants) => `#EXTM3U\n${variants.map((url, n) => `#EXT-X-STREAM-INF:BANDWIDTH=${300_000 + 100_000 * n},CODECS="avc1.42c01e,mp4a.40.2"\n${url}\n`).join('')}`;

/** A broadcast that grows by a segment every 2 s from the first request on. Its segment 7 is named before the server has it. */
function broadcast(folder, name) {
  const [map, ...rest] = segments(folder, 'broadcast').replace('broadcast-7.m4s', `${name}-7.m4s`).split('\n');
  let began = null;
  const refused = [];
  const routes = {
    [`/${name}.m3u8`]: (_, response) => {
      began ??= performance.now();
      const count = 5 + Math.floor((performance.now() - began) / 2000);
      const end = 2 * count < rest.length ? '' : '#EXT-X-ENDLIST\n';
      response.writeHead(200, { 'content-type': 'application/vnd.apple.mpegurl' }).end(playlist([map, ...rest.slice(0, 2 * count)].join('\n'), end));
    },
    [`/${name}-7.m4s`]: (_, response) => {
      const late = refused.length < 2;
      if (late) refused.push(performance.now() - began);
      response.writeHead(late ? 404 : 200).end(late ? '' : readFileSync(path.join(folder, 'broadcast-7.m4s')));
    },
  };
  return { routes, refused };
}

describe('what a stream lacks', () => {
  let folder;
  let stage;
  let demo;
  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'potluck-reliability-'));
    make(folder, 'film', FILM, [...SMALL, ...AAC]);
    make(folder, 'broadcast', BROADCAST, [...SMALL, ...AAC]);
    make(folder, 'low', PART, [...SMALL, ...AAC]);
    make(folder, 'high', PART, [...LARGE, '-c:a', 'aac', '-ar', '48000', '-b:a', '64k']);
    make(folder, 'opus', PART, [...SMALL, '-c:a', 'libopus', '-ar', '48000', '-b:a', '64k']);
    make(folder, 'flac', PART, [...LARGE, '-c:a', 'flac', '-ar', '48000']);
    make(folder, 'low-ts', PART, [...SMALL, ...AAC], true);
    make(folder, 'high-ts', PART, [...LARGE, '-c:a', 'aac', '-ar', '48000', '-b:a', '64k'], true);
    make(folder, 'mp3-ts', PART, [...SMALL, '-c:a', 'libmp3lame', '-ar', '44100', '-b:a', '64k'], true);
    const files = filesIn(folder);
    const join = (...parts) => playlist(parts.map((part) => segments(folder, part)).join('\n#EXT-X-DISCONTINUITY\n'));
    const film = segments(folder, 'film');
    const made = {
      '/picture.m3u8': join('low', 'high', 'low'),
      '/picture-ts.m3u8': join('low-ts', 'high-ts', 'low-ts'),
      '/sound.m3u8': join('low', 'opus', 'flac', 'low'),
      '/sound-ts.m3u8': join('low-ts', 'mp3-ts', 'high-ts'),
      '/missing.m3u8': playlist(film.replace('film-2.m4s', 'nowhere-2.m4s')),
      '/gap.m3u8': playlist(film.replace(/(#EXTINF:[\d.]+,\nfilm-2\.m4s)/, '#EXT-X-GAP\n$1')),
      '/whole.m3u8': playlist(film),
      '/missing-once.m3u8': master(['/whole.m3u8', '/missing.m3u8']),
      '/gap-once.m3u8': master(['/whole.m3u8', '/gap.m3u8']),
    };
    const routes = Object.entries(made).map(([url, body]) => [url, { body }]);
    [stage, demo] = await Promise.all([startStage({ ...files, ...Object.fromEntries(routes) }), startDemo()]);
  });
  after(async () => {
    await stage?.stop();
    await demo?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
    describe(`in ${name}`, () => {
      let browser;
      before(async () => {
        browser = await launch();
      });
      after(async () => {
        await browser?.close();
      });

      /** Plays a stream to its end, and says what was seen; and whether the browser can do what it `needs`. */
      async function watch(url, needs = null) {
        const viewer = await openViewer(browser, demo, { src: `${stage.url}${url}`, trackers: '' });
        await viewer.until('it plays', (state) => state.position > 0.3, { seconds: 30 });
        await viewer.with((element) => {
          window.heights = new Set();
          window.watch = setInterval(() => window.heights.add(element.videoHeight), 50);
          element.playbackRate = 2;
        });
        const end = await viewer.until('it is at its end', (state) => state.ended || state.error, { seconds: 40 });
        const heights = await viewer.with(() => [...window.heights].sort((a, b) => a - b));
        const trace = end.stats.trace.map(({ cause, action }) => `${cause}: ${action}`);
        const can = needs === null || await viewer.page.evaluate((type) => MediaSource.isTypeSupported(type), needs);
        await viewer.close();
        return { end, heights, trace, can };
      }

      for (const [what, url, parts, needs] of [
        ['profile, size and sample rate, in fragmented MP4', '/picture.m3u8', 3, null],
        ['profile, size and sample rate, in MPEG-2 TS', '/picture-ts.m3u8', 3, null],
        ['the codec of the sound, in fragmented MP4', '/sound.m3u8', 4, null],
        ['the codec of the sound, in MPEG-2 TS', '/sound-ts.m3u8', 3, 'video/mp4; codecs="avc1.42c01e,mp3"'],
      ]) {
        test(`what changes at a discontinuity is played: ${what}`, { timeout: 90_000 }, async (t) => {
          const { end, heights, can } = await watch(url, needs);
          if (!can) {
            assert.equal(end.error?.name, 'unplayable-codecs', inWords(end));
            t.diagnostic(`refused: ${end.error.message}`);
            return;
          }
          assert.deepEqual([end.error, end.warnings], [null, []], inWords(end));
          assert.deepEqual(heights, [180, 360], inWords(end));
          assert.ok(Math.abs(end.position - parts * PART) < 0.6, inWords(end));
          assert.ok(end.frames > parts * PART * 24 * 0.3, inWords(end));
          assert.equal(end.stats.rebuffers, 0, inWords(end));
        });
      }

      test('a segment that the server does not have is left out and named; one that another quality has is not missed', { timeout: 90_000 }, async () => {
        const [missing, once] = await Promise.all(['/missing.m3u8', '/missing-once.m3u8'].map(watch));
        assert.deepEqual([missing.end.error, missing.end.warnings], [null, ['segment-lost']], inWords(missing));
        assert.ok(missing.trace.includes('segment-missing: skip'), inWords(missing));
        assert.ok(Math.abs(missing.end.position - FILM) < 0.3, inWords(missing));
        assert.deepEqual([once.end.error, once.end.warnings], [null, []], inWords(once));
        assert.ok(once.trace.includes('segment-missing: switch-variant'), inWords(once));
        assert.equal(once.end.stats.rebuffers, 0, inWords(once));
      });

      test('a declared gap is jumped, or filled with what another quality has', { timeout: 60_000 }, async () => {
        const [gap, once] = await Promise.all(['/gap.m3u8', '/gap-once.m3u8'].map(watch));
        assert.deepEqual([gap.end.error, gap.end.warnings], [null, []], inWords(gap));
        assert.deepEqual(gap.trace.slice(0, 2), ['declared-gap: skip', 'hole: jump'], inWords(gap));
        assert.deepEqual([once.end.error, once.end.warnings], [null, []], inWords(once));
        assert.ok(once.trace.includes('declared-gap: switch-variant'), inWords(once));
        assert.equal(once.end.stats.rebuffers, 0, inWords(once));
      });

      test('a segment that a broadcast names before the server has it is asked for again, and not missed', { timeout: 90_000 }, async () => {
        const live = broadcast(folder, `live-${name}`);
        Object.assign(stage.routes, live.routes);
        const viewer = await openViewer(browser, demo, { src: `${stage.url}/live-${name}.m3u8`, trackers: '' });
        // Segment 7 is from 14 s to 16 s.
        const state = await viewer.until('it is over', ({ position }) => position > 16.5, { seconds: 50 });
        assert.equal(live.refused.length, 2, 'it was refused before it came');
        assert.deepEqual([state.error, state.warnings], [null, []], inWords(state));
        assert.deepEqual(state.meter.interruptions, [], inWords(state));
        assert.deepEqual(state.stats.trace.filter(({ action }) => action === 'skip' || action === 'jump'), [], inWords(state));
        await viewer.close();
      });
    });
  }
});
