// What the browser does to the media element: its buffer is full, and the processes that decode and show die.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { filesIn, startStage } from './lib/stage.mjs';
import { openViewer } from './lib/viewer.mjs';

/** Seconds of the film, of which each has about 1 MB: noise. */
const FILM = 16;
/** MiB that fit into the browser's buffer. */
const FITS = 6;

/**
 * Where each browser is told how much fits; which of its processes decodes or shows, by their command lines; and what is warned of when those
 * die. Without a graphics card Chromium decodes in the page's process, Firefox in one of its own.
 */
const BROWSERS = [
  ['Chromium', () => chromium({ args: [`--mse-video-buffer-size-limit-mb=${FITS}`] }), /--type=gpu-process/, []],
  ['Firefox', () => firefox({ prefs: { 'media.mediasource.eviction_threshold.video': FITS << 20 } }), / (rdd|utility)$/, ['decode']],
];

function make(folder) {
  execFileSync('ffmpeg', [
    '-hide_banner', '-loglevel', 'error', '-y', '-f', 'lavfi', '-i', `nullsrc=s=320x180:r=10:d=${FILM},geq=random(1)*255:128:128`,
    '-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '1', '-bf', '0', '-g', '20', '-keyint_min', '20', '-sc_threshold', '0', '-pix_fmt', 'yuv420p',
    '-f', 'hls', '-hls_time', '2', '-hls_playlist_type', 'vod', '-hls_segment_type', 'fmp4', '-hls_segment_filename', 'film-%d.m4s', 'film.m3u8',
  ], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Processes below this one whose command line is like `pattern`, on Linux. */
function processes(above, pattern) {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const [, parent] = /\) \w (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'latin1'));
      return [[Number(name), Number(parent), readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ').trimEnd()]];
    } catch {
      // It has ended.
      return [];
    }
  });
  const below = new Set([above]);
  for (let size = 0; size !== below.size;) {
    size = below.size;
    for (const [pid, parent] of all) if (below.has(parent)) below.add(pid);
  }
  return all.filter(([pid, , args]) => below.has(pid) && pattern.test(args)).map(([pid]) => pid);
}

describe('the media element', () => {
  let folder;
  let size;
  let stage;
  let demo;
  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'potluck-pressure-'));
    make(folder);
    const files = filesIn(folder);
    size = Object.entries(files).filter(([name]) => /\.m(4s|p4)$/.test(name)).reduce((sum, [, { body }]) => sum + body.length, 0);
    [stage, demo] = await Promise.all([startStage(files), startDemo()]);
  });
  after(async () => {
    await stage?.stop();
    await demo?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  for (const [name, launch, decoder, warned] of BROWSERS) {
    describe(`in ${name}`, () => {
      let browser;
      before(async () => {
        browser = await launch();
      });
      after(async () => {
        await browser?.close();
      });

      test('whose buffer is full before the film is holds less, and plays all of it', { timeout: 120_000 }, async (t) => {
        const viewer = await openViewer(browser, demo, { src: `${stage.url}/film.m3u8`, trackers: '' });
        const full = await viewer.until('the buffer is full', ({ stats }) => stats.trace.some(({ cause }) => cause === 'quota'), { seconds: 40 });
        t.diagnostic(`full with ${inWords(full.buffered)} at ${full.position}`);
        assert.ok(full.buffered.at(-1)[1] < FILM, inWords(full));
        const end = await viewer.until('it is at its end', ({ ended, error }) => ended || error, { seconds: 60 });
        assert.deepEqual([end.error, end.warnings, end.stats.rebuffers], [null, [], 0], inWords(end));
        assert.ok(Math.abs(end.position - FILM) < 0.3, inWords(end));
        assert.deepEqual(end.stats.trace.filter(({ cause }) => cause !== 'quota'), [], inWords(end));
        assert.equal(end.stats.httpBytes, size, `not each byte once: ${inWords(end)}`);
        await viewer.close();
      });

      test('whose decoder or screen is gone with its process plays on', { timeout: 120_000, skip: process.platform !== 'linux' }, async (t) => {
        const viewer = await openViewer(browser, demo, { src: demo.vod, trackers: '' });
        const before = await viewer.plays(3, { seconds: 40 });
        const running = () => processes(browser.process().pid, decoder);
        const gone = running();
        assert.ok(gone.length > 0, 'no such process');
        for (const pid of gone) process.kill(pid, 'SIGKILL');
        const after = await viewer.plays(6, { seconds: 60 });
        t.diagnostic(`stood still for ${after.meter.longestGapMs.toFixed(0)} ms at most`);
        assert.deepEqual([after.error, after.warnings], [null, warned], inWords(after));
        assert.ok(after.position > before.position + 5 && after.position < before.position + 30, inWords({ before, after }));
        assert.deepEqual(running().filter((pid) => gone.includes(pid)), []);
        await viewer.close();
      });
    });
  }
});
