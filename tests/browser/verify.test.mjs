// Bytes of peers are verified: by lists in the playlist, signed or not, and by PeerTube's files.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { program, startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { scene } from './lib/scene.mjs';
import { startStage } from './lib/stage.mjs';
import { openViewer } from './lib/viewer.mjs';

/** Takes all of the film at once. */
const HURRIED = { forwardBuffer: 70, peerBuffer: 70 };
const RENDITION = '/media/sample/480p/index.m3u8';

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`in ${name}`, () => {
    let demo;
    let browser;
    scene(launch, (...both) => { [demo, browser] = both; }, { faults: true });

    test('viewers with lists share', { timeout: 60_000 }, async () => {
      const open = () => openViewer(browser, demo, { src: demo.url + RENDITION, attributes: { swarm: 'film' }, tuning: HURRIED });
      const first = await open();
      await first.until('the first has all', ({ stats }) => stats.complete === 16, { seconds: 30 });
      const second = await open();
      const state = await second.until('the second has all', ({ stats }) => stats.complete === 16, { seconds: 30 });
      assert.equal(state.stats.verified, 'list');
      assert.ok(state.stats.peerBytes > state.stats.httpBytes, inWords(state));
      assert.ok(state.stats.karma.taken === state.stats.peerBytes && state.stats.karma.given === state.stats.uploadedBytes, inWords(state));
      assert.deepEqual([state.stats.rejectedBytes, state.stats.bannedPeers], [0, []], inWords(state));
      await Promise.all([first.close(), second.close()]);
    });

    test('a viewer that sends wrong bytes is banned, and none of them is played', { timeout: 60_000 }, async () => {
      // It speaks the protocol as all do, and alters the media on its way out.
      const lie = () => {
        const { postMessage } = Worker.prototype;
        Worker.prototype.postMessage = function (message, ...rest) {
          if (message?.type === 'peer-channel') throw new DOMException('channels stay where they are', 'DataCloneError');
          return postMessage.call(this, message, ...rest);
        };
        const { send } = RTCDataChannel.prototype;
        window.lies = 0;
        RTCDataChannel.prototype.send = function (data) {
          const bytes = new Uint8Array(data.slice(0));
          if (bytes[0] === 0x00) window.liar = String.fromCharCode(...bytes.slice(-8));
          if (bytes[0] === 0x04) {
            bytes[bytes.length - 1] ^= 4;
            window.lies++;
          }
          return send.call(this, bytes.buffer);
        };
      };
      // Where the source buffers are on the page, all that is appended is seen.
      const watch = () => {
        const { appendBuffer } = SourceBuffer.prototype;
        window.appended = [];
        SourceBuffer.prototype.appendBuffer = function (data) {
          window.appended.push(new Uint8Array(ArrayBuffer.isView(data) ? data.slice().buffer : data.slice(0)));
          return appendBuffer.call(this, data);
        };
      };
      const options = { src: demo.url + RENDITION, attributes: { swarm: 'lies' }, tuning: HURRIED };
      const liar = await openViewer(browser, demo, { ...options, before: lie });
      await liar.until('the liar has all', ({ stats }) => stats.complete === 16, { seconds: 30 });
      const honest = await openViewer(browser, demo, { ...options, before: watch });
      const state = await honest.until('the honest one has all', ({ stats, buffered }) => (
        stats.complete === 16 && stats.bannedPeers.length > 0 && (buffered.at(-1)?.[1] ?? 0) > 63.9
      ), { seconds: 30 });
      const { liarName, lies } = await liar.with(() => ({ liarName: window.liar, lies: window.lies }));
      assert.ok(lies > 0, 'nobody asked the liar');
      assert.deepEqual(state.stats.bannedPeers, [liarName], inWords(state));
      assert.ok(state.stats.rejectedBytes > 0, inWords(state));
      assert.deepEqual([state.stats.peerBytes, state.stats.peers, state.error], [0, 0, null], inWords(state));
      assert.deepEqual(state.meter.interruptions, [], inWords(state));
      const digest = await honest.with(async () => {
        if (window.appended.length === 0) return null;
        const all = new Uint8Array(await new Blob(window.appended).arrayBuffer());
        return Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', all)), (byte) => byte.toString(16).padStart(2, '0')).join('');
      });
      if (name === 'Firefox') assert.ok(digest !== null, 'nothing was appended on the page');
      if (digest !== null) {
        const hash = createHash('sha256');
        const files = ['init.mp4', ...Array.from({ length: 16 }, (_, number) => `${String(number).padStart(3, '0')}.m4s`)];
        for (const file of files) hash.update(Buffer.from(await (await fetch(`${demo.url}/media/sample/480p/${file}`)).arrayBuffer()));
        assert.equal(digest, hash.digest('hex'), 'what was appended is not what the origin has');
      }
      await Promise.all([liar.close(), honest.close()]);
    });

    test('an origin that sends other bytes is noticed, and asked again', { timeout: 60_000 }, async () => {
      await demo.break('480p/002.m4s', 'spoil', 3);
      const viewer = await openViewer(browser, demo, { src: demo.url + RENDITION, tuning: HURRIED });
      const state = await viewer.until('all is there', ({ stats }) => stats.complete === 16, { seconds: 40 });
      assert.ok(state.warnings.includes('segment-spoiled'), inWords(state));
      assert.equal(state.error, null);
      await viewer.close();
    });

    test("PeerTube's file of hashes of whole segments", { timeout: 60_000 }, async () => {
      const files = {};
      for (let number = 0; number < 16; number++) {
        const file = `${String(number).padStart(3, '0')}.m4s`;
        const bytes = Buffer.from(await (await fetch(`${demo.url}/media/sample/480p/${file}`)).arrayBuffer());
        files[file] = createHash('sha256').update(bytes).digest('hex');
      }
      const stage = await startStage({ '/segments-sha256.json': { type: 'application/json', body: JSON.stringify(files) } });
      const plain = await startDemo({ hashes: 'none' });
      try {
        const attributes = { hashes: `${stage.url}/segments-sha256.json`, swarm: 'whole' };
        const open = () => openViewer(browser, plain, { src: plain.url + RENDITION, attributes, tuning: HURRIED });
        const first = await open();
        await first.until('the first has all', ({ stats }) => stats.complete === 16, { seconds: 30 });
        const second = await open();
        const state = await second.until('the second has all', ({ stats }) => stats.complete === 16, { seconds: 30 });
        assert.equal(state.stats.verified, 'segment');
        assert.ok(state.stats.peerBytes > state.stats.httpBytes, inWords(state));
        await Promise.all([first.close(), second.close()]);
      } finally {
        await plain.stop();
        await stage.stop();
      }
    });

    test('a signed list with the right key, and with another', { timeout: 60_000 }, async () => {
      const folder = mkdtempSync(path.join(tmpdir(), 'potluck-key-'));
      const keygen = (file) => /\b[0-9a-f]{64}\b/.exec(execFileSync(program(), ['keygen', path.join(folder, file)], { encoding: 'utf8' }))[0];
      const [right, wrong] = [keygen('right'), keygen('wrong')];
      const signing = await startDemo({ sign: path.join(folder, 'right') });
      try {
        const open = (key) => openViewer(browser, signing, {
          src: signing.url + RENDITION, attributes: { 'publisher-key': key, swarm: 'signed' }, tuning: HURRIED,
        });
        const first = await open(right);
        await first.until('the first has all', ({ stats }) => stats.complete === 16, { seconds: 30 });
        const [second, third] = [await open(right), await open(wrong)];
        const state = await second.until('the second has all', ({ stats }) => stats.complete === 16, { seconds: 30 });
        assert.equal(state.stats.verified, 'signed');
        assert.ok(state.stats.peerBytes > state.stats.httpBytes, inWords(state));
        const other = await third.plays(3, { seconds: 30 });
        assert.equal(other.stats.verified, 'awaited');
        assert.deepEqual([other.stats.peerBytes, other.stats.uploadedBytes], [0, 0], inWords(other));
        assert.ok(other.warnings.includes('hash-unsigned'), inWords(other));
        await Promise.all([first.close(), second.close(), third.close()]);
      } finally {
        await signing.stop();
        rmSync(folder, { recursive: true });
      }
    });
  });
}

test('signatures are checked here where the browser cannot', async () => {
  const { verify, verifyHere } = await import('../../www/dist/potluck-signatures.js');
  for (let round = 0; round < 8; round++) {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const key = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32));
    const message = new Uint8Array(randomBytes(1 + round * 9));
    const signature = new Uint8Array(sign(null, message, privateKey));
    assert.ok(await verifyHere(key, signature, message) && await verify(key, signature, message));
    for (const part of [key, signature, message]) {
      const altered = part.slice();
      altered[round % altered.length] ^= 1 << round % 8;
      assert.equal(await verifyHere(...[key, signature, message].map((of) => (of === part ? altered : of))), false);
    }
  }
  // RFC 8032 §7.1, test 2.
  const hex = (text) => new Uint8Array(Buffer.from(text, 'hex'));
  assert.ok(await verifyHere(
    hex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'),
    hex('92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'),
    hex('72'),
  ));
});
