// What a page can make the iframe do, and what it cannot: streams, cookies, messages, and who may show it.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { WWW } from './lib/package.mjs';
import { startStage } from './lib/stage.mjs';
import { until } from './lib/wait.mjs';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm', '.m3u8': 'application/vnd.apple.mpegurl' };

/** A site with the player and the film on one origin, which gives each visitor a cookie. `seen`: path and cookie of each request. */
async function startSite(demo) {
  const seen = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://site');
    seen.push({ pathname, cookie: request.headers.cookie ?? null });
    answer(pathname).then((body) => {
      response.writeHead(200, { 'content-type': TYPES[path.extname(pathname)] ?? 'application/octet-stream', 'set-cookie': 'session=secret; Path=/; SameSite=Lax' }).end(body);
    }).catch(() => response.writeHead(404).end());
  });
  const answer = async (pathname) => {
    if (pathname.startsWith('/film/')) {
      const film = await fetch(demo.url + pathname.replace('/film/', '/media/sample/'));
      if (!film.ok) throw new Error('no such file');
      return Buffer.from(await film.arrayBuffer());
    }
    const body = await readFile(path.join(WWW, path.basename(pathname)));
    return pathname === '/lends/embed.html' ? String(body).replace('<title>', '<meta name="potluck-embed-credentials" content="same-origin"><title>') : body;
  };
  await new Promise((resolve) => server.listen(0, 'localhost', resolve));
  return { url: `http://localhost:${server.address().port}`, seen, stop: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }) };
}

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`the iframe's gates in ${name}`, () => {
    let demo;
    let listed;
    let browser;
    let stage;
    let stranger;
    let site;
    before(async () => {
      // Two sites by two names: the second is not on the list of pages that may show the player.
      stage = await startStage({});
      stranger = await startStage({});
      [demo, listed, browser] = await Promise.all([
        startDemo(), startDemo({ more: ['--embed-src', '/media/sample/', '--embed-src', 'https://films.example', '--embed-on', stage.url] }), launch(),
      ]);
      site = await startSite(demo);
      const embed = (server, query) => `<iframe width="320" height="180" src="${server.url}/embed?${new URLSearchParams({ muted: '1', lazy: '1', ...query })}"></iframe>`;
      const driver = (server) => `<script type="module">
        import { PotluckEmbed } from '${server.url}/embed-client.js';
        window.player = new PotluckEmbed(document.querySelector('iframe'));
        window.heard = [];
        for (const type of ['play', 'volumechange', 'timeupdate']) player.addEventListener(type, () => heard.push([type, player.state.volume]));
      </script>`;
      const page = (...parts) => `<!doctype html><title>x</title><link rel="icon" href="data:,">${parts.join('\n')}`;
      stage.routes['/listed.html'] = page(embed(listed, { src: listed.vod }), driver(listed));
      stage.routes['/driven.html'] = page(embed(demo, { src: demo.vod }), `<iframe id="other" src="${stranger.url}/meddler.html"></iframe>`, driver(demo));
      stranger.routes['/listed.html'] = stage.routes['/listed.html'];
      // Everything a meddler knows: the messages of both sides, to whoever it can name.
      stranger.routes['/meddler.html'] = page(`<script>
        window.got = [];
        addEventListener('message', (event) => got.push(event.data));
        window.meddle = () => {
          const everybody = [parent, ...Array.from({ length: parent.length }, (_, n) => parent.frames[n])];
          for (const one of everybody.filter((one) => one !== window)) {
            one.postMessage({ potluck: 1, id: 99, set: 'volume', value: 0.123 }, '*');
            one.postMessage({ potluck: 1, id: 98, call: 'play', args: [] }, '*');
            one.postMessage({ potluck: 1, id: 97, get: 'src' }, '*');
            one.postMessage(JSON.stringify({ id: 1, method: 'peertube::setVolume', params: 0.123 }), '*');
            one.postMessage({ potluck: 1, ready: true }, '*');
            for (let id = 0; id < 50; id += 1) one.postMessage({ potluck: 1, id, result: 'forged' }, '*');
            one.postMessage({ potluck: 1, event: 'timeupdate', state: { volume: 0.123 }, detail: null }, '*');
          }
        };
      </script>`);
    });
    after(async () => {
      await browser?.close();
      await Promise.all([demo, listed, stage, stranger, site].map((one) => one?.stop()));
    });

    async function open(url) {
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      await page.goto(url, { waitUntil: 'load' });
      return { page, ask: (expression) => page.evaluate(`(async () => ${expression})()`), close: () => context.close() };
    }

    /** What the iframe's page does with a query: `plays`, or what it says. */
    const shown = (page) => until('it says or shows something', () => page.evaluate(
      `document.querySelector('potluck-player')?.getAttribute('src') ? 'plays' : document.querySelector('[role=alert]')?.textContent`));

    test('it plays what the site lists, and nothing else', { timeout: 60_000 }, async () => {
      const { page, close } = await open(`${listed.url}/embed`);
      const inside = [listed.vod, '/media/sample/720p/index.m3u8', 'https://films.example/a/b.m3u8?x=1'];
      const outside = [
        listed.live, demo.vod, 'https://films.example.evil/a.m3u8', 'http://films.example/a.m3u8', 'https://films.example@evil.example/a.m3u8', '/media/sampler/a.m3u8',
        '/media/sample/../live/master.m3u8', '/media/sample/%2e%2e/live/master.m3u8', '/media/sample/..%2flive/master.m3u8', '/media/sample/..%5clive/master.m3u8',
        'data:application/vnd.apple.mpegurl,%23EXTM3U', 'javascript:alert(1)', '//evil.example/media/sample/a.m3u8', '\\\\evil.example/media/sample/a.m3u8',
      ];
      for (const [list, wanted] of [[inside, /^plays$/], [outside, /does not let it play/]]) {
        for (const src of list) {
          await page.goto(`${listed.url}/embed?${new URLSearchParams({ src, lazy: '1', poster: listed.live })}`, { waitUntil: 'load' });
          assert.match(await shown(page), wanted, src);
          assert.equal(await page.evaluate(`document.querySelector('potluck-player')?.hasAttribute('poster') ?? false`), false, 'a poster from elsewhere');
        }
      }
      await close();
    });

    test('messages cannot make it play anything else either', { timeout: 60_000 }, async () => {
      const { ask, close } = await open(`${stage.url}/listed.html`);
      await until('the iframe answers', () => ask(`Boolean(window.player && await Promise.race([player.ready.then(() => true), new Promise((go) => setTimeout(go, 200))]))`), { seconds: 30 });
      for (const property of ['src', 'poster']) {
        const refused = await ask(`player.set('${property}', ${JSON.stringify(listed.live)}).then(() => 'taken', (cause) => cause.message)`);
        assert.match(refused, /site does not let it load/, property);
      }
      assert.equal(await ask(`player.set('src', '/media/sample/480p/index.m3u8').then(() => player.get('src'))`), '/media/sample/480p/index.m3u8');
      await close();
    });

    test('only listed pages show it', { timeout: 60_000 }, async () => {
      const { page, close } = await open(`${stranger.url}/listed.html`);
      const inside = async () => await Promise.all(page.frames().filter((frame) => frame !== page.mainFrame())
        .map((frame) => frame.evaluate(`Boolean(document.querySelector('[data-potluck-embed]'))`).catch(() => false)));
      // It has been refused by when the other page's, which was asked for later, is there.
      const other = await open(`${stage.url}/listed.html`);
      await until('the listed page has it', () => other.ask(`Boolean(window.player && await Promise.race([player.ready.then(() => true), new Promise((go) => setTimeout(go, 200))]))`), { seconds: 30 });
      assert.ok(!(await inside()).includes(true));
      await other.close();
      await close();
    });

    test('its requests carry no cookies of its visitor, unless the site lets them', { timeout: 60_000 }, async () => {
      for (const [page, lent] of [['/embed.html', false], ['/lends/embed.html', true]]) {
        const query = new URLSearchParams({ src: `${site.url}/film/master.m3u8`, muted: '1', autoplay: '1', consent: 'off' });
        const first = await open(`${site.url}${page}`);
        site.seen.length = 0;
        await first.page.goto(`${site.url}${page}?${query}`, { waitUntil: 'load' });
        const media = () => site.seen.filter(({ pathname }) => pathname.startsWith('/film/') && !pathname.endsWith('.jpg'));
        await until('a segment was asked for', () => media().some(({ pathname }) => pathname.endsWith('.m4s')), { seconds: 30 });
        assert.ok(site.seen.some(({ pathname, cookie }) => pathname.endsWith('embed.html') && cookie === 'session=secret'), 'the visitor has the cookie');
        assert.deepEqual([...new Set(media().map(({ cookie }) => cookie))], [lent ? 'session=secret' : null], page);
        await first.close();
      }
    });

    test('a frame beside it cannot drive it, nor speak for it', { timeout: 60_000 }, async () => {
      const { page, ask, close } = await open(`${stage.url}/driven.html`);
      await until('the iframe answers', () => ask(`Boolean(window.player && await Promise.race([player.ready.then(() => true), new Promise((go) => setTimeout(go, 200))]))`), { seconds: 30 });
      const meddler = await until('the meddler is there', () => page.frames().find((frame) => frame.url().includes('meddler')));
      await until('its script too', () => meddler.evaluate('typeof meddle === "function"').catch(() => false));
      await meddler.evaluate('meddle()');
      // Messages come in order: once this has been answered, those before have been heard.
      await ask(`player.set('volume', 0.5)`);
      await until('the volume is told', () => ask('heard.length > 0'));
      assert.equal(await ask(`player.get('volume')`), 0.5);
      assert.equal(await ask(`player.get('paused')`), true);
      assert.ok(!(await ask('heard')).some(([, volume]) => volume === 0.123));
      assert.equal(JSON.stringify(await ask(`player.get('src')`)).includes('forged'), false);
      assert.deepEqual(await meddler.evaluate('got'), [], 'nobody answers it');
      await close();
    });

    test('a page that the iframe was led to is neither told anything nor believed', { timeout: 60_000 }, async () => {
      const { page, ask, close } = await open(`${stage.url}/driven.html`);
      await until('the iframe answers', () => ask(`Boolean(window.player && await Promise.race([player.ready.then(() => true), new Promise((go) => setTimeout(go, 200))]))`), { seconds: 30 });
      await ask(`{ heard.length = 0; document.querySelector('iframe').src = '${stranger.url}/meddler.html?instead'; }`);
      const impostor = await until('it is there', () => page.frames().find((frame) => frame.url().includes('?instead')));
      await until('its script too', () => impostor.evaluate('typeof meddle === "function"').catch(() => false));
      await ask(`{ window.secret = player.set('src', 'https://site.example/secret.m3u8').then(() => 'answered', () => 'failed'); }`);
      await impostor.evaluate('meddle()');
      await ask('new Promise((go) => { addEventListener("message", ({ data }) => data === "last" && go()); postMessage("last", "*"); setTimeout(go, 5000); })');
      assert.equal(await ask(`Promise.race([secret, new Promise((go) => setTimeout(go, 300, 'waits'))])`), 'waits', 'the forged answer does not count');
      assert.deepEqual(await ask('heard'), []);
      assert.ok(!JSON.stringify(await impostor.evaluate('got')).includes('secret'), 'the address was not for it');
      await close();
    });
  });
}
