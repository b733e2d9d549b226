// The cache across sessions: what one session has verified, the next one need not load, and gives to others.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { inWords, segmentsOf } from './lib/figures.mjs';
import { scene } from './lib/scene.mjs';
import { startStage } from './lib/stage.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

/** Takes all of the film at once. */
const HURRIED = { forwardBuffer: 70, peerBuffer: 70 };
const SEGMENTS = 16;

/** In the page: name and size of each file of the cache. */
const listFiles = async () => {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle('potluck-cache').catch(() => null);
  const files = [];
  if (folder) for await (const handle of folder.values()) files.push(await handle.getFile());
  return files.map(({ name, size }) => ({ name, size })).sort((one, other) => (one.name < other.name ? -1 : 1));
};

const filesOf = async (viewer) => await viewer.with(listFiles);
const sum = (files) => files.reduce((bytes, { size }) => bytes + size, 0);

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`the cache, in ${name}`, () => {
    let demo;
    let browser;
    scene(launch, (...both) => { [demo, browser] = both; });

    const options = (swarm, cache = {}) => ({
      src: `${demo.url}/media/sample/480p/index.m3u8`, trackers: demo.tracker, attributes: { swarm, ...cache }, tuning: HURRIED,
    });
    const hasAll = async (viewer) => await viewer.until('all of the film is there', ({ stats }) => stats.complete === SEGMENTS, { seconds: 30 });

    /** A session that has seen all of the film, and kept it. */
    async function firstSession(swarm) {
      const viewer = await openViewer(browser, demo, options(swarm, { cache: '50' }));
      await hasAll(viewer);
      await until('all of it is kept', async () => (await filesOf(viewer)).length === SEGMENTS);
      return viewer;
    }

    /** The same browser comes back. */
    async function secondSession(viewer, swarm) {
      await demo.reset();
      await viewer.page.reload({ waitUntil: 'load' });
      await viewer.add(options(swarm, { cache: '50' }));
      return await hasAll(viewer);
    }

    test('a second session loads no segment, and gives them to others', { timeout: 60_000 }, async () => {
      const viewer = await firstSession('kept');
      const kept = await filesOf(viewer);
      const state = await secondSession(viewer, 'kept');
      assert.deepEqual(segmentsOf(await demo.stats()), [], inWords(state));
      assert.equal(state.stats.cacheBytes, sum(kept), inWords(state));
      await viewer.plays(1, { seconds: 30 });
      const other = await openViewer(browser, demo);
      const asked = new Set();
      other.page.on('request', (request) => asked.add(new URL(request.url()).pathname));
      await other.add(options('kept'));
      const { stats } = await hasAll(other);
      assert.ok(stats.peerBytes > sum(kept) / 2, inWords(stats));
      const { stats: given } = await viewer.until('what was given is counted', ({ stats: { uploadedBytes } }) => uploadedBytes >= stats.peerBytes);
      assert.equal(given.httpBytes, state.stats.httpBytes, inWords(given));
      // Who asks for no cache has none.
      assert.deepEqual([stats.cacheBytes, await filesOf(other), asked.has('/potluck-cache.js')], [0, [], false]);
      assert.deepEqual([...viewer.problems, ...other.problems], []);
      await Promise.all([viewer.close(), other.close()]);
    });

    test('a file that was altered is noticed, and takes the right bytes anew', { timeout: 60_000 }, async () => {
      const viewer = await firstSession('altered');
      const alter = async () => {
        const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('potluck-cache');
        const { value: handle } = await folder.values().next();
        const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
        bytes[bytes.length >> 1] ^= 1;
        const file = await handle.createWritable();
        await file.write(bytes);
        await file.close();
        return handle.name;
      };
      const name = await viewer.with(alter);
      const digest = async (_, name) => {
        const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('potluck-cache');
        const bytes = await (await (await folder.getFileHandle(name)).getFile()).arrayBuffer();
        return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)).join();
      };
      const altered = await viewer.with(digest, name);
      const state = await secondSession(viewer, 'altered');
      const fetched = segmentsOf(await demo.stats());
      assert.equal(fetched.length, 1, inWords({ fetched, state }));
      assert.equal(state.stats.cacheBytes, sum(await filesOf(viewer)) - fetched[0].size, inWords({ fetched, state }));
      await until('the right bytes are kept', async () => await viewer.with(digest, name) !== altered);
      await secondSession(viewer, 'altered');
      assert.deepEqual(segmentsOf(await demo.stats()), []);
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });

    test('the oldest make room, and nothing is written where the line costs', { timeout: 60_000 }, async () => {
      // The demo server's pages take no script of data.
      const stage = await startStage({ '/': '<!doctype html><title>a page</title>' });
      const viewer = await openViewer(browser, demo, { page: stage.url });
      const run = async (_, origin) => {
        const script = `
          import { handle } from ${JSON.stringify(`${origin}/potluck-cache.js`)};
          const hash = (number) => new Uint8Array(32).fill(number);
          const keep = (number, limit = 3500) => handle({ type: 'cache', hash: hash(number), data: new Uint8Array(1000).fill(number), limit }, () => {});
          const recall = async (number) => {
            let data;
            await handle({ type: 'cache', hash: hash(number), job: 1 }, (answer) => { data = answer.data; });
            return data && data.length === 1000 && data.every((byte) => byte === number);
          };
          const have = async () => {
            const found = [];
            for (let number = 1; number < 9; number++) if (await recall(number)) found.push(number);
            return found;
          };
          const steps = [];
          for (const number of [1, 2, 3, 4]) await keep(number);
          steps.push(await have());
          await keep(2);
          await keep(5);
          steps.push(await have());
          let connection = { saveData: true };
          Object.defineProperty(navigator, 'connection', { get: () => connection });
          await keep(6);
          connection = { metered: true };
          await keep(6);
          connection = { type: 'cellular' };
          await keep(6);
          steps.push(await have());
          connection = {};
          await keep(6);
          await keep(7, 1500);
          steps.push(await have());
          postMessage(steps);`;
        const worker = new Worker(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })), { type: 'module' });
        return await new Promise((resolve, reject) => {
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => reject(new Error(message));
        });
      };
      const [first, second, dear, last] = await viewer.with(run, demo.url);
      assert.deepEqual(first, [2, 3, 4]);
      // What is written again is new again.
      assert.deepEqual(second, [2, 4, 5]);
      assert.deepEqual(dear, second, 'nothing is written, and what is there is read');
      assert.deepEqual(last, [7], 'of a smaller cache only what was written last is left');
      await viewer.close();
      await stage.stop();
    });

    if (name === 'Chromium') {
      test('a browser that gives little room', { timeout: 60_000 }, async () => {
        const quota = 2_000_000;
        const viewer = await openViewer(browser, demo);
        const session = await viewer.page.createCDPSession();
        await session.send('Storage.overrideQuotaForOrigin', { origin: demo.url, quotaSize: quota });
        await viewer.add(options('quota', { cache: '50' }));
        const state = await hasAll(viewer);
        await viewer.plays(1, { seconds: 30 });
        const files = await until('something is kept', async () => {
          const found = await filesOf(viewer);
          return found.length > 1 && found;
        });
        assert.ok(sum(files) <= quota, `${sum(files)} bytes in ${quota}`);
        assert.equal(state.error, null);
        assert.deepEqual(viewer.problems, []);
        await viewer.close();
      });
    }
  });
}
