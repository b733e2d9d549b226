// The npm package, from `npm pack` on: on a server, in the type checker, and in a site that Vite builds.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chromium } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { filesBelow, freshProject, run, serveFolder } from './lib/package.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';

const FILES = {
  'index.html': '<!doctype html><html lang="de"><link rel="icon" href="data:,"><title>Fresh</title><main></main><script type="module" src="/main.js"></script></html>',
  'main.js': `
    import { PotluckPlayer } from 'potluck-player';
    const player = new PotluckPlayer();
    const query = new URLSearchParams(location.search);
    for (const name of ['src', 'trackers']) if (query.has(name)) player.setAttribute(name, query.get(name));
    player.muted = player.autoplay = true;
    document.querySelector('main').append(player);`,
  'server.mjs': `
    import * as all from 'potluck-player';
    import * as player from 'potluck-player/player';
    import * as embed from 'potluck-player/embed';
    if (!all.PotluckVideo || !player.PotluckPlayer || !embed.PotluckEmbed) throw new Error(Object.keys(all).join());
    process.stdout.write('imported');`,
  'types.ts': await readFile(new URL('types/promises.ts', import.meta.url), 'utf8'),
  'tsconfig.json': JSON.stringify({ compilerOptions: { strict: true, noEmit: true, target: 'es2022', module: 'nodenext', moduleResolution: 'nodenext', lib: ['es2022', 'dom', 'dom.iterable'], types: [] }, files: ['types.ts'] }),
};

describe('the package', () => {
  let project;
  before(async () => {
    project = await freshProject(FILES, ['expect-type']);
  });
  after(async () => {
    await project?.remove();
  });

  test('has what its package.json names, a licence, and nothing of the demo', async () => {
    const { contents } = project;
    const manifest = JSON.parse(await readFile(path.join(project.installed, 'package.json'), 'utf8'));
    const named = JSON.stringify([manifest.exports, manifest.types, manifest.main, manifest.customElements]).match(/dist\/[\w./-]+\w(?!\*)/g).filter((file) => !file.includes('*'));
    for (const file of [...named, 'README.md', 'API.md', 'dist/LICENSE-MIT', 'dist/LICENSE-APACHE']) assert.ok(contents.includes(file), `${file} is missing`);
    assert.deepEqual(contents.filter((file) => /\.map$|demo|generator|home|docs|\.svg$|index\.html/.test(file)), []);
    // Each file that the player may load is named for bundlers.
    const files = await readFile(path.join(project.installed, 'dist/package-files.js'), 'utf8');
    for (const file of contents.filter((one) => /^dist\/(potluck.*\.(wasm|js)|lang\/.*)$/.test(one))) {
      const name = file.slice('dist/'.length);
      // What scripts of the page import is found by the import; English is inside.
      if (['potluck.js', 'potluck-player.js', 'potluck-panels.js', 'potluck-drm.js', 'potluck-peers.js', 'potluck-tracks.js', 'potluck-peertube.js', 'potluck-recorder.js', 'lang/en.json'].includes(name)) continue;
      assert.ok(files.includes(`./${name}`), `bundlers do not find ${name}`);
    }
  });

  test('is imported on a server, where there are no elements', async () => {
    const { stdout } = await run(project.folder, path.join(project.folder, 'server.mjs'));
    assert.equal(stdout, 'imported');
  });

  test('has the types that its documentation promises', { timeout: 60_000 }, async () => {
    await run(project.folder, 'typescript/bin/tsc', '-p', '.');
  });

  test('has a custom elements manifest that is true', async () => {
    const manifest = JSON.parse(await readFile(path.join(project.installed, 'dist/custom-elements.json'), 'utf8'));
    const api = await readFile(path.join(project.installed, 'API.md'), 'utf8');
    const sources = await Promise.all(['src/controls', 'src/internal', 'src/public'].map(async (folder) => {
      const root = new URL(`../../www/${folder}/`, import.meta.url);
      const texts = (await filesBelow(root)).filter((file) => /\.(ts|css)$/.test(file)).map((file) => readFile(new URL(file, root), 'utf8'));
      return (await Promise.all(texts)).map((text) => text.replaceAll(/\/\*\*[\s\S]*?\*\//g, ''));
    }));
    const text = sources.flat().join('\n');
    const declarations = manifest.modules.flatMap((module) => module.declarations);
    assert.deepEqual(declarations.map(({ tagName }) => tagName), ['potluck-video', 'potluck-player']);
    for (const { tagName, attributes, events, members, cssParts = [], cssProperties = [] } of declarations) {
      for (const { name, description } of attributes) {
        assert.ok(description, `${tagName}: ${name} is not described`);
        assert.match(text, new RegExp(`['"]${name}['"]`), `${tagName}: nothing reads the attribute ${name}`);
      }
      for (const { name } of events) assert.match(text, new RegExp(`'${name}'`), `${tagName}: nothing sends ${name}`);
      for (const { name } of cssParts) assert.match(text, new RegExp(`['~" ]${name}['" ]`), `${tagName}: there is no part ${name}`);
      for (const { name } of cssProperties) assert.ok(text.includes(`var(${name}`), `${tagName}: nothing reads ${name}`);
      // And the other way: what the documentation has is in the manifest.
      const own = [...attributes, ...events, ...members, ...cssProperties].map(({ name }) => name);
      for (const [, name] of api.matchAll(/^\| `([a-zA-Z-]+)`(?: \(`\w+`\))? \|.*\|.*\|$/gm)) {
        if (tagName === 'potluck-player' && ['waitingreason', 'currentTime'].includes(name)) continue;
        const section = api.slice(api.indexOf('### Attributes'), api.indexOf('### Properties'));
        if (section.includes(`\n| \`${name}\``)) assert.ok(own.includes(name), `${tagName}: ${name} is not in the manifest`);
      }
    }
  });

  describe('in a site that Vite builds', () => {
    let demo;
    let browser;
    let site;
    before(async () => {
      await run(project.folder, 'vite/bin/vite.js', 'build', '--logLevel', 'warn');
      [demo, browser, site] = await Promise.all([startDemo(), chromium(), serveFolder(path.join(project.folder, 'dist'))]);
    });
    after(async () => {
      await browser?.close();
      await demo?.stop();
      await site?.stop();
    });

    const open = async (query) => {
      const viewer = await openViewer(browser, demo, { page: `${site.url}/?${new URLSearchParams(query)}` });
      await until('the player is there', () => viewer.frame.evaluate('Boolean(document.querySelector("potluck-player")?.video)'));
      await viewer.adopt(() => document.querySelector('potluck-player').video);
      return viewer;
    };

    test('plays and shares, in German', { timeout: 90_000 }, async () => {
      const first = await open({ src: demo.vod, trackers: demo.tracker });
      await first.plays(2, { seconds: 30 });
      const second = await open({ src: demo.vod, trackers: demo.tracker });
      const state = await second.until('it gets something from the first', (now) => now.stats.peerBytes > 0, { seconds: 30 });
      assert.equal(state.error, null, inWords(state));
      const label = await second.frame.evaluate(`document.querySelector('potluck-player').shadowRoot.querySelector('[part~="fullscreen-button"]').getAttribute('aria-label')`);
      assert.equal(label, 'Vollbild');
      // Nothing was looked for under a name that Vite has not given.
      assert.deepEqual([...first.problems, ...second.problems], []);
      assert.ok(site.asked.some((name) => /\/potluck-sharing-[\w-]+\.wasm$/.test(name)), site.asked.join());
      assert.ok(site.asked.filter((name) => name.includes('potluck')).every((name) => /-[\w-]{8}\.\w+$/.test(name)), site.asked.join());
      await first.close();
      await second.close();
    });
  });
});
