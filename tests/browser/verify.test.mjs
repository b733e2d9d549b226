// Bytes of peers are verified: by lists in the playlist, signed or not, and by PeerTube's files.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { program, startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { startStage } from './lib/stage.mjs';
import { openViewer } from './lib/viewer.mjs';

/** Takes all of the film at once. */
const HURRIED = { forwardBuffer: 70, peerBuffer: 70 };
const RENDITION = '/media/sample/480p/index.m3u8';

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`in ${name}`, () => {
    let demo;
    let browser;
    before(async () => {
      demo = await startDemo({ faults: true });
      browser = await launch();
    });
    after(async () => {
      await browser?.close();
      await demo?.stop();
    });

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
