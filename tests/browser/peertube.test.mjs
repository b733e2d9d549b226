// <potluck-player> given a page of a PeerTube instance.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { startPeerTube } from './lib/peertube.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`a video of a PeerTube instance, in ${name}`, () => {
    let demo;
    let browser;
    let instance;
    before(async () => {
      [demo, browser] = await Promise.all([startDemo({ hashes: 'none' }), launch()]);
      instance = await startPeerTube(demo);
    });
    after(async () => {
      await browser?.close();
      await demo?.stop();
      await instance?.stop();
    });

    /** A page with a player that has these attributes. */
    async function open(attributes, kept = {}) {
      const viewer = await openViewer(browser, demo);
      await viewer.frame.evaluate(`(async () => {
        localStorage.setItem('potluck', ${JSON.stringify(JSON.stringify(kept))});
        await import('/potluck.js');
        const player = document.createElement('potluck-player');
        for (const [name, value] of Object.entries(${JSON.stringify({ muted: '', autoplay: '', ...attributes })})) player.setAttribute(name, value);
        document.body.replaceChildren(player);
      })()`);
      await viewer.adopt(() => document.querySelector('potluck-player').video);
      return viewer;
    }
    const failure = async (viewer) => await until('it fails', () => viewer.with(({ error }) => error && { name: error.name, code: error.code, message: error.message }), { seconds: 20 });

    test('plays by its watch page, with title, poster, captions, chapters, storyboard and hashes, and tells nobody', { timeout: 60_000 }, async () => {
      const viewer = await open({ src: `${instance.url}/w/${instance.id}?start=5s` });
      const state = await viewer.plays(1, { seconds: 30 });
      assert.ok(state.position >= 5, inWords(state));
      assert.equal(state.error, null);
      const player = await until('all is there', () => viewer.frame.evaluate(`(() => {
        const player = document.querySelector('potluck-player');
        const [captions, chapters, sprites] = ['subtitles', 'chapters', 'metadata'].map((kind) => [...player.textTracks].find((track) => track.kind === kind));
        if (captions) captions.mode = 'showing';
        const [french, marks, pictures] = [captions, chapters, sprites].map((track) => [...(track?.cues ?? [])].map((cue) => [cue.startTime, cue.text]));
        return french.length && marks.length && pictures.length && { heading: player.heading, poster: player.poster, hashes: player.hashes, trackers: player.trackers, src: player.src, playing: player.currentSrc, language: captions.language, label: captions.label, french, marks, pictures };
      })()`), { seconds: 20 });
      assert.equal(player.heading, 'Ein Tag am See <b>');
      assert.equal(player.poster, `${instance.url}/lazy-static/thumbnails/850.jpg`);
      assert.equal(player.hashes, `${instance.url}/static/streaming-playlists/hls/${instance.uuid}/segments-sha256.json`);
      assert.equal(player.src, `${instance.url}/w/${instance.id}?start=5s`);
      assert.equal(player.playing, `${demo.url}/media/sample/480p/index.m3u8`);
      assert.equal(player.trackers, '', 'the trackers of an instance are for its own player');
      assert.deepEqual([player.language, player.label], ['fr', 'French']);
      assert.deepEqual(player.french, [[0, 'Bonjour']]);
      assert.deepEqual(player.marks.map(([at]) => at), [0, 20]);
      assert.match(player.marks[1][1], /^Noon &(amp;)? &lt;after&gt;$|^Noon & <after>$/);
      assert.equal(player.pictures.length, 16);
      assert.deepEqual(player.pictures[5], [20, `${instance.url}/lazy-static/storyboards/s.jpg#xywh=160,90,160,90`]);
      await viewer.plays(5, { seconds: 30 });
      assert.deepEqual(instance.posts, [], 'nobody was asked');
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });

    test('plays by instance and id; a viewer who has agreed to be seen is counted', { timeout: 60_000 }, async () => {
      instance.posts.length = 0;
      const viewer = await open({ instance: instance.url, video: instance.uuid, trackers: demo.tracker }, { share: true });
      await viewer.plays(1, { seconds: 30 });
      const state = await viewer.until('hashes are read', ({ stats }) => stats.verified === 'segment', { seconds: 20 });
      assert.equal(state.error, null);
      assert.equal(await viewer.frame.evaluate(`document.querySelector('potluck-player').poster`), `${instance.url}/lazy-static/previews/${instance.uuid}.jpg`, 'the poster of an instance before 8.1');
      const view = await until('the view is told', () => instance.posts.find(({ path }) => path.endsWith('/views')), { seconds: 20 });
      assert.equal(view.path, `/api/v1/videos/${instance.uuid}/views`);
      assert.deepEqual(Object.keys(view.body), ['currentTime']);
      const { body } = await until('playback is told', () => instance.posts.find(({ path }) => path === '/api/v1/metrics/playback'), { seconds: 25 });
      assert.equal(body.videoId, instance.uuid);
      assert.ok(body.downloadedBytesHTTP > 0 && body.playerMode === 'p2p-media-loader', inWords(body));
      // A playlist again: nothing of the instance stays.
      await viewer.frame.evaluate(`(() => {
        const player = document.querySelector('potluck-player');
        player.removeAttribute('instance');
        player.removeAttribute('video');
        player.src = '${demo.vod}';
      })()`);
      await viewer.until('the film plays', (now) => now.duration > 60 && now.position > 0 && now.height > 0, { seconds: 20 });
      const left = await viewer.frame.evaluate(`(() => {
        const player = document.querySelector('potluck-player');
        return [player.heading, player.hasAttribute('poster'), player.hashes, player.video.querySelectorAll('track').length, player.currentSrc];
      })()`);
      assert.deepEqual(left, ['', false, '', 0, demo.vod]);
      await viewer.close();
    });

    for (const [id, error, words] of [
      ['private', 'peertube-private', /does not show this video to everybody/], ['password', 'peertube-password', /protected by a password/],
      ['deleted', 'peertube-missing', /deleted/], ['overloaded', 'peertube-unreachable', /503/], ['files-only', 'peertube-not-ready', /plain files/],
      ['transcoding', 'peertube-not-ready', /To transcode/], ['awaited', 'peertube-not-ready', /has not begun/], ['other-site', 'peertube-answer', /does not answer as a PeerTube/],
    ]) {
      test(`that is ${id}: ${error}`, { timeout: 40_000 }, async () => {
        const viewer = await open({ src: `${instance.url}/w/${id}` });
        const told = await failure(viewer);
        assert.equal(told.name, error);
        assert.match(told.message, words);
        await until('the viewer is told', () => viewer.frame.evaluate(`document.querySelector('potluck-player').shadowRoot.querySelector('.failure')?.hidden === false`));
        await viewer.close();
      });
    }

    test('of an instance that is unreachable: peertube-unreachable, and plays once it is there and somebody tries again', { timeout: 60_000 }, async () => {
      const viewer = await open({ src: `http://localhost:9/w/${instance.id}` });
      const told = await failure(viewer);
      assert.equal(told.name, 'peertube-unreachable');
      assert.equal(told.code, 2);
      assert.match(told.message, /^localhost:9 does not answer/);
      // One that is not there at first, and then is.
      await viewer.frame.evaluate(`document.querySelector('potluck-player').src = '${instance.url}/w/later'`);
      await until('it fails again', () => viewer.with(({ error }) => error?.name === 'peertube-missing'));
      for (const what of ['', '/captions', '/chapters', '/storyboards']) instance.routes[`/api/v1/videos/later${what}`] = instance.routes[`/api/v1/videos/${instance.id}${what}`];
      await viewer.frame.evaluate(`document.querySelector('potluck-player').shadowRoot.querySelector('.failure button').click()`);
      const state = await viewer.plays(1, { seconds: 30 });
      assert.equal(state.error, null);
      await viewer.close();
    });
  });
}
