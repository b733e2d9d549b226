// Nothing that gives a viewer's address away happens before the viewer has agreed: no connection is made, no candidate gathered, no packet
// sent, no tracker spoken to. In a network of the test's own, where no other program sends anything.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { watchConnections } from './lib/connections.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { ELSEWHERE, HERE, NOTICE, ownNetwork } from './lib/network.mjs';
import { startNpmTracker } from './lib/npm-tracker.mjs';
import { startStage } from './lib/stage.mjs';
import { Viewer, openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

const network = await ownNetwork(import.meta.url);

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`consent in ${name}`, { skip: network ? false : NOTICE }, () => {
    const swarm = `consent-${name}`;
    let demo;
    let tracker;
    let stage;
    let browser;
    let other;
    let there;
    let neighbour;
    let quiet;
    before(async () => {
      [demo, tracker] = await Promise.all([startDemo({ everywhere: true }), startNpmTracker({ host: '0.0.0.0' })]);
      tracker.url = `ws://${HERE}:${tracker.port}`;
      const query = new URLSearchParams({ src: demo.vod, trackers: tracker.url, swarm, autoplay: '1', muted: '1' });
      const page = (consent) => `<!doctype html><title>Somebody's page</title><link rel="icon" href="data:,">
        <iframe src="${demo.url}/embed.html?${query}${consent}" width="640" height="360" allow="autoplay"></iframe>`;
      stage = await startStage({ '/asks.html': page(''), '/off.html': page('&consent=off'), '/granted.html': page('&consent=granted') });
      [browser, other] = await Promise.all([launch(), chromium({ elsewhere: (file) => network.elsewhere(file) })]);
      const url = `http://${HERE}:${demo.port}`;
      there = { url, tracker: tracker.url, vod: `${url}/media/sample/master.m3u8` };
      neighbour = await openViewer(other, there, { src: there.vod, attributes: { swarm, loop: '' } });
      await neighbour.until('there is somebody elsewhere to share with', ({ position, stats }) => position > 1 && stats.peerState === 'alone', { seconds: 40 });
      quiet = network.datagrams();
    });
    after(async () => {
      await Promise.all([browser?.close(), other?.close()]);
      await Promise.all([demo?.stop(), tracker?.stop(), stage?.stop()]);
    });

    /** A page with the iframe, and the viewer in it. */
    async function open(path) {
      const outer = await openViewer(browser, demo, { page: stage.url + path, before: watchConnections });
      return { outer, inner: await inside(outer) };
    }

    async function inside({ page }) {
      const frame = await until('the iframe has its player', async () => {
        const found = page.frames().find((one) => one.url().startsWith(demo.url));
        const ready = `Boolean(document.querySelector('potluck-player')?.shadowRoot.querySelector('potluck-consent[role]'))`;
        return found && await found.evaluate(ready).catch(() => false) && found;
      });
      const viewer = new Viewer(null, page, frame);
      await viewer.adopt(() => document.querySelector('potluck-player').video);
      return viewer;
    }

    /** What gives the viewer away, since the network is there. */
    async function given({ frame }) {
      return {
        ...await frame.evaluate('({ connections: window.rtc.made, candidates: window.rtc.candidates.length })'),
        datagrams: network.datagrams() - quiet,
        visits: tracker.visits.filter((address) => !address.endsWith(ELSEWHERE)).length,
      };
    }

    const asked = ({ frame }) => frame.evaluate(`!document.querySelector('potluck-player').shadowRoot.querySelector('potluck-consent').hidden`);
    const answer = ({ frame }, part) => frame.evaluate(`document.querySelector('potluck-player').shadowRoot.querySelector('[part="${part}"]').click()`);
    const NOTHING = { connections: 0, candidates: 0, datagrams: 0, visits: 0 };

    test('nothing is told while the iframe asks, nor after a refusal, and that is remembered whatever the page says', { timeout: 90_000 }, async () => {
      const { outer, inner } = await open('/asks.html');
      await inner.plays(3, { seconds: 30 });
      assert.equal(await asked(inner), true);
      assert.deepEqual(await given(inner), NOTHING, 'while it asks');
      await answer(inner, 'consent-no');
      assert.equal(await asked(inner), false);
      await inner.plays(3, { seconds: 30 });
      assert.deepEqual(await given(inner), NOTHING, 'after a refusal');
      for (const path of ['/asks.html', '/granted.html']) {
        await outer.page.goto(stage.url + path, { waitUntil: 'load' });
        const again = await inside(outer);
        await again.plays(2, { seconds: 30 });
        assert.equal(await asked(again), false);
        assert.deepEqual(await given(again), NOTHING, `after a refusal, at ${path}`);
        assert.equal((await again.state()).stats.peerState, 'off');
      }
      await outer.close();
    });

    test('nothing is told where the page says consent="off"', { timeout: 60_000 }, async () => {
      const { outer, inner } = await open('/off.html');
      await inner.plays(3, { seconds: 30 });
      assert.equal(await asked(inner), false);
      assert.deepEqual(await given(inner), NOTHING);
      await outer.close();
    });

    test('who agrees shares, from then on', { timeout: 60_000 }, async (t) => {
      const { outer, inner } = await open('/asks.html');
      await inner.plays(1, { seconds: 30 });
      assert.deepEqual(await given(inner), NOTHING, 'before the answer');
      await answer(inner, 'consent-yes');
      await inner.until('it shares', ({ stats }) => stats.peers > 0, { seconds: 30 });
      const told = await given(inner);
      t.diagnostic(inWords(told));
      for (const [what, number] of Object.entries(told)) assert.ok(number > 0, `${what}: nothing was counted, so the zeros before say nothing: ${inWords(told)}`);
      await outer.close();
    });

    test('who only downloads gives nobody anything', { timeout: 240_000 }, async () => {
      const attributes = { swarm: `taker-${name}` };
      const viewer = await openViewer(browser, { url: demo.url, tracker: tracker.url }, {
        src: demo.vod, attributes: { ...attributes, consent: 'download-only' }, tuning: { forwardBuffer: 70, peerBuffer: 70 },
      });
      await viewer.until('it holds what another will lack', ({ buffered }) => buffered.at(-1)?.[1] > 60, { seconds: 60 });
      // Holds little ahead, and stands still while others are waited for: however long they take, most of the film is still to come.
      const needy = await openViewer(other, there, { src: there.vod, attributes, tuning: { forwardBuffer: 8, peerBuffer: 10 } });
      const plays = (on) => needy.with((element, on) => on ? void element.play() : element.pause(), on);
      await needy.plays(1, { seconds: 40 });
      await plays(false);
      await needy.until('the two have met', ({ stats }) => stats.peers > 0, { seconds: 60 });
      const before = await needy.state();
      await plays(true);
      // As much as it held when it met the other, and more.
      const after = await needy.plays(8, { seconds: 60 });
      await plays(false);
      assert.ok(after.stats.httpBytes > before.stats.httpBytes, `it lacked nothing: ${inWords({ before, after })}`);
      assert.equal((await viewer.state()).stats.uploadedBytes, 0);
      assert.equal((await needy.state()).stats.peerBytes, 0);
      await viewer.with((element) => {
        element.consent = 'granted';
      });
      await plays(true);
      await needy.until('it is given something, now that it may be', ({ stats }) => stats.peerBytes > 0, { seconds: 40 });
      await viewer.close();
      await needy.close();
    });
  });
}
