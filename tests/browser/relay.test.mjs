// With p2p="relay" viewers meet only through the site's TURN server, here coturn, and nobody learns their addresses: neither a peer nor the
// tracker finds one in what they are told.

import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { watchConnections } from './lib/connections.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { startNpmTracker } from './lib/npm-tracker.mjs';
import { RELAY, skip, startTurn } from './lib/turn.mjs';
import { openViewer } from './lib/viewer.mjs';

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`relayed in ${name}`, { skip }, () => {
    let demo;
    let tracker;
    let turn;
    let browser;
    before(async () => {
      if (skip) return;
      [demo, tracker, turn, browser] = await Promise.all([startDemo(), startNpmTracker(), startTurn(), launch()]);
    });
    after(async () => {
      await browser?.close();
      await Promise.all([demo?.stop(), tracker?.stop(), turn?.stop()]);
    });

    const open = async (more = {}) => await openViewer(browser, demo, {
      src: demo.vod, trackers: tracker.url, before: watchConnections, attributes: { p2p: 'relay', 'ice-servers': JSON.stringify(turn.iceServers) },
      tuning: { forwardBuffer: 70, peerBuffer: 70 }, ...more,
    });

    /** Every description that a viewer gave to the tracker. */
    const descriptions = () => tracker.heard.flatMap(({ offers = [], answer }) => [...offers.map(({ offer }) => offer.sdp), ...(answer ? [answer.sdp] : [])]);

    test('two viewers share through the TURN server, and no address of theirs is told', { timeout: 90_000 }, async (t) => {
      const first = await open();
      await first.plays(2, { seconds: 30 });
      const second = await open();
      const state = await second.until('it gets something from the first', ({ stats }) => stats.peerBytes > 200_000, { seconds: 40 });
      t.diagnostic(`${state.stats.peerBytes} bytes from the other, ${turn.allocations()} allocations`);
      assert.ok(turn.allocations() >= 2);
      const found = (await Promise.all([first, second].map(({ frame }) => frame.evaluate('window.rtc.candidates')))).flat();
      const told = descriptions();
      assert.ok(found.length > 0 && told.length > 1);
      for (const sdp of told) {
        const lines = sdp.split(/\r?\n/);
        const candidates = lines.filter((line) => line.startsWith('a=candidate:'));
        assert.ok(candidates.length > 0, sdp);
        for (const candidate of [...candidates, ...found]) assert.deepEqual(addresses(candidate), [RELAY], candidate);
        for (const candidate of candidates) assert.match(candidate, / typ relay/);
        // The origin line of every description of Chromium's has the loopback address, whatever the machine's is.
        assert.deepEqual(addresses(lines.filter((line) => !line.startsWith('o=')).join('\n')), [RELAY], sdp);
      }
      const heard = JSON.stringify(tracker.heard);
      const own = Object.values(networkInterfaces()).flat().filter(({ internal }) => !internal).map(({ address }) => address);
      for (const address of own) assert.ok(!heard.includes(address), `${address} was told to the tracker`);
      await second.close();
      await first.close();
    });

    test('with the TURN server down the film plays from the origin, and still no address is told', { timeout: 60_000 }, async () => {
      await turn.stop();
      tracker.heard.length = 0;
      const viewers = [await open(), await open()];
      for (const viewer of viewers) {
        const state = await viewer.plays(4, { seconds: 30 });
        assert.equal(state.error, null);
        assert.deepEqual(state.meter.interruptions, [], inWords(state));
        assert.equal(state.stats.peerBytes, 0);
        assert.ok(state.stats.httpBytes > 0);
        assert.deepEqual(await viewer.frame.evaluate('window.rtc.candidates'), []);
      }
      for (const sdp of descriptions()) assert.doesNotMatch(sdp, /a=candidate:/);
      for (const viewer of viewers) await viewer.close();
    });
  });
}

/** The addresses in a text, each once, but for those that stand for none. */
function addresses(text) {
  const found = text.match(/\b\d{1,3}(?:\.\d{1,3}){3}\b|(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:.])/gi) ?? [];
  return [...new Set(found)].filter((address) => address !== '0.0.0.0' && address !== '::');
}
