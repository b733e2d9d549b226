// A viewer's session is recorded in the browser, and replayed by the native core: it says what the engine said.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { chromium, firefox } from './lib/browsers.mjs';
import { built } from './lib/demo.mjs';
import { OUT, scene } from './lib/scene.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

/** Holds little ahead, so that it asks for something all the time. */
const SHORT_BUFFER = { forwardBuffer: 8, peerBuffer: 12 };

/** What the native core makes of a recording. */
async function replay(file) {
  const { code, said } = await new Promise((resolve) => {
    execFile(built('replay'), [file, '--json'], (error, stdout, stderr) => resolve({ code: error?.code ?? 0, said: stdout + stderr }));
  });
  return { code, ...JSON.parse(said) };
}

/** What must not be in a recording: candidates of connections, and what else session descriptions consist of. */
function findsNobody(bytes) {
  const text = gunzipSync(bytes).toString('latin1');
  for (const line of ['candidate:', 'a=fingerprint', 'a=ice-pwd', 'v=0\r\n', 'c=IN IP']) assert.ok(!text.includes(line), `${line} is in the recording`);
}

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`recordings in ${name}`, () => {
    let demo;
    let browser;
    scene(launch, (...both) => { [demo, browser] = both; });

    test('a session with a seek and another viewer is replayed bit for bit', { timeout: 90_000 }, async (t) => {
      const other = await openViewer(browser, demo, { src: demo.vod, tuning: { forwardBuffer: 70, peerBuffer: 70 } });
      await other.plays(1, { seconds: 30 });
      const viewer = await openViewer(browser, demo);
      const files = [];
      viewer.page.on('request', (request) => files.push(new URL(request.url()).pathname));
      await viewer.add({ src: demo.vod, trackers: demo.tracker, tuning: SHORT_BUFFER });
      await viewer.plays(1, { seconds: 30 });
      assert.deepEqual(files.filter((file) => file.includes('recorder')), [], 'it was loaded though nobody records');
      await viewer.with(async (element) => { window.recording = await element.record(); });
      await viewer.until('it plays again, from the other', (state) => state.stats.peerBytes > 0 && state.readyState >= 3, { seconds: 30 });
      await viewer.with((element) => { element.currentTime = 40; });
      const before = await viewer.until('it plays after the seek', (state) => state.position > 42 && state.readyState >= 3, { seconds: 30 });
      const data = await viewer.with(async () => {
        const file = await window.recording.end();
        return await new Promise((resolve) => {
          const reader = new FileReader();
          reader.onload = () => resolve(reader.result);
          reader.readAsDataURL(file);
        });
      });
      assert.match(data, /^data:application\/gzip;base64,/);
      const bytes = Buffer.from(data.slice(data.indexOf(',') + 1), 'base64');
      const file = path.join(OUT, `recording-${name}.gz`);
      await writeFile(file, bytes);
      findsNobody(bytes);

      const { code, ...outcome } = await replay(file);
      t.diagnostic(`${bytes.length} bytes; ${JSON.stringify(outcome)}`);
      assert.equal(outcome.broken, null);
      assert.ok(outcome.steps > 100 && outcome.outputs > 50, JSON.stringify(outcome));
      assert.equal(outcome.diverged, 0, JSON.stringify(outcome));
      assert.deepEqual([code, outcome.players], [0, 1]);

      // The end of a recording is not the end of playback.
      await viewer.until('it plays on', (state) => state.position > before.position + 0.5, { seconds: 20 });
      assert.deepEqual([...viewer.problems, ...other.problems], []);
      await viewer.close();
      await other.close();
    });

    if (name !== 'Chromium') return;

    test('a viewer saves one as a file, from the statistics', { timeout: 60_000 }, async () => {
      const query = new URLSearchParams({ src: demo.live, title: 'Live', muted: '1', autoplay: '1' });
      const viewer = await openViewer(browser, demo, { page: `${demo.url}/embed.html?${query}` });
      await rm(path.join(OUT, 'potluck-recording.gz'), { force: true });
      const session = await viewer.page.createCDPSession();
      await session.send('Page.setDownloadBehavior', { behavior: 'allow', downloadPath: OUT });
      const inside = (action) => viewer.frame.evaluate(`((selector) => document.querySelector('potluck-player')?.shadowRoot?.querySelector(selector))${action}`);
      await until('the controls are there', () => inside(`('potluck-play-button button') !== undefined`));
      await viewer.adopt(() => document.querySelector('potluck-player').video);
      await viewer.plays(1, { seconds: 30 });
      await viewer.frame.evaluate(`document.querySelector('potluck-player').focus()`);
      await viewer.page.keyboard.press('i');
      await until('the statistics are open', () => inside(`('potluck-stats-sheet .record')?.checkVisibility() === true`));
      await inside(`('potluck-stats-sheet .record').click()`);
      await until('something is recorded', () => inside(`('potluck-stats-sheet .record').textContent.search(/[kM]B/) > 0`), { seconds: 30 });
      await viewer.plays(1, { seconds: 30 });
      await inside(`('potluck-stats-sheet .record').click()`);
      const file = await until('the file is there', async () => (await readdir(OUT)).find((one) => one === 'potluck-recording.gz'), { seconds: 20 });
      const outcome = await replay(path.join(OUT, file));
      findsNobody(await readFile(path.join(OUT, file)));
      assert.ok(outcome.steps > 20, JSON.stringify(outcome));
      assert.deepEqual([outcome.diverged, outcome.broken], [0, null], JSON.stringify(outcome));
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });
  });
}
