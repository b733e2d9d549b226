// The film that the swarm watches: the demo's sample, looped, with noise on it so that it weighs what a real film of
// its size does (a clean animation would be a tenth of that). The picture is small, so that several browsers on one
// machine are not busy with decoding.
//
// The top row of the picture carries the time as a binary number, by which a viewer's delay can be seen from outside.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './static.mjs';
import { BITS, CELL, PER_SECOND } from '../pages/clock.mjs';

const RATE = 24;
const SEGMENT_SECONDS = 4;
const GROUP_SECONDS = 2;
const VIDEO_KBPS = 900;
const AUDIO_KBPS = 64;
const WIDTH = 320;
const HEIGHT = 180;

/** The folder with a film of at least `seconds`, made by ffmpeg if it is not there yet. */
export function film(target, seconds) {
  const whole = Math.max(120, Math.ceil(seconds / 60) * 60);
  const folder = path.join(target, 'bench', `film-${whole}s`);
  if (existsSync(path.join(folder, 'film.json'))) return folder;
  const unfinished = `${folder}.part`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  console.log(`    ffmpeg makes a film of ${whole} s (once)`);
  encode(unfinished, whole);
  describe(unfinished);
  renameSync(unfinished, folder);
  return folder;
}

/** What `describe` wrote: `{ segmentSeconds, bitrate, segments: [{ name, size, duration }] }`. */
export function filmIn(folder) {
  return JSON.parse(readFileSync(path.join(folder, 'film.json'), 'utf8'));
}

function encode(folder, seconds) {
  const sample = path.join(ROOT, 'demo/sample/480p');
  const parts = ['init.mp4', ...readdirSync(sample).filter((name) => name.endsWith('.m4s')).sort()];
  const whole = path.join(folder, 'sample.mp4');
  writeFileSync(whole, Buffer.concat(parts.map((name) => readFileSync(path.join(sample, name)))));
  const filters = [`scale=${WIDTH}:${HEIGHT}`, `fps=${RATE}`, `setpts=N/(${RATE}*TB)`, 'noise=alls=20:allf=t', ...clock()];
  const args = [
    '-hide_banner', '-loglevel', 'error', '-y', '-stream_loop', '-1', '-i', whole, '-t', String(seconds), '-vf', filters.join(','),
    '-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-g', String(RATE * GROUP_SECONDS), '-keyint_min', String(RATE * GROUP_SECONDS), '-sc_threshold', '0',
    '-b:v', `${VIDEO_KBPS}k`, '-minrate', `${VIDEO_KBPS}k`, '-maxrate', `${VIDEO_KBPS}k`, '-bufsize', `${VIDEO_KBPS}k`,
    '-c:a', 'aac', '-b:a', `${AUDIO_KBPS}k`, '-ac', '2',
    '-f', 'hls', '-hls_time', String(SEGMENT_SECONDS), '-hls_playlist_type', 'vod', '-hls_segment_type', 'fmp4',
    '-hls_fmp4_init_filename', 'init.mp4', '-hls_segment_filename', path.join(folder, '%03d.m4s'), path.join(folder, 'film.m3u8'),
  ];
  const { status, error } = spawnSync('ffmpeg', args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) throw new Error(`ffmpeg could not be started (${error.message}): apt-get install ffmpeg`);
  if (status !== 0) throw new Error('ffmpeg failed: its messages above say why; it needs libx264');
  rmSync(whole);
}

/** Filters that draw the time: for each bit a cell that is white while it is set, on black. */
function clock() {
  const box = (x, width, colour, enable) => `drawbox=x=${x}:y=0:w=${width}:h=${CELL}:color=${colour}:t=fill${enable}`;
  const bits = Array.from({ length: BITS }, (_, bit) => box(bit * CELL, CELL, 'white', `:enable='mod(floor(t*${PER_SECOND}/${2 ** bit}),2)'`));
  return [box(0, BITS * CELL, 'black', ''), ...bits];
}

/** Writes the multivariant playlists and what the origin has to know about the segments. */
function describe(folder) {
  const lines = readFileSync(path.join(folder, 'film.m3u8'), 'utf8').split('\n');
  const segments = [];
  let duration = '';
  for (const line of lines) {
    const found = /^#EXTINF:([\d.]+)/.exec(line);
    if (found) duration = found[1];
    if (line.endsWith('.m4s')) segments.push({ name: line, duration, size: statSync(path.join(folder, line)).size });
  }
  const bitrate = Math.round(segments.reduce((sum, { size }) => sum + size, 0) * 8 / segments.reduce((sum, segment) => sum + Number(segment.duration), 0));
  const peak = Math.round(Math.max(...segments.map(({ size, duration: length }) => size * 8 / Number(length))));
  for (const [master, media] of [['vod-master.m3u8', 'film.m3u8'], ['live-master.m3u8', 'live.m3u8']]) {
    writeFileSync(path.join(folder, master), [
      '#EXTM3U', '#EXT-X-VERSION:7',
      `#EXT-X-STREAM-INF:BANDWIDTH=${peak},AVERAGE-BANDWIDTH=${bitrate},CODECS="${videoCodec(folder)},mp4a.40.2",RESOLUTION=${WIDTH}x${HEIGHT}`,
      media, '',
    ].join('\n'));
  }
  writeFileSync(path.join(folder, 'film.json'), JSON.stringify({ segmentSeconds: SEGMENT_SECONDS, bitrate, segments }));
}

/** As RFC 6381 has it: profile, constraints and level stand in the avcC box behind its version. */
function videoCodec(folder) {
  const init = readFileSync(path.join(folder, 'init.mp4'));
  const at = init.indexOf('avcC') + 5;
  return `avc1.${init.subarray(at, at + 3).toString('hex')}`;
}
