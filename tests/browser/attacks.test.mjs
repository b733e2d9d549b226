// A swarm under attack, in real browsers: peers that flood, lie, dribble, refuse, replay and pose as others. Who does what nobody does
// by accident is banned; the rest is suffered; and viewers see and keep the film as it is.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { BANNED, BANNED_WHEN_ASKED, SUFFERED, nameOf, openAttackers } from './lib/attacker.mjs';
import { chromium, firefox } from './lib/browsers.mjs';
import { watchConnections } from './lib/connections.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

const PATH = '/media/sample/480p/index.m3u8';
const SEGMENTS = 16;
const fileOf = (number) => `${String(number).padStart(3, '0')}.m4s`;

/** Where the source buffers are on the page, all that is appended is seen; and how many connections are open at once. */
function watch() {
  const { appendBuffer } = SourceBuffer.prototype;
  window.appended = [];
  SourceBuffer.prototype.appendBuffer = function (data) {
    window.appended.push(new Uint8Array(ArrayBuffer.isView(data) ? data.slice().buffer : data.slice(0)));
    return appendBuffer.call(this, data);
  };
}

/** How many bytes were appended, and their hash; null where they are appended elsewhere. */
async function digest() {
  if (window.appended.length === 0) return null;
  const all = new Uint8Array(await new Blob(window.appended).arrayBuffer());
  const hash = Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', all)), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return { length: all.length, hash };
}

describe('attackers', () => {
  let browsers;
  before(async () => {
    browsers = await Promise.all([chromium(), firefox()]);
  });
  after(async () => {
    await Promise.all((browsers ?? []).map((browser) => browser.close()));
  });

  test('who lets four megabytes pile up is closed', { timeout: 60_000 }, async () => {
    const demo = await startDemo();
    /** A page whose channels stay where they are, and are said to be full when the test wants it. */
    const clog = () => {
      const { postMessage } = Worker.prototype;
      Worker.prototype.postMessage = function (message, ...rest) {
        if (message?.type === 'peer-channel') throw new DOMException('channels stay where they are', 'DataCloneError');
        return postMessage.call(this, message, ...rest);
      };
      Object.defineProperty(RTCDataChannel.prototype, 'bufferedAmount', { get: () => window.piledUp ?? 0 });
    };
    try {
      const open = (p2p, before) => openViewer(browsers[0], demo, { src: demo.live, attributes: { p2p }, before });
      // One that gives nothing, so that it waits for nobody to read its media.
      const [viewer, other] = [await open('download-only', clog), await open('on')];
      await viewer.until('they have met', ({ stats }) => stats.peers === 1, { seconds: 40 });
      await viewer.with(() => { window.piledUp = 3e6; });
      await viewer.plays(5, { seconds: 40 });
      assert.equal((await viewer.state()).stats.peers, 1, 'three are lived with');
      await viewer.with(() => { window.piledUp = 5e6; });
      await other.until('it is closed', ({ stats }) => stats.peers === 0, { seconds: 30 });
      await Promise.all([viewer.close(), other.close()]);
    } finally {
      await demo.stop();
    }
  });

  for (const lists of [true, false]) {
    test(`${lists ? 'with' : 'without'} hash lists: they are banned or suffered, and the film plays on`, { timeout: 120_000 }, async (t) => {
      const demo = await startDemo({ hashes: lists ? null : 'none' });
      try {
        const files = await Promise.all(['init.mp4', ...Array.from({ length: SEGMENTS }, (_, n) => fileOf(n))].map(async (file) => (
          Buffer.from(await (await fetch(`${demo.url}/media/sample/480p/${file}`)).arrayBuffer())
        )));
        const film = Buffer.concat(files);
        const swarm = `attacked-${lists}`;
        const attackers = await openAttackers(browsers[0], demo, { swarm, path: PATH, sizes: files.slice(1).map(({ length }) => length) });
        // Little of the origin ahead, so that peers are asked for the rest.
        const open = (browser) => openViewer(browser, demo, {
          src: demo.url + PATH, attributes: { swarm }, tuning: { forwardBuffer: 10, peerBuffer: 40 }, before: [watchConnections, watch],
        });
        const viewers = await Promise.all(browsers.map(open));
        for (const viewer of viewers) await viewer.until('it plays and has a peer', ({ meter, stats }) => meter.played > 0.5 && stats.peers === 1, { seconds: 30 });

        // Without lists what is wrong is found at random only: there nobody sends wrong media.
        const roles = [...BANNED_WHEN_ASKED, ...SUFFERED, ...BANNED].filter((role) => lists || !['noise', 'again', 'loris', 'twin'].includes(role));
        const [, ...entered] = await Promise.all([attackers.bombard(), ...roles.map((role) => attackers.attack(role, viewers.length))]);
        // One goes ahead: what it takes of the origin, the other one asks of peers.
        await viewers[0].with((element) => { element.currentTime = 24; });
        const states = [];
        for (const viewer of viewers) {
          states.push(await viewer.until('it has played on, and banned them', ({ meter, stats }) => (
            meter.played > 12 && BANNED.every((role) => stats.bannedPeers.includes(nameOf(role)))
          ), { seconds: 40, describe: async () => ({ state: await viewer.state(), said: await attackers.said(), entered }) }));
        }
        const said = await until('whoever asked those for something has banned them', async () => {
          const said = await attackers.said();
          const now = await Promise.all(viewers.map((viewer) => viewer.state()));
          const bans = (role) => now.filter(({ stats }) => stats.bannedPeers.includes(nameOf(role))).length;
          return BANNED_WHEN_ASKED.every((role) => bans(role) === (said.victims[role]?.length ?? 0)) && said;
        }, { seconds: 30, describe: async () => await attackers.said() });
        t.diagnostic(`let in: ${roles.map((role, n) => `${role} ${entered[n] ? 'by all' : 'not by all'}`).join(', ')}; ${inWords(said)}`);
        for (const [n, viewer] of viewers.entries()) {
          const state = states[n];
          t.diagnostic(`${['Chromium', 'Firefox'][n]}: ${inWords({ stats: { ...state.stats, peerList: [] }, meter: state.meter })}`);
          assert.deepEqual(state.meter.interruptions, [], inWords(state));
          assert.equal(state.error, null, inWords(state));
          const others = state.stats.bannedPeers.filter((name) => !roles.some((role) => nameOf(role) === name));
          assert.deepEqual(others, [], 'somebody honest was banned');
          assert.ok(state.stats.peers >= 1 && state.stats.peers <= 40, inWords(state));
          const most = await viewer.with(() => window.rtc.most);
          assert.ok(most <= 104, `${most} connections at once`);
          assert.ok(state.stats.rejectedBytes > 0, inWords(state));
          assert.deepEqual(viewer.problems, []);
        }
        assert.ok(BANNED_WHEN_ASKED.some((role) => said.victims[role]), `nobody asked an attacker for anything: ${inWords(said)}`);
        // What is appended on the page is what the origin has.
        for (const [n, viewer] of viewers.entries()) {
          const found = await viewer.with(digest);
          if (n === 1) assert.ok(found !== null, 'nothing was appended on the page');
          if (found === null) continue;
          const right = createHash('sha256').update(film.subarray(0, found.length)).digest('hex');
          assert.equal(found.hash, right, 'what was appended is not what the origin has');
        }
        await Promise.all([attackers.close(), ...viewers.map((viewer) => viewer.close())]);
      } finally {
        await demo.stop();
      }
    });
  }
});
