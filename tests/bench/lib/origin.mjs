// The origin and the tracker of one swarm: a process of its own, so that it can live in a network namespace of its own.
//
// Started by swarm.mjs with options in its argument; tells its parent where it listens, and answers `counts`.

import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import Tracker from 'bittorrent-tracker/server';
import { PAGE_ROOTS, fileAt, typeOf } from './static.mjs';

/** Bytes that are written at once; each write of a limited origin waits for its turn. */
const SLICE = 16 * 1024;
/** A limited origin may send so much at once after having been idle, in milliseconds of its rate. */
const BURST_MS = 50;

const options = JSON.parse(process.argv[2]);
const film = JSON.parse(readFileSync(path.join(options.film, 'film.json'), 'utf8'));

/** When the channel began, in milliseconds of this machine's clock; null before that. */
let began = null;
const started = performance.now();
/** By segment: `{ requests, bytes, size, publishedMs }`. */
const segments = new Map(film.segments.map(({ name, size }) => [name, { requests: 0, bytes: 0, size }]));
let playlistRequests = 0;

const line = options.limitMbps ? limited(options.limitMbps) : null;
const origin = createServer((request, response) => {
  answer(request, response).catch((error) => response.destroy(error));
});
const tracker = new Tracker({ http: false, udp: false, ws: true, stats: false, trustProxy: false });
// A malformed message is the sender's trouble; it must not end the run.
tracker.on('error', (error) => process.stderr.write(`tracker: ${error.message}\n`));
tracker.on('warning', () => {});

origin.listen(options.port, '0.0.0.0', () => {
  tracker.listen(options.port + 1, '0.0.0.0', () => process.send({ ready: true }));
});
process.on('message', (message) => {
  if (message.begin) {
    began = message.begin;
  } else if (message.counts) {
    process.send({ counts: { seconds: (performance.now() - started) / 1000, playlistRequests, segments: counted() } });
  }
});
process.on('disconnect', () => process.exit(0));

async function answer(request, response) {
  const { pathname } = new URL(request.url, 'http://origin');
  response.setHeader('access-control-allow-origin', '*');
  response.setHeader('access-control-allow-headers', '*');
  response.setHeader('access-control-expose-headers', '*');
  response.setHeader('cache-control', 'no-store');
  if (request.method === 'OPTIONS') return response.writeHead(204).end();
  if (pathname === '/media/live.m3u8') {
    playlistRequests += 1;
    response.setHeader('content-type', typeOf(pathname));
    return response.end(livePlaylist());
  }
  if (pathname.startsWith('/media/') && pathname.endsWith('.m3u8')) playlistRequests += 1;
  const body = await fileAt({ ...PAGE_ROOTS, '/media/': options.film }, pathname);
  if (!body) return response.writeHead(404).end();
  response.setHeader('content-type', typeOf(pathname));
  response.setHeader('accept-ranges', 'bytes');
  const part = range(request.headers.range, body.length);
  const bytes = part ? body.subarray(part.from, part.to) : body;
  if (part) response.setHeader('content-range', `bytes ${part.from}-${part.to - 1}/${body.length}`);
  response.writeHead(part ? 206 : 200, { 'content-length': bytes.length });
  const segment = segments.get(path.basename(pathname));
  if (segment) segment.requests += 1;
  await send(response, bytes, segment);
}

/** Sends slice by slice, and counts what went out: a request that is broken off counts for what it got. */
async function send(response, bytes, segment) {
  for (let at = 0; at < bytes.length; at += SLICE) {
    const slice = bytes.subarray(at, at + SLICE);
    if (segment && line) await line(slice.length);
    if (response.destroyed) return;
    if (segment) segment.bytes += slice.length;
    if (!response.write(slice)) await writable(response);
  }
  response.end();
}

/** Until the connection takes more, or is gone. */
async function writable(response) {
  await new Promise((resolve) => {
    const go = () => {
      response.off('drain', go);
      response.off('close', go);
      resolve();
    };
    response.on('drain', go);
    response.on('close', go);
  });
}

/** A line of `mbps` for all media together. Whoever waits longest comes next, so the responses share it evenly. */
function limited(mbps) {
  const perMs = (mbps * 1e6) / 8 / 1000;
  const waiting = [];
  let credit = 0;
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    credit = Math.min(credit + (now - last) * perMs, BURST_MS * perMs);
    last = now;
    while (credit > 0 && waiting.length > 0) {
      const { bytes, go } = waiting.shift();
      credit -= bytes;
      go();
    }
  }, 5);
  return (bytes) => new Promise((go) => {
    waiting.push({ bytes, go });
  });
}

/** The newest segments whose last frame has been "filmed"; the channel starts with a full window. */
function livePlaylist() {
  const live = began === null ? 0 : Math.floor((Date.now() - began) / 1000 / film.segmentSeconds);
  const end = Math.min(film.segments.length, options.window + live);
  const first = Math.max(0, end - options.window);
  const lines = ['#EXTM3U', '#EXT-X-VERSION:7', `#EXT-X-TARGETDURATION:${film.segmentSeconds}`, `#EXT-X-MEDIA-SEQUENCE:${first}`, '#EXT-X-MAP:URI="init.mp4"'];
  film.segments.slice(first, end).forEach(({ name, duration }, n) => {
    const filmed = (began ?? Date.now()) + (first + n - options.window) * film.segmentSeconds * 1000;
    lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(filmed).toISOString()}`, `#EXTINF:${duration},`, name);
  });
  if (end === film.segments.length) lines.push('#EXT-X-ENDLIST');
  return `${lines.join('\n')}\n`;
}

function counted() {
  return film.segments.map(({ name }, n) => {
    const { requests, bytes, size } = segments.get(name);
    // Milliseconds after the beginning of the channel; what was there at the start is before it.
    const publishedMs = (n + 1 - options.window) * film.segmentSeconds * 1000;
    return { name, requests, bytes, size, publishedMs };
  });
}

function range(header, size) {
  const found = /^bytes=(\d+)-(\d*)$/.exec(header ?? '');
  if (!found) return null;
  const from = Math.min(Number(found[1]), size);
  const to = found[2] === '' ? size : Math.min(Number(found[2]) + 1, size);
  return from < to ? { from, to } : null;
}
