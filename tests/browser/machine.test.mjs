// What befalls the machine and the tab while a title plays: sleep, a lost decoder, another network, memory that runs short, and the
// back button.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from './lib/browsers.mjs';
import { watchConnections } from './lib/connections.mjs';
import { inWords } from './lib/figures.mjs';
import { scene } from './lib/scene.mjs';
import { openViewer } from './lib/viewer.mjs';

describe('a viewer', () => {
  let demo;
  let browser;
  scene(chromium, (...both) => { [demo, browser] = both; }, { faults: true });

  test('whose machine sleeps for a while goes on when it wakes, beside others who did not', { timeout: 90_000, skip: process.platform === 'win32' }, async () => {
    const [awake, asleep] = await Promise.all([chromium(), chromium()]);
    try {
      const other = await openViewer(awake, demo, { src: demo.live });
      const viewer = await openViewer(asleep, demo, { src: demo.live });
      await other.plays(1, { seconds: 40 });
      const before = await viewer.plays(2, { seconds: 40 });
      // All processes of pages stand still: timers, workers, sockets and the picture.
      const { processInfo } = await (await asleep.target().createCDPSession()).send('SystemInfo.getProcessInfo');
      const pages = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id);
      assert.ok(pages.length > 0);
      for (const id of pages) process.kill(id, 'SIGSTOP');
      await sleep(8000);
      for (const id of pages) process.kill(id, 'SIGCONT');
      const after = await viewer.plays(4, { seconds: 40 });
      assert.equal(after.error, null, inWords({ before, after }));
      assert.ok(after.position > before.position + 4, inWords({ before, after }));
      const undisturbed = await other.state();
      assert.deepEqual([undisturbed.meter.interruptions, undisturbed.error], [[], null], inWords(undisturbed));
      assert.deepEqual(viewer.problems, []);
    } finally {
      await Promise.all([awake.close(), asleep.close()]);
    }
  });

  test('whose decoder is lost goes on at the same place, once', { timeout: 90_000 }, async () => {
    const viewer = await openViewer(browser, demo, { src: demo.vod, start: 10 });
    await viewer.plays(2, { seconds: 40 });
    // The browser says so by an error of the element; what the graphics process had is gone with it.
    const lose = () => viewer.with((element) => {
      const at = element.currentTime;
      const native = element.nativeEl;
      Object.defineProperty(native, 'error', { configurable: true, value: { code: 3, message: 'PIPELINE_ERROR_DECODE: the decoder was reset' } });
      native.dispatchEvent(new Event('error'));
      native.addEventListener('emptied', () => { delete native.error; }, { once: true });
      return at;
    });
    const at = await lose();
    const found = await viewer.until('it says so', ({ warnings }) => warnings.includes('decode'), { seconds: 20 });
    assert.equal(found.error, null, inWords(found));
    const after = await viewer.until('it plays on from there', (state) => state.position > at + 1 && state.readyState >= 3 && !state.paused, { seconds: 30 });
    assert.ok(after.position < at + 30, inWords({ at, after }));
    await lose();
    const ended = await viewer.until('the second time in a row is the end', ({ error }) => error !== null, { seconds: 20 });
    assert.equal(ended.error.name, 'decode', inWords(ended));
    await viewer.close();
  });

  test('whose address is another from one moment to the next finds its peers again', { timeout: 90_000 }, async () => {
    const options = { src: demo.vod, attributes: { swarm: 'moved' }, tuning: { forwardBuffer: 8, peerBuffer: 10 }, before: watchConnections };
    const other = await openViewer(browser, demo, options);
    await other.plays(1, { seconds: 40 });
    const viewer = await openViewer(browser, demo, options);
    const before = await viewer.until('they have met', ({ stats, meter }) => stats.peers === 1 && meter.played > 0.5, { seconds: 40 });
    const made = await viewer.with(() => {
      for (const connection of [...window.rtc.open]) connection.close();
      return window.rtc.made;
    });
    // The socket to the tracker ends with the address too.
    await demo.trackerUp(false);
    await viewer.until('they have lost each other', ({ stats }) => stats.peers === 0, { seconds: 20 });
    await demo.trackerUp(true);
    const after = await viewer.until('they have met again', ({ stats, meter }) => stats.peers === 1 && meter.played > before.meter.played + 2, { seconds: 60 });
    assert.ok(await viewer.with((_, made) => window.rtc.made > made, made), 'without a new connection');
    assert.deepEqual([after.meter.interruptions, after.error], [[], null], inWords(after));
    await Promise.all([viewer.close(), other.close()]);
  });

  test('whose engine ends by an error has another at the same place', { timeout: 60_000 }, async () => {
    const keepWorkers = () => {
      window.workers = [];
      window.Worker = class extends Worker {
        constructor(...options) {
          super(...options);
          window.workers.push(this);
        }
      };
    };
    const viewer = await openViewer(browser, demo, { src: demo.vod, start: 10, before: keepWorkers });
    const before = await viewer.plays(2, { seconds: 40 });
    await viewer.with(() => window.workers.at(-1).dispatchEvent(new ErrorEvent('error', { message: 'unreachable executed' })));
    const after = await viewer.until('it plays on from there', (state) => (
      state.warnings.includes('engine-stopped') && state.position > before.position + 1 && state.readyState >= 3 && !state.paused
    ), { seconds: 30 });
    assert.ok(after.position < before.position + 30, inWords({ before, after }));
    assert.equal(viewer.page.workers().length, 1, 'the old engine is still there');
    await viewer.close();
  });

  test('whose browser runs short of memory plays on', { timeout: 60_000 }, async () => {
    const viewer = await openViewer(browser, demo, { src: demo.vod });
    await viewer.plays(2, { seconds: 40 });
    const session = await viewer.page.createCDPSession();
    for (const level of ['moderate', 'critical']) {
      await session.send('Memory.simulatePressureNotification', { level });
      const state = await viewer.plays(2, { seconds: 20 });
      assert.deepEqual([state.meter.interruptions, state.error], [[], null], inWords(state));
    }
    await viewer.close();
  });

  test('who goes to another page and comes back by the back button sees the film', { timeout: 60_000 }, async () => {
    const viewer = await openViewer(browser, demo, { src: demo.vod });
    const { page } = viewer;
    await viewer.plays(2, { seconds: 40 });
    await page.goto(`${demo.url}/generator`, { waitUntil: 'load' });
    // The page that was left shares nothing any more, or has come back whole: no ghost of it stays in the swarm.
    await page.goBack({ waitUntil: 'load' });
    const kept = await page.evaluate(() => window.element !== undefined);
    if (!kept) await viewer.add({ src: demo.vod, trackers: demo.tracker });
    const state = await viewer.plays(2, { seconds: 30 });
    assert.equal(state.error, null, inWords(state));
    assert.equal(page.workers().length, 1, 'one engine for one element');
    await viewer.close();
  });
});
