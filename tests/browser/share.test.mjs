// Viewers of one title carry it for each other.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { chromium } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords, offload, originCopies, say } from './lib/figures.mjs';
import { openViewer } from './lib/viewer.mjs';

describe('two viewers in Chromium', () => {
  let demo;
  let browser;
  before(async () => {
    demo = await startDemo();
    browser = await chromium();
  });
  after(async () => {
    await browser?.close();
    await demo?.stop();
  });

  test('a second viewer, 5 s later, gets at least 80 % of its bytes from the first', { timeout: 150_000 }, async (t) => {
    await demo.reset();
    const first = await openViewer(browser, demo, { src: demo.vod });
    await first.plays(5);
    const second = await openViewer(browser, demo, { src: demo.vod });
    await first.until('the first viewer is at the end', (state) => state.ended, { seconds: 80 });
    const end = await second.until('the second viewer is at the end', (state) => state.ended, { seconds: 30 });
    const other = await first.state();
    const origin = await demo.stats();
    const copies = originCopies(origin, '/media/sample/');
    say(t, `second viewer: ${(100 * offload(end)).toFixed(1)} % from the first; K ${copies.toFixed(3)}`);
    assert.ok(offload(end) >= 0.8, `offload ${offload(end)}: ${inWords({ end, other, origin })}`);
    assert.ok(copies <= 1.3, `K ${copies}: ${inWords({ end, other, origin })}`);
    assert.deepEqual(end.meter.interruptions, []);
    assert.deepEqual(other.meter.interruptions, []);
    assert.equal(end.stats.rebuffers, 0);
    assert.deepEqual([...first.problems, ...second.problems], []);
    await first.close();
    await second.close();
  });
});
