// Streams of the field, where the folder with them is beside the project: each plays to its end, or is refused by name.

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { openViewer } from './lib/viewer.mjs';

const fixtures = fileURLToPath(new URL('../../../shared/fixtures/hls', import.meta.url));
const HEVC = 'video/mp4; codecs="hvc1.2.4.L123.B0"';

/** Playlists by folder. `refused`: by this code, unless the browser has what it `needs`; `sound`: it has no pictures; `begins`: by then both are there. */
const STREAMS = [
  { src: 'hls-aes-256/media.m3u8' },
  { src: 'hls-gap/playlist.m3u8' },
  { src: 'hls-iframe-only/media.m3u8', refused: 'unsupported-container' },
  // Its edit lists begin with empty edits, without which sound and pictures are 0.9 s apart.
  { src: 'hls-mp4-muxed-aac-h264/hls.m3u8', begins: 0.02 },
  { src: 'hls-muxed-mp4-ts/master.m3u8' },
  { src: 'hls-raw-aac/manifest.m3u8', sound: true },
  { src: 'hls-raw-mp3/playlist.m3u8', sound: true },
  { src: 'hls-raw-mp3/playlist-no-codecs.m3u8', sound: true },
  { src: 'hls-sample-aes/index.m3u8' },
  { src: 'hls-text-no-discontinuity/index.m3u8' },
  { src: 'hls-text-offset/index.m3u8' },
  { src: 'hls-ts-aac/playlist.m3u8', sound: true },
  { src: 'hls-ts-audio-muxed-in-video/master.m3u8' },
  { src: 'hls-ts-b-frames/index.m3u8' },
  { src: 'hls-ts-h265/hevc.m3u8', needs: HEVC, refused: 'unplayable-codecs' },
  { src: 'hls-ts-mp3/manifest.m3u8', sound: true },
  { src: 'hls-ts-muxed-aac-h264/playlist.m3u8' },
  { src: 'hls-ts-muxed-aac-h264-with-overflow-nalus/media.m3u8' },
  { src: 'hls-ts-muxed-aac-h264-with-overflow-samples/media.m3u8' },
  { src: 'hls-ts-muxed-aac-h265/media.m3u8', needs: HEVC, refused: 'unplayable-codecs' },
  { src: 'hls-ts-raw-aac/index.m3u8', sound: true },
  { src: 'hls-ts-rollover/playlist.m3u8' },
];

const skip = existsSync(fixtures) ? false : 'there is no ../shared/fixtures/hls beside the project';

describe('streams of the field', { skip }, () => {
  let folder;
  let demo;
  const table = [];
  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'potluck-fixtures-'));
    // A folder to serve has a playlist in it.
    writeFileSync(path.join(folder, 'index.m3u8'), '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhls/hls-ts-aac/playlist.m3u8\n');
    cpSync(fixtures, path.join(folder, 'hls'), { recursive: true });
    demo = await startDemo({ media: folder });
  });
  after(async () => {
    await demo?.stop();
    rmSync(folder, { recursive: true, force: true });
    console.log(table.map((row) => row.join(': ')).join('\n'));
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

      for (const { src, sound = false, needs = null, refused = null, begins = null } of STREAMS) {
        test(src, { timeout: 90_000 }, async () => {
          const viewer = await openViewer(browser, demo, { src: `${demo.url}/media/title/hls/${src}`, trackers: '' });
          const plays = ({ position, frames, ended }) => (position > 0.2 || ended) && (sound || frames > 0);
          const state = await viewer.until('it plays or is refused', (now) => now.error !== null || plays(now), { seconds: 40 });
          const can = needs === null ? refused === null : await viewer.page.evaluate((type) => MediaSource.isTypeSupported(type), needs);
          if (can) {
            assert.equal(state.error, null, inWords(state));
            if (begins !== null) assert.ok(state.buffered[0][0] < begins, inWords(state));
            await viewer.with((element) => {
              if (Number.isFinite(element.duration)) element.currentTime = Math.max(0, element.duration - 1);
            });
            if (state.duration !== null) {
              const end = await viewer.until('it is at its end', (now) => now.error !== null || now.ended, { seconds: 30 });
              assert.equal(end.error, null, inWords(end));
            }
            table.push([name, src, 'plays']);
          } else {
            assert.equal(state.error?.name, refused, inWords(state));
            table.push([name, src, `refused: ${state.error.name}`]);
          }
          await viewer.close();
        });
      }
    });
  }
});
