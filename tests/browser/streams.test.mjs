// Streams of other makes than the demo's own: MPEG-2 TS, encrypted segments, raw audio, alternate audio. ffmpeg makes them here.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { filesIn, startStage } from './lib/stage.mjs';
import { openViewer } from './lib/viewer.mjs';

const LENGTH = 12;
const SOURCES = ['-f', 'lavfi', '-i', `testsrc2=s=320x180:r=24:d=${LENGTH}`, '-f', 'lavfi', '-i', `sine=f=440:d=${LENGTH}`, '-f', 'lavfi', '-i', `sine=f=880:d=${LENGTH}`];
const VIDEO = ['-c:v', 'libx264', '-preset', 'veryfast', '-b:v', '300k', '-g', '48', '-keyint_min', '48', '-sc_threshold', '0', '-pix_fmt', 'yuv420p'];
const AUDIO = ['-c:a', 'aac', '-b:a', '64k'];
const HLS = ['-f', 'hls', '-hls_time', '4', '-hls_playlist_type', 'vod'];

function ffmpeg(folder, args) {
  execFileSync('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-y', ...SOURCES, ...args], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
}

function make(folder) {
  const av = ['-map', '0:v', '-map', '1:a', ...VIDEO, ...AUDIO, ...HLS];
  ffmpeg(folder, [...av, '-hls_segment_filename', 'ts%d.ts', 'ts.m3u8']);
  // Half a megabyte or more in each segment.
  ffmpeg(folder, [...av, '-b:v', '1500k', '-minrate', '1500k', '-maxrate', '1500k', '-bufsize', '300k', '-x264-params', 'nal-hrd=cbr', '-hls_segment_filename', 'slow%d.ts', 'slow.m3u8']);
  // Timestamps that pass the end of the 33-bit clock in the middle (ISO/IEC 13818-1 §2.4.3.7).
  ffmpeg(folder, [...av, '-output_ts_offset', String(2 ** 33 / 90_000 - 6), '-hls_segment_filename', 'wrap%d.ts', 'wrap.m3u8']);
  writeFileSync(path.join(folder, 'key.bin'), randomBytes(16));
  writeFileSync(path.join(folder, 'key.info'), 'key.bin\nkey.bin\n');
  ffmpeg(folder, [...av, '-hls_key_info_file', 'key.info', '-hls_segment_filename', 'aes%d.ts', 'aes.m3u8']);
  ffmpeg(folder, ['-map', '1:a', ...AUDIO, '-f', 'segment', '-segment_time', '4', '-segment_format', 'adts', '-segment_list', 'aac.m3u8', '-segment_list_type', 'm3u8', 'aac%d.aac']);
  // An init section whose edit list begins with an empty edit: its sound begins later than its pictures.
  ffmpeg(folder, [...av, '-af', 'asetpts=PTS+0.4/TB', '-hls_segment_type', 'fmp4', '-hls_segment_options', 'movflags=+delay_moov',
    '-hls_fmp4_init_filename', 'late.mp4', '-hls_segment_filename', 'late%d.m4s', 'late.m3u8']);
  ffmpeg(folder, ['-map', '0:v', '-map', '1:a', '-map', '2:a', ...VIDEO, ...AUDIO, ...HLS, '-hls_segment_type', 'fmp4',
    '-var_stream_map', 'v:0,agroup:a a:0,agroup:a,language:en,default:yes a:1,agroup:a,language:de', '-master_pl_name', 'alternate.m3u8',
    '-hls_fmp4_init_filename', 'init%v.mp4', '-hls_segment_filename', 'alt%v_%d.m4s', 'alt%v.m3u8']);
}

describe('streams of other makes', () => {
  let folder;
  let stage;
  let demo;
  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'potluck-streams-'));
    make(folder);
    const routes = filesIn(folder);
    [stage, demo] = await Promise.all([startStage(routes), startDemo()]);
  });
  after(async () => {
    await stage?.stop();
    await demo?.stop();
    rmSync(folder, { recursive: true, force: true });
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

      for (const [what, playlist, pictures] of [
        ['MPEG-2 TS', 'ts.m3u8', true],
        ['MPEG-2 TS whose clock starts anew', 'wrap.m3u8', true],
        ['MPEG-2 TS encrypted with AES-128', 'aes.m3u8', true],
        ['raw AAC', 'aac.m3u8', false],
      ]) {
        test(`${what} plays to its end, and again after a seek back`, { timeout: 60_000 }, async () => {
          const viewer = await openViewer(browser, demo, { src: `${stage.url}/${playlist}`, trackers: '' });
          await viewer.until('it plays', (state) => state.position > 1 && state.readyState >= 3, { seconds: 30 });
          await viewer.with((element) => {
            element.playbackRate = 3;
          });
          const end = await viewer.until('it is at its end', (state) => state.ended, { seconds: 30 });
          assert.ok(Math.abs(end.position - LENGTH) < 0.3, inWords(end));
          assert.ok(!pictures || end.frames > 24 * LENGTH * 0.4, inWords(end));
          assert.deepEqual([end.error, end.meter.interruptions], [null, []], inWords(end));
          await viewer.with(async (element) => {
            element.currentTime = 2;
            await element.play();
          });
          await viewer.until('it plays again', (state) => state.position > 3 && state.position < 8 && !state.ended, { seconds: 15 });
          assert.deepEqual(viewer.problems, []);
          await viewer.close();
        });
      }

      test('MPEG-2 TS is shown while its first segment still arrives', { timeout: 60_000 }, async () => {
        const body = readFileSync(path.join(folder, 'slow0.ts'));
        const pieces = 40;
        let sent = 0;
        stage.routes['/slow0.ts'] = async (request, response) => {
          response.writeHead(200, { 'content-type': 'video/mp2t', 'content-length': body.length });
          for (let piece = 0; piece < pieces && !response.destroyed; piece++) {
            response.write(body.subarray(Math.floor(piece * body.length / pieces), Math.floor((piece + 1) * body.length / pieces)));
            sent = piece + 1;
            await sleep(250);
          }
          response.end();
        };
        const viewer = await openViewer(browser, demo, { src: `${stage.url}/slow.m3u8`, trackers: '' });
        const state = await viewer.until('its first picture is there', ({ readyState }) => readyState >= 2, { seconds: 30 });
        assert.ok(sent > 1 && sent < pieces, `${sent} of ${pieces} pieces were sent: ${inWords(state)}`);
        await viewer.close();
      });

      test('sound that an edit list delays stays as far behind the pictures', { timeout: 60_000 }, async () => {
        assert.ok(readFileSync(path.join(folder, 'late.mp4')).includes(Buffer.from('ffffffff', 'hex')), 'there is an empty edit');
        // The second segment comes when it has been seen how far the first goes: both tracks end at 4 s if they are together.
        let release = null;
        const seen = new Promise((resolve) => {
          release = resolve;
        });
        stage.routes['/late1.m4s'] = async (_, response) => {
          await seen;
          response.end(readFileSync(path.join(folder, 'late1.m4s')));
        };
        const viewer = await openViewer(browser, demo, { src: `${stage.url}/late.m3u8`, trackers: '' });
        const state = await viewer.until('the first segment is there', ({ position, buffered }) => position > 0.2 && buffered.length > 0, { seconds: 30 });
        release();
        assert.ok(Math.abs(state.buffered.at(-1)[1] - 4) < 0.15, inWords(state));
        const end = await viewer.until('it plays on', ({ position, error }) => position > 4.5 || error !== null, { seconds: 30 });
        assert.equal(end.error, null, inWords(end));
        await viewer.close();
      });

      test('alternate audio is switched without an interruption', { timeout: 60_000 }, async () => {
        const viewer = await openViewer(browser, demo, { src: `${stage.url}/alternate.m3u8`, trackers: '' });
        await viewer.until('it plays', (state) => state.position > 1, { seconds: 30 });
        const tracks = await viewer.with((element) => [...element.audioTracks].map(({ language, enabled }) => [language, enabled]));
        assert.deepEqual(tracks, [['en', true], ['de', false]]);
        const loaded = async () => (await stageRequests(viewer)).filter((url) => /alt2_\d+\.m4s/.test(url)).length;
        assert.equal(await loaded(), 0);
        await viewer.with((element) => {
          [...element.audioTracks][1].enabled = true;
        });
        await viewer.until('the other language is loaded', async () => (await loaded()) > 0, { seconds: 15 });
        const end = await viewer.until('it is at its end', (state) => state.ended, { seconds: 30 });
        assert.deepEqual([end.error, end.meter.interruptions], [null, []], inWords(end));
        await viewer.close();
      });
    });
  }

  /** What the engine's worker has fetched, by its statistics: the segments of each playlist. */
  async function stageRequests(viewer) {
    return await viewer.with((element) => element.stats.segments.map(({ rendition, sequence }) => `alt${rendition}_${sequence}.m4s`));
  }
});
