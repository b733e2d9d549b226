// Streams with text in them: ffmpeg makes pictures and WebVTT, the rest is written here by the book.

import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export const LENGTH = 12;
const FPS = 24;
const LIVE_LENGTH = 30;
const TTML = '<tt xmlns="http://www.w3.org/ns/ttml" xmlns:tts="http://www.w3.org/ns/ttml#styling"><head><layout><region xml:id="r" tts:origin="10% 10%" '
  + 'tts:extent="80% 20%"/></layout></head><body><div>BODY</div></body></tt>';

function ffmpeg(folder, args) {
  execFileSync('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-y', ...args], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
}

/**
 * Writes `all.m3u8` (fragmented MP4 with everything declared) and `found.m3u8` (MPEG-2 TS with captions that nobody declares, and subtitles by ffmpeg).
 * `caption` is what CEA-608 says: at most 32 characters, an even number.
 */
export function makeTextStreams(folder, { caption = 'CAPTION ONE ' } = {}) {
  const file = (name) => path.join(folder, name);
  ffmpeg(folder, ['-f', 'lavfi', '-i', `color=c=black:s=640x360:r=${FPS}:d=${LENGTH}`, '-c:v', 'libx264', '-preset', 'veryfast', '-bf', '0', '-g', '48',
    '-keyint_min', '48', '-pix_fmt', 'yuv420p', '-f', 'h264', 'plain.h264']);
  writeFileSync(file('captions.h264'), withCaptions(readFileSync(file('plain.h264')), caption));
  const video = ['-framerate', String(FPS), '-f', 'h264', '-i', 'captions.h264', '-c', 'copy', '-f', 'hls', '-hls_time', '4', '-hls_playlist_type', 'vod'];
  ffmpeg(folder, [...video, '-hls_segment_type', 'fmp4', '-hls_fmp4_init_filename', 'init.mp4', '-hls_segment_filename', 'v%d.m4s', 'v.m3u8']);
  ffmpeg(folder, [...video, '-hls_segment_filename', 'v%d.ts', 'ts.m3u8']);
  writeFileSync(file('en.m3u8'), mediaPlaylist(['en0.vtt', 'en1.vtt', 'en2.vtt']));
  for (const [n, body] of [[0, '00:01.000 --> 00:03.000\nHello from WebVTT'], [1, '00:05.000 --> 00:09.000\nacross a segment'], [2, '00:05.000 --> 00:09.000\nacross a segment']]) {
    writeFileSync(file(`en${n}.vtt`), `WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\n${body}\n`);
  }
  // Segments as ffmpeg makes them: without a timestamp map, beside a video whose clock begins at 1.4 s.
  writeFileSync(file('en.srt'), '1\n00:00:01,000 --> 00:00:03,000\nHello from ffmpeg\n\n2\n00:00:06,000 --> 00:00:07,000\nlater\n\n');
  ffmpeg(folder, ['-i', 'ts.m3u8', '-i', 'en.srt', '-map', '0:v', '-map', '1:s', '-c:v', 'copy', '-c:s', 'webvtt', '-f', 'hls', '-hls_time', '4',
    '-hls_playlist_type', 'vod', '-var_stream_map', 'v:0,s:0,sgroup:subs,language:en', '-master_pl_name', 'made.m3u8', '-hls_segment_filename', 'ff%v_%d.ts', 'ff%v.m3u8']);
  writeFileSync(file('forced.vtt'), 'WEBVTT\n\n00:02.000 --> 00:04.000\nSIGN\n');
  writeFileSync(file('forced.m3u8'), `#EXTM3U\n#EXT-X-TARGETDURATION:${LENGTH}\n#EXTINF:${LENGTH},\nforced.vtt\n#EXT-X-ENDLIST\n`);
  writeFileSync(file('de-init.mp4'), textInit('stpp'));
  [0, 1, 2].forEach((n) => {
    const body = n === 0 ? '<p region="r" begin="1s" end="3.5s">Hallo aus <span tts:color="yellow">IMSC</span></p>' : '';
    writeFileSync(file(`de${n}.m4s`), fragment(n * 4000, 4000, Buffer.from(TTML.replace('BODY', body))));
  });
  writeFileSync(file('de.m3u8'), mediaPlaylist(['de0.m4s', 'de1.m4s', 'de2.m4s']).replace('#EXTINF', '#EXT-X-MAP:URI="de-init.mp4"\n#EXTINF'));
  // Events in the media, date ranges in the playlist.
  const id3 = Buffer.from('ID3\x04\0\0\0\0\0\x0cTIT2\0\0\0\x02\0\0\x03a', 'latin1');
  const segment = readFileSync(file('v0.m4s'));
  writeFileSync(file('v0.m4s'), Buffer.concat([event('https://aomedia.org/emsg/ID3', 2000, id3), event('urn:example', 3000, Buffer.from([1, 2, 3])), segment]));
  const dated = '#EXT-X-PROGRAM-DATE-TIME:2030-01-01T00:00:00Z\n#EXT-X-DATERANGE:ID="ad",CLASS="break",START-DATE="2030-01-01T00:00:04Z",DURATION=3,X-NOTE="n"\n#EXTINF';
  writeFileSync(file('v.m3u8'), readFileSync(file('v.m3u8'), 'utf8').replace('#EXTINF', dated));
  writeFileSync(file('chapters.json'), JSON.stringify([
    { 'start-time': 0, duration: 5, titles: [{ language: 'zz', title: 'no' }, { language: 'en', title: 'Intro' }] },
    { 'start-time': 5, titles: [{ language: 'en', title: 'Rest' }] },
  ]));
  ffmpeg(folder, ['-f', 'lavfi', '-i', `testsrc2=s=160x90:r=1:d=${LENGTH}`, '-vf', 'tile=3x4', '-frames:v', '1', 'tiles.jpg']);
  writeFileSync(file('images.m3u8'), `#EXTM3U\n#EXT-X-TARGETDURATION:${LENGTH}\n#EXT-X-IMAGES-ONLY\n#EXT-X-TILES:RESOLUTION=160x90,LAYOUT=3x4,DURATION=1\n#EXTINF:${LENGTH},\ntiles.jpg\n#EXT-X-ENDLIST\n`);
  writeFileSync(file('iframes.m3u8'), mediaPlaylist(['v0.m4s', 'v1.m4s', 'v2.m4s']).replace('#EXTINF', '#EXT-X-I-FRAMES-ONLY\n#EXT-X-MAP:URI="init.mp4"\n#EXTINF'));
  const subtitles = (name, language, uri, more) => `#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="${name}",LANGUAGE="${language}",URI="${uri}"${more}\n`;
  writeFileSync(file('all.m3u8'), '#EXTM3U\n'
    + subtitles('English', 'en', 'en.m3u8', ',DEFAULT=YES,AUTOSELECT=YES') + subtitles('Deutsch', 'de', 'de.m3u8', '')
    + subtitles('Signs', 'en', 'forced.m3u8', ',AUTOSELECT=YES,FORCED=YES')
    + '#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="c",NAME="Captions",LANGUAGE="en",INSTREAM-ID="CC1"\n'
    + '#EXT-X-SESSION-DATA:DATA-ID="com.apple.hls.chapters",URI="chapters.json"\n#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=1000,CODECS="jpeg",RESOLUTION=160x90,URI="images.m3u8"\n'
    + '#EXT-X-STREAM-INF:BANDWIDTH=300000,CODECS="avc1.64001e",SUBTITLES="s",CLOSED-CAPTIONS="c"\nv.m3u8\n');
  writeFileSync(file('found.m3u8'), '#EXTM3U\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="ffmpeg",URI="ff0_vtt.m3u8"\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1000,CODECS="avc1.64001e",URI="iframes.m3u8"\n'
    + '#EXT-X-STREAM-INF:BANDWIDTH=300000,CODECS="avc1.64001e",SUBTITLES="s"\nts.m3u8\n');
}

/** Routes of `live.m3u8`, a channel of 1 s segments whose window of 6 s moves on from its first request; each second has a subtitle. */
export function liveRoutes(folder) {
  ffmpeg(folder, ['-f', 'lavfi', '-i', `color=c=black:s=320x180:r=${FPS}:d=${LIVE_LENGTH}`, '-c:v', 'libx264', '-preset', 'veryfast', '-bf', '0', '-g', '24',
    '-keyint_min', '24', '-pix_fmt', 'yuv420p', '-f', 'hls', '-hls_time', '1', '-hls_list_size', '0', '-hls_segment_filename', 'l%d.ts', 'l.m3u8']);
  let begun = null;
  const playlist = (name) => (request, response) => {
    begun ??= Date.now();
    const first = Math.min(Math.floor((Date.now() - begun) / 1000), LIVE_LENGTH - 6);
    const segments = Array.from({ length: 6 }, (_, n) => `#EXTINF:1,\n${name(first + n)}\n`).join('');
    response.writeHead(200, { 'content-type': 'application/vnd.apple.mpegurl' }).end(`#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:${first}\n${segments}`);
  };
  return {
    '/live.m3u8': '#EXTM3U\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="Live",DEFAULT=YES,AUTOSELECT=YES,URI="live-text.m3u8"\n'
      + '#EXT-X-STREAM-INF:BANDWIDTH=100000,CODECS="avc1.64000d",SUBTITLES="s"\nlive-video.m3u8\n',
    '/live-video.m3u8': playlist((n) => `l${n}.ts`),
    '/live-text.m3u8': playlist((n) => `l${n}.vtt`),
    // By the clock of ffmpeg's transport streams, which begins at 1.4 s.
    ...Object.fromEntries(Array.from({ length: LIVE_LENGTH }, (_, n) => [`/l${n}.vtt`, 'WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:126000\n\n'
      + `00:00:${String(n).padStart(2, '0')}.100 --> 00:00:${String(n).padStart(2, '0')}.900\nsecond ${n}\n`])),
  };
}

/** Everything in a folder, as routes of a stage. */
export function routesOf(folder, prefix = '/') {
  return Object.fromEntries(readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile())
    .map(({ name }) => [`${prefix}${name}`, { body: readFileSync(path.join(folder, name)) }]));
}

function mediaPlaylist(uris) {
  return `#EXTM3U\n#EXT-X-TARGETDURATION:4\n${uris.map((uri) => `#EXTINF:4,\n${uri}\n`).join('')}#EXT-X-ENDLIST\n`;
}

/** Puts CEA-608 into each picture of an Annex B stream: a caption from 2 s to 5 s, on channel 1. */
function withCaptions(stream, caption) {
  const pairs = new Map();
  const at = (frame, list) => list.forEach((pair, n) => pairs.set(frame + n, pair));
  const text = Buffer.from(caption);
  // Resume caption loading, erase what is not displayed, row 15; twice each, as line 21 has it.
  at(20, [[0x14, 0x20], [0x14, 0x20], [0x14, 0x2e], [0x14, 0x2e], [0x14, 0x70], [0x14, 0x70], ...Array.from({ length: text.length / 2 }, (_, n) => [...text.subarray(2 * n, 2 * n + 2)])]);
  at(2 * FPS, [[0x14, 0x2f], [0x14, 0x2f]]);
  at(5 * FPS, [[0x14, 0x2c], [0x14, 0x2c]]);
  const parts = [];
  let frame = 0;
  for (const unit of units(stream)) {
    const type = unit[0] & 0x1f;
    if (type === 1 || type === 5) {
      parts.push(Buffer.from([0, 0, 0, 1]), sei(pairs.get(frame) ?? [0, 0]));
      frame += 1;
    }
    parts.push(Buffer.from([0, 0, 0, 1]), unit);
  }
  return Buffer.concat(parts);
}

function* units(stream) {
  const starts = [];
  for (let at = stream.indexOf('000001', 0, 'hex'); at >= 0; at = stream.indexOf('000001', at + 3, 'hex')) starts.push(at);
  for (const [n, start] of starts.entries()) {
    let end = starts[n + 1] ?? stream.length;
    while (end > start + 3 && stream[end - 1] === 0) end -= 1;
    yield stream.subarray(start + 3, end);
  }
}

function sei(pair) {
  const odd = (byte) => (byte.toString(2).replaceAll('0', '').length % 2 === 0 ? byte | 0x80 : byte);
  const message = [0xb5, 0, 0x31, ...Buffer.from('GA94'), 3, 0x41, 0xff, 0xfc, odd(pair[0]), odd(pair[1]), 0xff];
  return Buffer.from([6, 4, message.length, ...message, 0x80]);
}

function box(type, ...parts) {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, body]);
}

function words(...numbers) {
  const out = Buffer.alloc(numbers.length * 4);
  numbers.forEach((number, n) => out.writeUInt32BE(number >>> 0, n * 4));
  return out;
}

/** An init section with one text track of 1,000 ticks a second. */
function textInit(codec) {
  const entry = box(codec, Buffer.alloc(6), [0, 1], 'http://www.w3.org/ns/ttml\0\0\0');
  const table = box('stbl', box('stsd', words(0, 1), entry), box('stts', words(0, 0)), box('stsc', words(0, 0)), box('stsz', words(0, 0, 0)), box('stco', words(0, 0)));
  const media = box('mdia', box('mdhd', words(0, 0, 0, 1000, 0, 0x55c40000)), box('hdlr', words(0, 0), 'subt', Buffer.alloc(13)), box('minf', table));
  const track = box('trak', box('tkhd', words(3, 0, 0, 1, 0, 0), Buffer.alloc(60)), media);
  return Buffer.concat([box('ftyp', 'iso5', words(0)), box('moov', track, box('mvex', box('trex', words(0, 1, 1, 0, 0, 0))))]);
}

/** A fragment of one sample. */
function fragment(time, duration, data) {
  const make = (offset) => box('moof', box('mfhd', words(0, 1)), box('traf', box('tfhd', words(0x20000, 1)), box('tfdt', words(0, time)),
    box('trun', words(0x301, 1, offset, duration, data.length))));
  return Buffer.concat([make(make(0).length + 8), box('mdat', data)]);
}

/** An event message of half a second at `time` ms. */
function event(scheme, time, data) {
  return box('emsg', words(0x01000000, 1000, 0, time, 500, 1), `${scheme}\0\0`, data);
}
