// The project's home: the front page and the docs, on any screen, in light and dark; axe as the judge of accessibility.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import { chromium } from './lib/browsers.mjs';
import { OUT, scene } from './lib/scene.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

describe('the home of the project', () => {
  let demo;
  let browser;
  scene(chromium, (...both) => { [demo, browser] = both; });

  for (const [name, path] of [['home', '/'], ['docs', '/docs']]) {
    test(`${name}: fits 360, 768 and 1440 px in light and dark, and axe finds nothing`, { timeout: 90_000 }, async () => {
      const viewer = await openViewer(browser, demo, { page: `${demo.url}${path}` });
      if (name === 'home') await until('the film plays', () => viewer.frame.evaluate('document.querySelector("potluck-player")?.currentTime > 1'), { seconds: 30 });
      await viewer.frame.evaluate(`Promise.all([...document.querySelectorAll('figure img')].map((image) => { image.loading = 'eager'; return image.closest('details') ? null : image.decode(); }))`);
      await viewer.frame.evaluate(axe);
      for (const width of [1440, 768, 360]) {
        for (const scheme of ['light', 'dark']) {
          await viewer.page.setViewport({ width, height: 900 });
          await viewer.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
          const wide = await viewer.frame.evaluate('document.documentElement.scrollWidth');
          assert.ok(wide <= width, `the page is ${wide} px wide on a screen of ${width} px`);
          const { violations } = await viewer.frame.evaluate(`axe.run({ exclude: ['potluck-player'] })`);
          assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 4).map((node) => node.html).join()}`), [], `${scheme}, ${width} px`);
          await viewer.page.screenshot({ path: `${OUT}${name}-${scheme}-${width}.png`, fullPage: name === 'home' });
        }
      }
      assert.deepEqual(viewer.problems, []);
      await viewer.close();
    });
  }

  test('the docs have what the elements have, and their links lead somewhere', async () => {
    const page = await (await fetch(`${demo.url}/docs`)).text();
    const manifest = await (await fetch(`${demo.url}/custom-elements.json`)).json();
    for (const { tagName, attributes, events, cssProperties = [] } of manifest.modules.flatMap(({ declarations }) => declarations)) {
      assert.ok(page.includes(`&lt;${tagName}&gt;`), tagName);
      for (const { name } of [...attributes, ...events, ...cssProperties]) assert.ok(page.includes(`<code>${name}</code>`), `${tagName}: ${name}`);
    }
    for (const part of ['PotluckEmbed', 'What plays', 'Content-Security-Policy', 'PeerTube']) assert.ok(page.includes(part), part);
    const ids = new Set([...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
    for (const [, id] of page.matchAll(/href="#([^"]+)"/g)) assert.ok(ids.has(id), `#${id} leads nowhere`);
    for (const path of ['/generator', '/bench-swarm.svg', '/bench-abr.svg']) assert.equal((await fetch(demo.url + path)).status, 200, path);
    assert.match(await (await fetch(`${demo.url}/`)).text(), /<table class="figures">/);
  });
});
