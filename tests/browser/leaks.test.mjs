// Fifty rounds of what pages do to elements: nothing is left of any of them. Heap, workers, connections and object URLs are counted.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chromium } from './lib/browsers.mjs';
import { watchConnections } from './lib/connections.mjs';
import { scene } from './lib/scene.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

const ROUNDS = 50;
/** What the page's heap may have grown by when all is over, in bytes: caches and compiled code, no elements. */
const MAX_GROWTH = 3e6;

/** Nodes that may be there beyond those of before: two players' controls, that the browser's media session and the collector hold. */
const MAX_NODES = 600;

/** Counts in the page, before anything else runs there. */
function count() {
  const counts = window.counts = { urls: new Set(), workers: 0 };
  const { createObjectURL, revokeObjectURL } = URL;
  URL.createObjectURL = (thing) => {
    const url = createObjectURL.call(URL, thing);
    counts.urls.add(url);
    return url;
  };
  URL.revokeObjectURL = (url) => {
    counts.urls.delete(url);
    revokeObjectURL.call(URL, url);
  };
  window.Worker = class extends Worker {
    constructor(...options) {
      super(...options);
      counts.workers++;
    }

    terminate() {
      counts.workers--;
      super.terminate();
    }
  };
}

describe('fifty rounds of', () => {
  let demo;
  let browser;
  scene(chromium, (...both) => { [demo, browser] = both; });

  test('removing, moving, adding again and cloning a player leave nothing behind', { timeout: 120_000 }, async (t) => {
    const other = await openViewer(browser, demo, { src: demo.vod, tuning: { forwardBuffer: 70 } });
    await other.plays(1, { seconds: 30 });
    const viewer = await openViewer(browser, demo, { before: [watchConnections, count] });
    const { page } = viewer;
    const session = await page.createCDPSession();
    const heap = async () => {
      await session.send('HeapProfiler.collectGarbage');
      const { usedSize } = await session.send('Runtime.getHeapUsage');
      const { nodes } = await session.send('Memory.getDOMCounters');
      return { usedSize, nodes };
    };
    /** Some rounds in the page; in each tenth the player plays before it goes. */
    const rounds = async (from, to) => await page.evaluate(`(async () => {
      const until = async (condition) => { for (let n = 0; !condition() && n < 300; n++) await new Promise((go) => setTimeout(go, 20)); };
      await import('/potluck.js');
      const [here, there] = [0, 1].map(() => document.body.appendChild(document.createElement('div')));
      for (let round = ${from}; round < ${to}; round++) {
        const player = document.createElement(round % 2 === 0 ? 'potluck-player' : 'potluck-video');
        for (const [name, value] of Object.entries({ src: '${demo.vod}', trackers: '${demo.tracker}', muted: '', autoplay: '' })) player.setAttribute(name, value);
        here.append(player);
        if (round % 10 === 0) await until(() => player.currentTime > 0 && player.stats.peers > 0);
        else if (round % 10 === 5) await until(() => player.readyState > 0);
        there.append(player);
        const copy = player.cloneNode(true);
        here.append(copy);
        await new Promise((go) => setTimeout(go, round % 3 === 0 ? 0 : 40));
        player.remove();
        here.append(player);
        copy.src = '${demo.live}';
        await new Promise((go) => setTimeout(go, round % 4 === 0 ? 0 : 40));
        player.remove();
        copy.remove();
      }
      here.remove();
      there.remove();
      await new Promise((go) => setTimeout(go, 1000));
    })()`);
    const counts = async () => await page.evaluate('({ ...counts, urls: counts.urls.size, connections: rtc.open.size, made: rtc.made })');
    const gone = async () => await until('all are gone', async () => {
      const now = await counts();
      return now.workers === 0 && now.connections === 0 && now.urls === 0 && page.workers().length === 0 && (await demo.stats()).tracker.peers === 1;
    }, { seconds: 20, describe: async () => ({ ...await counts(), threads: page.workers().length, tracker: (await demo.stats()).tracker }) });

    // What is made once, for all, is made by now.
    await rounds(0, 6);
    await gone();
    const before = await heap();
    await rounds(0, ROUNDS);
    await gone();
    // The collector takes some elements a turn later.
    let after;
    for (let turn = 0; turn < 8; turn++) {
      after = await heap();
      if (after.nodes - before.nodes < MAX_NODES) break;
      await new Promise((go) => setTimeout(go, 500));
    }
    const { made } = await counts();
    t.diagnostic(`heap ${(before.usedSize / 1e6).toFixed(2)} MB, then ${(after.usedSize / 1e6).toFixed(2)} MB; nodes ${before.nodes}, then ${after.nodes}; ${made} connections were made`);
    assert.ok(made > 0, 'nothing was shared, so nothing was tried');
    assert.ok(after.usedSize - before.usedSize < MAX_GROWTH, `the heap has grown by ${after.usedSize - before.usedSize} bytes`);
    assert.ok(after.nodes - before.nodes < MAX_NODES, `${after.nodes - before.nodes} nodes more`);
    assert.deepEqual(viewer.problems, []);
    await viewer.close();
    await other.close();
  });
});
