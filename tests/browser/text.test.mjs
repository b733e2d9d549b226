// Text on screen: subtitles, captions, metadata, chapters, thumbnails.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { startStage } from './lib/stage.mjs';
import { liveRoutes, makeTextStreams, routesOf } from './lib/text-streams.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

const FIXTURES = fileURLToPath(new URL('../../../shared/fixtures/hls/', import.meta.url));

describe('text', () => {
  let folder;
  let stage;
  let demo;
  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'potluck-text-'));
    makeTextStreams(folder);
    const routes = routesOf(folder);
    for (const name of ['hls-text-offset', 'hls-text-no-discontinuity']) {
      if (existsSync(FIXTURES)) Object.assign(routes, routesOf(path.join(FIXTURES, name), `/${name}/`));
    }
    [stage, demo] = await Promise.all([startStage(routes), startDemo()]);
  });
  after(async () => {
    await stage?.stop();
    await demo?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
    describe(`in ${name}`, () => {
      let browser;
      before(async () => {
        browser = await launch();
      });
      after(async () => {
        await browser?.close();
      });

      test('subtitles and captions are shown as the playlist and the viewer choose', { timeout: 90_000 }, async () => {
        const viewer = await openViewer(browser, demo, { src: `${stage.url}/all.m3u8`, trackers: '', attributes: { controls: '' } });
        await viewer.until('it plays', (state) => state.readyState >= 3, { seconds: 40 });
        await viewer.with((element) => element.pause());
        // By the playlist: the default is shown, and with it nothing that is forced.
        const tracks = await viewer.with((element) => [...element.textTracks].filter(({ kind }) => kind === 'subtitles' || kind === 'captions').map(({ kind, label, language, mode }) => [kind, label, language, mode]));
        assert.deepEqual(tracks, [
          ['subtitles', 'English', 'en', 'showing'], ['subtitles', 'Deutsch', 'de', 'disabled'],
          ['subtitles', 'Signs', 'en', 'disabled'], ['captions', 'Captions', 'en', 'disabled'],
        ]);
        await shows(viewer, 'English', 2, ['Hello from WebVTT']);
        if (name === 'Chromium') await onScreen(viewer, 'English', 2, 4);
        await shows(viewer, 'English', 4, []);
        await shows(viewer, 'English', 8.5, ['across a segment']);
        const cues = await viewer.with((element) => [...element.textTracks].find(({ label }) => label === 'English').cues.length);
        assert.equal(cues, 2, 'a cue in two segments is one');
        // By the viewer: another language, as IMSC1 text; and captions out of the pictures.
        await switchTo(viewer, 'Deutsch');
        await shows(viewer, 'Deutsch', 2, ['Hallo aus <c.yellow>IMSC</c>']);
        const { line, snapToLines } = await viewer.with((element) => {
          const [cue] = [...element.textTracks].find(({ label }) => label === 'Deutsch').activeCues;
          return { line: cue.line, snapToLines: cue.snapToLines };
        });
        assert.deepEqual([line, snapToLines], [10, false]);
        await switchTo(viewer, 'Captions');
        await shows(viewer, 'Captions', 3, ['CAPTION ONE']);
        await shows(viewer, 'Captions', 5.5, []);
        if (name === 'Chromium') await onScreen(viewer, 'Captions', 3, 5.5);
        // Switched off: what is essential is shown; and switched off itself, nothing.
        await switchTo(viewer, null);
        await shows(viewer, 'Signs', 3, ['SIGN']);
        await switchTo(viewer, null);
        const modes = await viewer.with((element) => [...element.textTracks].filter(({ mode }) => mode === 'showing').length);
        assert.equal(modes, 0);
        assert.deepEqual(viewer.problems, []);
        await viewer.close();
      });

      test('metadata, chapters and thumbnails are there for the page', { timeout: 60_000 }, async () => {
        const viewer = await openViewer(browser, demo, { src: `${stage.url}/all.m3u8`, trackers: '' });
        const track = async (label, kind = 'metadata') => await until(`there is ${label}`, async () => {
          const cues = await viewer.with((element, [label, kind]) => {
            const track = [...element.textTracks].find((track) => track.label === label && track.kind === kind);
            return [...(track?.cues ?? [])].map(({ id, startTime, endTime, text, type, value }) => ({
              id, startTime, endTime, text, type, value: value?.data instanceof ArrayBuffer ? { ...value, data: [...new Uint8Array(value.data)] } : value,
            }));
          }, [label, kind]);
          return cues.length > 0 && cues;
        }, { seconds: 30 });
        const [range] = await track('daterange');
        assert.deepEqual([range.id, range.startTime, range.endTime, range.value['X-NOTE']], ['ad', 4, 7, 'n']);
        const [song] = await track('id3');
        assert.deepEqual([song.startTime, song.endTime, song.value], [2, 2.5, { key: 'TIT2', info: '', data: 'a' }]);
        const [event] = await track('emsg');
        assert.deepEqual([event.startTime, event.value], [3, { schemeIdUri: 'urn:example', value: '', data: [1, 2, 3] }]);
        const chapters = await track('', 'chapters');
        assert.deepEqual(chapters.map(({ startTime, text }) => [startTime, text]), [[0, 'Intro'], [5, 'Rest']]);
        const thumbnails = await track('thumbnails');
        assert.equal(thumbnails.length, 12);
        assert.deepEqual([thumbnails[4].startTime, thumbnails[4].text], [4, `${stage.url}/tiles.jpg#xywh=160,90,160,90`]);
        // Another title has none of it.
        await viewer.with((element, src) => element.setAttribute('src', src), `${stage.url}/ts.m3u8`);
        await viewer.until('the other title plays', (state) => state.readyState >= 3 && state.error === null, { seconds: 30 });
        const left = await viewer.with((element) => [...element.textTracks].map(({ label }) => label).filter((label) => label !== 'CC1'));
        assert.deepEqual(left, []);
        assert.deepEqual(viewer.problems, []);
        await viewer.close();
      });

      test('captions that nobody declares are found in MPEG-2 TS, and I-frames become thumbnails', { timeout: 60_000 }, async () => {
        const viewer = await openViewer(browser, demo, { src: `${stage.url}/found.m3u8`, trackers: '' });
        await until('captions are found', async () => await viewer.with((element) => [...element.textTracks].some(({ label, kind }) => label === 'CC1' && kind === 'captions')), { seconds: 40 });
        await viewer.with((element) => element.pause());
        await switchTo(viewer, 'CC1');
        await shows(viewer, 'CC1', 3, ['CAPTION ONE']);
        await switchTo(viewer, 'ffmpeg');
        await shows(viewer, 'ffmpeg', 2, ['Hello from ffmpeg']);
        const picture = await until('an I-frame is decoded', async () => {
          const text = await viewer.with((element) => [...element.textTracks].find(({ label }) => label === 'thumbnails')?.cues[1]?.text ?? '');
          return text.startsWith('blob:') && text;
        }, { seconds: 20 });
        const size = await viewer.with(async (element, url) => {
          const image = new Image();
          image.src = url;
          await image.decode();
          return [image.naturalWidth, image.naturalHeight];
        }, picture);
        assert.deepEqual(size, [240, 135]);
        assert.match(picture, /#xywh=0,0,240,135$/);
        await viewer.close();
      });

      test('subtitles of a live stream come at their times, and go when nobody can seek back to them', { timeout: 60_000 }, async () => {
        const live = mkdtempSync(path.join(tmpdir(), 'potluck-live-'));
        const routes = liveRoutes(live);
        const channel = await startStage({ ...routesOf(live), ...routes });
        const viewer = await openViewer(browser, demo, { src: `${channel.url}/live.m3u8`, trackers: '' });
        const cues = async () => await viewer.with((element) => [...([...element.textTracks].find(({ label }) => label === 'Live')?.cues ?? [])].map(({ startTime, text }) => [startTime, text]));
        const [[start, text]] = await until('there are cues', async () => (await cues()).length > 0 && await cues(), { seconds: 30 });
        const second = Number(text.split(' ')[1]);
        await until('the first one has gone and others have come', async () => {
          const left = await cues();
          return left.length > 2 && left.every((cue) => cue[0] > start) && left.every((cue) => Math.abs(cue[0] - start - (Number(cue[1].split(' ')[1]) - second)) < 0.1);
        }, { seconds: 25, describe: cues });
        assert.ok((await cues()).length <= 10);
        await viewer.close();
        await channel.stop();
        rmSync(live, { recursive: true, force: true });
      });

      for (const [fixture, label, at, text] of [
        ['hls-text-offset', 'caption_webvtt_en_webvtt', 0.5, "You're a jerk Tom!"],
        ['hls-text-offset', 'caption_webvtt_en_webvtt', 7.3, 'cues after discontinuity'],
        ['hls-text-no-discontinuity', 'de', 1.5, 'Heute haben wir einen wesentlichen Meilenstein'],
      ]) {
        test(`${fixture}: "${text}" at ${at} s`, { timeout: 60_000, skip: existsSync(FIXTURES) ? false : 'the fixtures are not here' }, async () => {
          const playlist = readdirSync(path.join(FIXTURES, fixture)).find((file) => file === 'index.m3u8');
          const viewer = await openViewer(browser, demo, { src: `${stage.url}/${fixture}/${playlist}`, trackers: '' });
          await viewer.until('it plays', (state) => state.readyState >= 3, { seconds: 40 });
          await viewer.with((element) => element.pause());
          await switchTo(viewer, label);
          await shows(viewer, label, at, [text]);
          await viewer.close();
        });
      }
    });
  }
});

/** Shows one track, as a menu does: the others are switched off. */
async function switchTo(viewer, label) {
  await viewer.with(async (element, label) => {
    for (const track of element.textTracks) {
      if (track.kind !== 'subtitles' && track.kind !== 'captions') continue;
      const mode = track.label === label ? 'showing' : 'disabled';
      if (track.mode !== mode) track.mode = mode;
    }
    // The change is told in a task of its own.
    await new Promise((resolve) => setTimeout(resolve, 50));
  }, label);
}

/** At this second these cues of a track are active. */
async function shows(viewer, label, second, texts) {
  await viewer.with((element, second) => {
    element.currentTime = second;
  }, second);
  await until(`${label} shows ${JSON.stringify(texts)} at ${second} s`, async () => (await active(viewer, label)).active.join('|') === texts.join('|'), {
    seconds: 20, describe: async () => await active(viewer, label),
  });
}

async function active(viewer, label) {
  return await viewer.with((element, label) => {
    const track = [...element.textTracks].find((track) => track.label === label);
    return {
      active: element.seeking ? ['seeking'] : [...(track?.activeCues ?? [])].map(({ text }) => text),
      mode: track?.mode, position: element.currentTime, all: [...(track?.cues ?? [])].map(({ startTime, endTime, text }) => [startTime, endTime, text]),
    };
  }, label);
}

/** A screenshot (kept in the folder that SCREENSHOTS names) with the cue has white where one without has none: the film is black. */
async function onScreen(viewer, label, during, without) {
  const white = async (second) => {
    await viewer.with(async (element, second) => {
      element.removeAttribute('controls');
      element.currentTime = second;
      while (element.seeking) await new Promise((resolve) => setTimeout(resolve, 20));
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    }, second);
    const box = await viewer.with((element) => element.getBoundingClientRect().toJSON());
    const clip = { x: box.x, y: box.y, width: box.width, height: box.height };
    const png = await viewer.page.screenshot({ clip, encoding: 'base64' });
    if (process.env.SCREENSHOTS) writeFileSync(path.join(process.env.SCREENSHOTS, `text-${label}-${second}.png`), Buffer.from(png, 'base64'));
    return await viewer.with(async (element, png) => {
      const image = new Image();
      image.src = `data:image/png;base64,${png}`;
      await image.decode();
      const canvas = new OffscreenCanvas(image.width, image.height);
      const context = canvas.getContext('2d');
      context.drawImage(image, 0, 0);
      const { data } = context.getImageData(0, 0, image.width, image.height);
      let count = 0;
      for (let at = 0; at < data.length; at += 4) if (data[at] > 200 && data[at + 1] > 200 && data[at + 2] > 200) count += 1;
      return count;
    }, png);
  };
  const [blank, text] = [await white(without), await white(during)];
  assert.ok(blank < 20 && text > 200, `${label}: ${blank} white pixels without, ${text} with the cue`);
}
