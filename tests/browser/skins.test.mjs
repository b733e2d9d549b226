// <potluck-video> under skins and code that know media elements and nothing of Potluck: themes of player.style on media-chrome, Plyr, React.

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chromium } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { freshProject, run, serveFolder } from './lib/package.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

const FILES = {
  'index.html': '<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Skins</title><main style="width: 640px"></main><script type="module" src="/main.js"></script></html>',
  'main.js': `
    import 'potluck-player';
    const query = new URLSearchParams(location.search);
    const main = document.querySelector('main');
    const video = document.createElement('potluck-video');
    video.muted = true;
    video.setAttribute('src', query.get('src'));
    const skins = {
      sutro: async () => { await import('player.style/sutro'); theme('media-theme-sutro'); },
      yt: async () => { await import('player.style/yt'); theme('media-theme-yt'); },
      async plyr() {
        const [{ default: Plyr }] = await Promise.all([import('plyr'), import('plyr/dist/plyr.css')]);
        main.append(video);
        // Plyr asks for the tag's name, and for nothing else that a <video> is.
        Object.defineProperty(video, 'tagName', { value: 'VIDEO' });
        window.plyr = new Plyr(video, { iconUrl: 'data:image/svg+xml,<svg/>', blankVideo: '', storage: { enabled: false } });
      },
      react: async () => (await import('./react.js')).render(main, query.get('src')),
    };
    function theme(tag) {
      const element = document.createElement(tag);
      video.slot = 'media';
      element.append(video);
      main.append(element);
    }
    await skins[query.get('skin')]();
    window.ready = true;`,
  'react.js': `
    import { createElement as el, useEffect, useRef, useState } from 'react';
    import { createRoot } from 'react-dom/client';
    function App({ src }) {
      const video = useRef(null);
      const [time, setTime] = useState(0);
      useEffect(() => {
        const element = video.current;
        const show = () => setTime(element.currentTime);
        element.addEventListener('timeupdate', show);
        return () => element.removeEventListener('timeupdate', show);
      }, []);
      return el('div', null,
        el('potluck-video', { ref: video, src, muted: true, playsinline: '' }),
        el('button', { onClick: () => { video.current.paused ? video.current.play() : video.current.pause(); } }, 'toggle'),
        el('output', null, time.toFixed(0)));
    }
    export const render = (into, src) => createRoot(into).render(el(App, { src }));`,
};

describe('<potluck-video> under', () => {
  let demo;
  let browser;
  let project;
  let site;
  before(async () => {
    project = await freshProject(FILES, ['vite', 'player.style', 'media-chrome', 'plyr', 'react', 'react-dom']);
    await run(project.folder, 'vite/bin/vite.js', 'build', '--logLevel', 'warn');
    [demo, browser, site] = await Promise.all([startDemo(), chromium(), serveFolder(path.join(project.folder, 'dist'))]);
  });
  after(async () => {
    await browser?.close();
    await demo?.stop();
    await site?.stop();
    await project?.remove();
  });

  async function open(skin) {
    const viewer = await openViewer(browser, demo, { page: `${site.url}/?${new URLSearchParams({ skin, src: demo.vod })}`, before: `window.deep = (selector, root = document) => {
      for (const one of root.querySelectorAll('*')) { if (one.matches(selector)) return one; const inner = one.shadowRoot && deep(selector, one.shadowRoot); if (inner) return inner; }
      return null;
    };` });
    await until('the skin is there', () => viewer.frame.evaluate('window.ready && Boolean(document.querySelector("potluck-video")?.nativeEl)'));
    await viewer.adopt(() => document.querySelector('potluck-video'));
    return viewer;
  }

  for (const theme of ['sutro', 'yt']) {
    test(`the theme ${theme} of player.style`, { timeout: 60_000 }, async () => {
      const viewer = await open(theme);
      const ask = async (expression) => await viewer.frame.evaluate(expression);
      await until('the controls know the film', () => ask(`deep('media-controller')?.getAttribute('mediaduration') > 60`), { seconds: 30 });
      await ask(`deep('media-play-button').click()`);
      const state = await viewer.plays(1, { seconds: 30 });
      assert.equal(state.error, null, inWords(state));
      await until('they know that it plays', () => ask(`deep('media-controller').getAttribute('mediapaused') === null`));
      // Through the skin's own requests, as its range sends them.
      await ask(`deep('media-time-range').dispatchEvent(new CustomEvent('mediaseekrequest', { bubbles: true, composed: true, detail: 40 }))`);
      await viewer.until('it seeks', ({ position }) => position >= 40, { seconds: 20 });
      await ask(`deep('media-mute-button').click()`);
      await until('there is sound', () => viewer.with((element) => !element.muted));
      assert.equal(await ask(`deep('media-controller').mediaStore.getState().mediaRenditionList.length`), 3, 'its qualities');
      await ask(`deep('media-play-button').click()`);
      await viewer.until('it pauses', ({ paused }) => paused);
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });
  }

  test('Plyr', { timeout: 60_000 }, async () => {
    const viewer = await open('plyr');
    const ask = async (expression) => await viewer.frame.evaluate(expression);
    await until('it is set up', () => ask(`Boolean(document.querySelector('.plyr .plyr__controls [data-plyr="play"]'))`));
    await ask(`document.querySelector('.plyr__controls [data-plyr="play"]').click()`);
    await viewer.plays(1, { seconds: 30 });
    assert.equal(await ask('plyr.playing'), true);
    assert.ok(await ask('plyr.duration > 60'));
    await ask('plyr.currentTime = 30; plyr.speed = 1.5; plyr.volume = 0.3');
    await viewer.until('it seeks, faster', ({ position, rate }) => position >= 30 && position < 50 && rate === 1.5, { seconds: 20 });
    await until('the time is shown', () => ask(`/00:[34]/.test(document.querySelector('.plyr__time--current').textContent) || /-00:/.test(document.querySelector('.plyr__time--current').textContent)`), { describe: () => ask(`document.querySelector('.plyr__time--current').textContent`) });
    await ask('plyr.pause()');
    await viewer.until('it pauses', ({ paused }) => paused);
    assert.equal(await ask(`document.querySelector('.plyr').classList.contains('plyr--paused')`), true);
    assert.deepEqual(viewer.problems, []);
    await viewer.close();
  });

  test('React, through its ref', { timeout: 60_000 }, async () => {
    const viewer = await open('react');
    await viewer.page.click('button');
    await viewer.plays(2, { seconds: 30 });
    await until('the time comes from its events', () => viewer.frame.evaluate('Number(document.querySelector("output").textContent) >= 1'));
    await viewer.page.click('button');
    await viewer.until('it pauses', ({ paused }) => paused);
    assert.deepEqual(viewer.problems, []);
    await viewer.close();
  });
});
