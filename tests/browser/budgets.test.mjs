// How much of a viewer's line is given to others: never more than is allowed, and nothing where it costs the viewer something. What the
// device says (kind of line, battery, hidden page) cannot be driven in a real browser, so it is replaced before anything is loaded.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chromium } from './lib/browsers.mjs';
import { inWords } from './lib/figures.mjs';
import { scene } from './lib/scene.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

const ALL = { forwardBuffer: 70, peerBuffer: 70 };
/** A piece that has begun is finished. */
const PIECE = 16_384;
const LITTLE = { forwardBuffer: 8, peerBuffer: 10 };

/** Runs in each page before anything else: a device that says what `device(what, values)` tells it. */
const replaceDevice = () => {
  const parts = {
    connection: Object.assign(new EventTarget(), { saveData: false, type: 'wifi' }),
    battery: Object.assign(new EventTarget(), { level: 1, charging: true }),
  };
  let hidden = false;
  Object.defineProperty(Navigator.prototype, 'connection', { get: () => parts.connection });
  Navigator.prototype.getBattery = () => Promise.resolve(parts.battery);
  Object.defineProperty(Document.prototype, 'hidden', { get: () => hidden });
  window.device = (what, values) => {
    if (what === 'page') {
      ({ hidden } = values);
      document.dispatchEvent(new Event('visibilitychange'));
      return;
    }
    Object.assign(parts[what], values);
    for (const type of ['change', 'levelchange', 'chargingchange']) parts[what].dispatchEvent(new Event(type));
  };
};

describe('what is given to others', () => {
  let demo;
  let browser;
  scene(chromium, (...both) => { [demo, browser] = both; });

  /** One viewer who holds all of the film, and one who needs it piece by piece. */
  async function pair(swarm, attributes = {}) {
    const giver = await openViewer(browser, demo, { src: demo.vod, attributes: { ...attributes, swarm }, tuning: ALL, before: replaceDevice });
    await giver.until('it holds what another will lack', ({ buffered }) => buffered.at(-1)?.[1] > 60, { seconds: 40 });
    return { giver, needy: null };
  }

  const joins = async (swarm, tuning = LITTLE) => await openViewer(browser, demo, { src: demo.vod, attributes: { swarm }, tuning });

  /** The other is given nothing, though it asks the origin for what is here. */
  async function givesNothing(needy, why) {
    const start = await needy.until('the two have met', ({ stats }) => stats.peers > 0, { seconds: 30 });
    // What is on its way arrives.
    const before = await needy.plays(1.5, { seconds: 30 });
    const later = await needy.until('the origin is asked', ({ stats }) => stats.httpBytes > before.stats.httpBytes + 100_000, { seconds: 40 });
    assert.equal(later.stats.peerBytes, before.stats.peerBytes, `${why}: ${inWords({ start, before, later })}`);
  }

  const gives = async (needy) => {
    const { stats: { peerBytes } } = await needy.state();
    await needy.until('it is given something', ({ stats }) => stats.peerBytes > peerBytes, { seconds: 40 });
  };

  for (const [what, part, dear, free, why] of [
    ['Save-Data', 'connection', { saveData: true }, { saveData: false }, 'metered'],
    ['a mobile line', 'connection', { type: 'cellular' }, { type: 'wifi' }, 'metered'],
    ['a low battery', 'battery', { level: 0.19, charging: false }, { level: 0.21, charging: false }, 'battery'],
    ['a hidden page, where the page asks for that', 'page', { hidden: true }, { hidden: false }, 'hidden'],
  ]) {
    test(`nothing with ${what}, and something when that is over`, { timeout: 90_000 }, async () => {
      const { giver } = await pair(what, part === 'page' ? { 'upload-hidden': 'off' } : {});
      await giver.frame.evaluate(`device('${part}', ${JSON.stringify(dear)})`);
      const needy = await joins(what);
      await givesNothing(needy, what);
      await giver.until('it says why', ({ stats }) => stats.uploadState === why);
      await giver.frame.evaluate(`device('${part}', ${JSON.stringify(free)})`);
      await gives(needy);
      await giver.until('it says that it gives', ({ stats }) => stats.uploadState === 'on');
      assert.deepEqual(giver.problems, []);
      await needy.close();
      await giver.close();
    });
  }

  test('a hidden page gives where it does not ask for a pause', { timeout: 60_000 }, async () => {
    const { giver } = await pair('hidden and giving');
    await giver.frame.evaluate(`device('page', { hidden: true })`);
    const needy = await joins('hidden and giving');
    await gives(needy);
    await needy.close();
    await giver.close();
  });

  test('no more than the budget in all, on into another swarm', { timeout: 90_000 }, async (t) => {
    const { giver } = await pair('budget', { 'upload-budget': '1' });
    const needy = await joins('budget', ALL);
    await needy.until('most of the budget is used', ({ stats }) => stats.peerBytes > 900_000, { seconds: 40 });
    await givesNothing(needy, 'the budget is used up');
    const { stats } = await giver.until('it says why', ({ stats: { uploadState } }) => uploadState === 'budget');
    t.diagnostic(`${stats.uploadedBytes} bytes of 1,000,000`);
    assert.ok(stats.uploadedBytes > 900_000 && stats.uploadedBytes <= 1_000_000 + PIECE, inWords(stats));
    await needy.close();
    await giver.with((element) => {
      element.swarm = 'another';
    });
    const other = await joins('another');
    await givesNothing(other, 'the budget is used up');
    await giver.with((element) => {
      element.uploadBudget = null;
    });
    await gives(other);
    await other.close();
    await giver.close();
  });

  test("the viewer's choice comes before the page's wish, whenever that changes", { timeout: 60_000 }, async () => {
    const viewer = await openViewer(browser, demo, { page: `${demo.url}/embed.html?${new URLSearchParams({ src: demo.vod, trackers: demo.tracker, consent: 'granted', 'upload-limit': '5000' })}` });
    const evaluate = async (expression) => await viewer.frame.evaluate(`(() => { const player = document.querySelector('potluck-player'); return ${expression}; })()`);
    await until('the player is there', () => viewer.frame.evaluate('Boolean(document.querySelector("potluck-player")?.video)'));
    assert.deepEqual(await evaluate('[player.video.uploadLimit, player.video.consent]'), [5000, 'granted']);
    // As the sharing panel keeps it.
    await evaluate(`localStorage.setItem('potluck', JSON.stringify({ uploadLimit: 250, share: false }))`);
    await evaluate(`(player.setAttribute('upload-limit', '4000'), player.uploadLimit = 3000, player.consent = 'granted', player.setAttribute('consent', 'granted'))`);
    assert.deepEqual(await evaluate('[player.video.uploadLimit, player.video.consent]'), [250, 'off']);
    await evaluate(`localStorage.setItem('potluck', JSON.stringify({ uploadLimit: 0, share: true }))`);
    await evaluate(`(player.setAttribute('upload-limit', '2000'), player.setAttribute('consent', 'ask'))`);
    assert.deepEqual(await evaluate('[player.video.uploadLimit, player.video.consent]'), [null, 'granted']);
    assert.deepEqual(viewer.problems, []);
    await viewer.close();
  });
});
