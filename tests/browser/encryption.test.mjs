// Encrypted streams: whole segments, samples with keys of the playlist, and samples that the browser's own module decrypts.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { filesIn, startStage } from './lib/stage.mjs';
import { openViewer } from './lib/viewer.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FIELD = path.join(ROOT, '../shared/fixtures/hls');
const LENGTH = 6;
const KEY = '000102030405060708090a0b0c0d0e0f';
const LONG_KEY = `${KEY}101112131415161718191a1b1c1d1e1f`;
const KID = 'a0a1a2a3a4a5a6a7a8a9aaabacadaeaf';
const IV = 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff';

function ffmpeg(folder, args) {
  execFileSync('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-y',
    '-f', 'lavfi', '-i', `testsrc2=s=320x180:r=24:d=${LENGTH}`, '-f', 'lavfi', '-i', `sine=f=440:d=${LENGTH}`,
    '-c:v', 'libx264', '-preset', 'veryfast', '-b:v', '300k', '-g', '48', '-keyint_min', '48', '-sc_threshold', '0', '-pix_fmt', 'yuv420p',
    '-c:a', 'aac', '-b:a', '64k', '-f', 'hls', '-hls_time', '2', '-hls_playlist_type', 'vod', ...args,
  ], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
}

/** The tests' own encryptor (tests/src/bin/encrypt.rs). */
function encrypt(folder, args) {
  const program = path.resolve(ROOT, process.env.CARGO_TARGET_DIR ?? 'target', 'debug/encrypt');
  if (existsSync(program)) {
    execFileSync(program, args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
    return;
  }
  execFileSync('cargo', ['run', '--quiet', '--manifest-path', path.join(ROOT, 'Cargo.toml'), '-p', 'tests', '--bin', 'encrypt', '--', ...args], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Whole segments, the initialization vector as the playlist says or implies. */
function whole(folder, name, cipher, key, iv, index) {
  const plain = readFileSync(path.join(folder, name));
  const vector = iv ? Buffer.from(iv, 'hex') : Buffer.from(index.toString(16).padStart(32, '0'), 'hex');
  const machine = createCipheriv(cipher, Buffer.from(key, 'hex'), vector);
  return Buffer.concat([machine.update(plain), machine.final()]);
}

function make(folder) {
  const write = (name, body) => writeFileSync(path.join(folder, name), body);
  const segments = (pattern) => readdirSync(folder).filter((name) => pattern.test(name)).sort();
  ffmpeg(folder, ['-hls_segment_filename', 'ts%d.ts', 'ts.m3u8']);
  ffmpeg(folder, ['-hls_segment_type', 'fmp4', '-hls_fmp4_init_filename', 'init.mp4', '-hls_segment_filename', 'mp%d.m4s', 'mp.m3u8']);
  write('key', Buffer.from(KEY, 'hex'));
  write('long-key', Buffer.from(LONG_KEY, 'hex'));
  const list = (name) => readFileSync(path.join(folder, name), 'utf8');
  const key = (method, more = '') => `#EXT-X-KEY:METHOD=${method},URI="key"${more}\n`;

  // A key, then none, then another; vectors by media sequence, which begins at 0.
  const ts = segments(/^ts\d\.ts$/);
  ts.forEach((name, index) => {
    if (index === 0) write(`whole-${name}`, whole(folder, name, 'aes-128-cbc', KEY, null, index));
    else if (index === 1) write(`whole-${name}`, readFileSync(path.join(folder, name)));
    else write(`whole-${name}`, whole(folder, name, 'aes-256-cbc', LONG_KEY, IV, index));
  });
  const tags = [key('AES-128'), '#EXT-X-KEY:METHOD=NONE\n', `#EXT-X-KEY:METHOD=AES-256,URI="long-key",IV=0x${IV}\n`];
  let nth = 0;
  write('whole.m3u8', list('ts.m3u8').replace(/#EXTINF/g, (tag) => `${tags[nth++] ?? ''}${tag}`).replace(/^ts/gm, 'whole-ts'));

  // An encrypted init section, and counter mode.
  const mp = segments(/^mp\d\.m4s$/);
  write('whole-init.mp4', whole(folder, 'init.mp4', 'aes-256-cbc', LONG_KEY, IV));
  for (const name of mp) write(`ctr-${name}`, whole(folder, name, 'aes-256-ctr', LONG_KEY, IV));
  write('ctr.m3u8', list('mp.m3u8')
    .replace('#EXT-X-MAP:URI="init.mp4"', `#EXT-X-KEY:METHOD=AES-256,URI="long-key",IV=0x${IV}\n#EXT-X-MAP:URI="whole-init.mp4"\n#EXT-X-KEY:METHOD=AES-256-CTR,URI="long-key",IV=0x${IV}`)
    .replace(/^mp/gm, 'ctr-mp'));

  encrypt(folder, ['sample-aes', KEY, IV, ...ts.flatMap((name) => [name, `sample-${name}`])]);
  write('sample.m3u8', list('ts.m3u8').replace('#EXTINF', `${key('SAMPLE-AES', `,IV=0x${IV}`)}#EXTINF`).replace(/^ts/gm, 'sample-ts'));

  for (const [scheme, method] of [['cbcs', 'SAMPLE-AES'], ['cenc', 'SAMPLE-AES-CTR']]) {
    encrypt(folder, [scheme, KEY, KID, IV, 'init.mp4', `${scheme}-init.mp4`, ...mp.flatMap((name) => [name, `${scheme}-${name}`])]);
    const plain = list('mp.m3u8').replace('"init.mp4"', `"${scheme}-init.mp4"`).replace(/^mp/gm, `${scheme}-mp`);
    write(`${scheme}.m3u8`, plain.replace('#EXTINF', `${key(method)}#EXTINF`));
    write(`${scheme}-module.m3u8`, plain.replace('#EXTINF', `#EXT-X-KEY:METHOD=${method},URI="data:text/plain;base64,AAAA",KEYFORMAT="org.w3.clearkey"\n#EXTINF`));
    write(`${scheme}-silent.m3u8`, plain);
    write(`${scheme}-widevine.m3u8`, plain.replace('#EXTINF', `#EXT-X-KEY:METHOD=${method},URI="data:text/plain;base64,AAAA",KEYFORMAT="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"\n#EXTINF`));
  }
}

const keys = { [KID]: KEY };
const IDENTITY = [
  ['AES-128 and AES-256 with changing keys', 'whole.m3u8'],
  ['AES-256 in counter mode behind an encrypted init section', 'ctr.m3u8'],
  ['SAMPLE-AES in MPEG-2 TS', 'sample.m3u8'],
  ['cbcs with an identity key', 'cbcs.m3u8'],
  ['cenc with an identity key', 'cenc.m3u8'],
];

describe('encrypted streams', () => {
  let folder;
  let stage;
  let demo;
  const licences = [];
  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'potluck-encryption-'));
    make(folder);
    const routes = filesIn(folder);
    for (const name of ['hls-aes-256', 'hls-sample-aes']) {
      if (!existsSync(path.join(FIELD, name))) continue;
      for (const file of readdirSync(path.join(FIELD, name))) routes[`/${name}/${file}`] = ranged(readFileSync(path.join(FIELD, name, file)));
    }
    routes['/licence'] = (request, response) => licence(request, response, licences);
    routes['/licence-with-cookies'] = (request, response) => {
      licence(request, response, licences, {
        'access-control-allow-origin': request.headers.origin, 'access-control-allow-headers': 'x-ticket, content-type', 'access-control-allow-credentials': 'true',
      });
    };
    routes['/refuse'] = (request, response) => {
      response.writeHead(request.method === 'OPTIONS' ? 204 : 403, { 'access-control-allow-headers': '*' }).end();
    };
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
        browser = await launch({ insecure: 'insecure.example' });
      });
      after(async () => {
        await browser?.close();
      });

      async function open(playlist, options = {}) {
        return await openViewer(browser, demo, { src: `${options.url ?? stage.url}/${playlist}`, trackers: '', ...options });
      }

      async function plays(viewer, { length = LENGTH, seconds = 30 } = {}) {
        await viewer.until('it plays', (state) => state.position > 0.5 && state.readyState >= 3, { seconds });
        await viewer.with((element) => {
          element.playbackRate = 4;
        });
        const end = await viewer.until('it is at its end', (state) => state.ended, { seconds });
        assert.ok(Math.abs(end.position - length) < 0.3, inWords(end));
        assert.ok(end.frames > 24 * length * 0.3, inWords(end));
        assert.deepEqual([end.error, end.warnings], [null, []], inWords(end));
      }

      for (const [what, playlist] of IDENTITY) {
        test(`${what}`, { timeout: 60_000 }, async () => {
          const viewer = await open(playlist);
          await plays(viewer);
          assert.deepEqual(viewer.problems, []);
          await viewer.close();
        });
      }

      test('a page that is no secure context decrypts whole segments itself', { timeout: 60_000 }, async () => {
        const host = (url) => url.replace(/127\.0\.0\.1|localhost/, 'insecure.example');
        const viewer = await open('whole.m3u8', { page: host(`${demo.url}/embed.html`), url: host(stage.url) });
        assert.equal(await viewer.with(() => window.isSecureContext), false);
        await plays(viewer);
        await viewer.close();
      });

      for (const [scheme, playlist] of [['cenc', 'cenc-module'], ['cbcs', 'cbcs-module'], ['cenc that the playlist says nothing of', 'cenc-silent']]) {
        test(`ClearKey with keys of the page: ${scheme}`, { timeout: 60_000 }, async () => {
          const viewer = await open(`${playlist}.m3u8`, { properties: { drm: { 'org.w3.clearkey': { keys } } } });
          await plays(viewer);
          await viewer.close();
        });
      }

      test('ClearKey with keys of a licence server, which is asked with the page\'s headers', { timeout: 60_000 }, async () => {
        licences.length = 0;
        const drm = { 'org.w3.clearkey': { licenseUrl: `${stage.url}/licence`, headers: { 'x-ticket': 'seat 7' } } };
        const viewer = await open('cenc-silent.m3u8', { properties: { drm } });
        await plays(viewer);
        assert.deepEqual(licences, [{ ticket: 'seat 7', kids: [Buffer.from(KID, 'hex').toString('base64url')] }]);
        await viewer.close();
      });

      test('ClearKey with a licence server of another site that wants to be asked with credentials', { timeout: 60_000 }, async () => {
        licences.length = 0;
        const system = { licenseUrl: `${stage.url}/licence-with-cookies`, headers: { 'x-ticket': 'seat 8' }, withCredentials: true };
        const viewer = await open('cenc-silent.m3u8', { properties: { drm: { 'org.w3.clearkey': system } } });
        await plays(viewer);
        assert.deepEqual(licences.map(({ ticket }) => ticket), ['seat 8']);
        await viewer.close();
        // A server that answers everybody alike may not be asked so: browsers keep its answer from the page.
        licences.length = 0;
        const open2 = { ...system, licenseUrl: `${stage.url}/licence` };
        const other = await open('cenc-silent.m3u8', { properties: { drm: { 'org.w3.clearkey': open2 } } });
        await other.until('it is told', (state) => state.warnings.includes('licence'), { seconds: 30 });
        await other.close();
      });

      for (const [what, playlist, drm, code, words] of [
        ['a page that says nothing of licences', 'cenc-widevine', null, 'drm-missing', /Widevine.*property drm/],
        ['the same where the playlist says nothing either', 'cenc-silent', null, 'drm-missing', /property drm/],
        ['a key system that the browser has not', 'cenc-widevine', { 'com.widevine.alpha': { licenseUrl: 'http://localhost/' } }, 'key-system', /no Widevine/],
        ['a licence that is refused', 'cenc-silent', { 'org.w3.clearkey': { licenseUrl: 'URL/refuse' } }, 'licence', /refused: HTTP status 403/],
      ]) {
        test(`${what} is a clear error`, { timeout: 60_000 }, async () => {
          const properties = JSON.parse(JSON.stringify({ drm }).replace('URL', stage.url));
          const viewer = await open(`${playlist}.m3u8`, { properties });
          const { error } = await viewer.until('there is an error', (state) => state.error, { seconds: 30 });
          assert.equal(error.name, code);
          assert.match(error.message, words);
          await viewer.close();
        });
      }

      for (const [fixture, playlist, length] of [['hls-aes-256', 'media.m3u8', 20], ['hls-sample-aes', 'index.m3u8', null]]) {
        test(`a stream of the field: ${fixture}`, { timeout: 60_000, skip: !existsSync(path.join(FIELD, fixture)) && 'there is no ../shared' }, async () => {
          const viewer = await open(`${fixture}/${playlist}`);
          const state = await viewer.until('it plays', ({ position, frames }) => position > 2 && frames > 20, { seconds: 30 });
          assert.equal(state.error, null);
          if (length) assert.ok(Math.abs(state.duration - length) < 1, inWords(state));
          await viewer.close();
        });
      }

      test('peers share what they got, encrypted as it came', { timeout: 60_000 }, async () => {
        const first = await open('cenc.m3u8', { trackers: demo.tracker });
        await first.until('it has all', (state) => state.stats.complete >= 3, { seconds: 30 });
        // The origin is only asked for what is needed at once.
        const second = await open('cenc.m3u8', { trackers: demo.tracker, tuning: { forwardBuffer: 1, peerBuffer: 1 } });
        // A short stream: what follows the first seconds waits until they know each other.
        await second.with((element) => { element.pause(); });
        await second.until('they have met', ({ stats }) => stats.peers === 1, { seconds: 20 });
        await second.with((element) => { void element.play(); });
        await plays(second);
        const { stats } = await second.until('it has all', (state) => state.stats.complete >= 3, { seconds: 30 });
        assert.ok(stats.peerBytes > 0, inWords(stats));
        assert.equal(stats.rejectedBytes, 0);
        await Promise.all([first.close(), second.close()]);
      });
    });
  }
});

/** A ClearKey licence server (W3C Encrypted Media Extensions §9.1.3, §9.1.4). */
function licence(request, response, log, headers = { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*' }) {
  if (request.method === 'OPTIONS') {
    response.writeHead(204, headers).end();
    return;
  }
  let body = '';
  request.on('data', (chunk) => {
    body += chunk;
  });
  request.on('end', () => {
    const { kids } = JSON.parse(body);
    log.push({ ticket: request.headers['x-ticket'], kids });
    const set = kids.map((kid) => ({ kty: 'oct', kid, k: Buffer.from(KEY, 'hex').toString('base64url') }));
    response.writeHead(200, { ...headers, 'content-type': 'application/json' }).end(JSON.stringify({ keys: set, type: 'temporary' }));
  });
}

/** Answers range requests. */
function ranged(body) {
  return (request, response) => {
    if (request.method === 'OPTIONS') {
      response.writeHead(204, { 'access-control-allow-headers': '*' }).end();
      return;
    }
    const [, first, last] = /^bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '') ?? [];
    if (first === undefined) {
      response.writeHead(200, { 'content-length': body.length }).end(body);
      return;
    }
    const end = last ? Math.min(Number(last), body.length - 1) : body.length - 1;
    response.writeHead(206, { 'content-range': `bytes ${first}-${end}/${body.length}`, 'content-length': end - first + 1 }).end(body.subarray(Number(first), end + 1));
  };
}
