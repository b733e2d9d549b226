// Markup and scripts in everything that others write: playlists, captions, chapters, trackers, instances, addresses. None becomes an
// element, none runs; and pages with Trusted Types, which take no HTML and no script from strings, have all of the player.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { startPeerTube } from './lib/peertube.mjs';
import { startStage } from './lib/stage.mjs';
import { makeTextStreams, routesOf } from './lib/text-streams.mjs';
import { until } from './lib/wait.mjs';

/** For places that a double quote ends, and for all others. CEA-608 has 32 characters in a row. */
const QUOTED = `<img src=x onerror=fired=1><script>fired=1</script><svg onload=fired=1>'><a href=javascript:fired=1>x</a>`;
const EVIL = `"'>${QUOTED}&lt;img src=x onerror=fired=1&gt;`;
const CAPTION = '<img src=x onerror=fired=1> ';
const SCRIPT_URL = 'javascript:fired=1';

/** In the page, before all else: what would show that something got through. */
function watch() {
  window.fired = 0;
  window.violations = [];
  document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI, sample }) => violations.push(`${effectiveDirective}: ${blockedURI} ${sample}`));
  window.found = () => {
    const found = [];
    const look = (root) => {
      for (const element of root.querySelectorAll('*')) {
        const own = element.closest('[data-own]') !== null;
        if (!own && /^(img|script|iframe|object|embed|a|base|link|form)$/.test(element.localName)) found.push(element.outerHTML.slice(0, 80));
        for (const { name, value } of element.attributes) {
          if (/^on/.test(name)) found.push(`${element.localName}[${name}]`);
          if (/^(href|action|formaction|srcdoc)$/.test(name) && /^\s*javascript:/i.test(value)) found.push(`${element.localName}[${name}=${value}]`);
        }
        if (element.shadowRoot) look(element.shadowRoot);
      }
    };
    look(document.body);
    return found;
  };
}

/** Writes what is hostile into a stream that has text of all kinds. */
function poison(folder) {
  const file = (name) => path.join(folder, name);
  const change = (name, edit) => writeFileSync(file(name), edit(readFileSync(file(name), 'utf8')));
  change('all.m3u8', (text) => text
    .replace('NAME="English",LANGUAGE="en"', `NAME="${QUOTED}",LANGUAGE="${QUOTED}",CHARACTERISTICS="${QUOTED}",ASSOC-LANGUAGE="${QUOTED}"`)
    .replace('NAME="Deutsch"', `NAME="IMSC ${QUOTED}"`).replace('NAME="Captions",LANGUAGE="en"', `NAME="608 ${QUOTED}",LANGUAGE="${QUOTED}"`)
    .replace('#EXT-X-SESSION-DATA', `#EXT-X-SESSION-DATA:DATA-ID="${QUOTED}",VALUE="${QUOTED}",LANGUAGE="${QUOTED}"\n`
      + `#EXT-X-SESSION-DATA:DATA-ID="u",URI="${SCRIPT_URL}"\n#EXT-X-SESSION-KEY:METHOD=AES-128,URI="${SCRIPT_URL}"\n#EXT-X-DEFINE:NAME="v",VALUE="${QUOTED}"\n#EXT-X-SESSION-DATA`)
    .replace('#EXT-X-STREAM-INF:', `#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="url ${QUOTED}",URI="${SCRIPT_URL}"\n`
      + `#EXT-X-STREAM-INF:NAME="${QUOTED}",STABLE-VARIANT-ID="${QUOTED}",PATHWAY-ID="${QUOTED}",`));
  change('v.m3u8', (text) => text.replace('ID="ad",CLASS="break"', `ID="${QUOTED}",CLASS="${QUOTED}",X-ASSET-URI="${SCRIPT_URL}"`).replace(/#EXTINF:([\d.]+),/g, `#EXTINF:$1,${EVIL}`));
  change('en0.vtt', (text) => `${text.replace('Hello from WebVTT', `<v ${QUOTED}><c.onclick><b onclick=fired=1>${EVIL}</b></c>`)}\nSTYLE\n::cue { background: url(${SCRIPT_URL}) }\n`);
  writeFileSync(file('chapters.json'), JSON.stringify([{ 'start-time': 0, duration: 8, titles: [{ language: EVIL, title: EVIL }], images: [{ url: SCRIPT_URL }] }]));
  change('images.m3u8', (text) => text.replace('tiles.jpg', SCRIPT_URL));
}

/** What sounds and captions of `named.m3u8` are called: in menus the names stand as they are. */
const NAMES = ['sound', 'another', '608', '708'].map((what) => `${what} ${QUOTED}`);

/** A stream with two sounds and captions of both kinds, whose names, languages and channels are hostile. */
function poisonNames(folder) {
  execFileSync('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-y', '-f', 'lavfi', '-i', 'sine=d=12', '-c:a', 'aac', '-b:a', '64k', '-f', 'hls', '-hls_time', '4',
    '-hls_playlist_type', 'vod', '-hls_segment_type', 'fmp4', '-hls_fmp4_init_filename', 'a-init.mp4', '-hls_segment_filename', 'a%d.m4s', 'a.m3u8'], { cwd: folder });
  const media = (type, name, more) => `#EXT-X-MEDIA:TYPE=${type},GROUP-ID="${type}",NAME="${name}",LANGUAGE="${QUOTED}",ASSOC-LANGUAGE="${QUOTED}",CHARACTERISTICS="${QUOTED}",${more}\n`;
  writeFileSync(path.join(folder, 'named.m3u8'), '#EXTM3U\n' + media('AUDIO', NAMES[0], 'DEFAULT=YES,URI="a.m3u8"') + media('AUDIO', NAMES[1], 'URI="a.m3u8"')
    + media('CLOSED-CAPTIONS', NAMES[2], 'INSTREAM-ID="CC1"') + media('CLOSED-CAPTIONS', NAMES[3], 'INSTREAM-ID="SERVICE1"') + media('CLOSED-CAPTIONS', 'x', `INSTREAM-ID="${QUOTED}"`)
    + '#EXT-X-STREAM-INF:BANDWIDTH=500000,CODECS="avc1.42c01e,mp4a.40.2",AUDIO="AUDIO",CLOSED-CAPTIONS="CLOSED-CAPTIONS"\nv.m3u8\n');
}

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
  describe(`what others write, in ${name}`, () => {
    let folder;
    let demo;
    let browser;
    let stage;
    let peertube;
    let tracker;
    before(async () => {
      folder = mkdtempSync(path.join(tmpdir(), 'potluck-injection-'));
      makeTextStreams(folder, { caption: CAPTION });
      poison(folder);
      poisonNames(folder);
      [demo, browser, stage] = await Promise.all([startDemo(), launch(), startStage(routesOf(folder))]);
      peertube = await startPeerTube(demo);
      tracker = new WebSocketServer({ port: 0, host: '127.0.0.1' });
      tracker.on('connection', (socket) => socket.on('message', (message) => {
        const { info_hash: infoHash } = JSON.parse(String(message));
        socket.send(JSON.stringify({ action: 'announce', info_hash: infoHash, 'failure reason': EVIL, 'warning message': EVIL }));
      }));
      await new Promise((resolve) => tracker.once('listening', resolve));
      const announce = `ws://127.0.0.1:${tracker.address().port}/${encodeURIComponent(EVIL)}`;
      const attribute = (text) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
      const player = (attributes) => `<potluck-player muted autoplay ${Object.entries(attributes).map(([key, value]) => `${key}="${attribute(value)}"`).join(' ')}></potluck-player>`;
      const body = (inside) => `<!doctype html><meta charset="utf-8"><title>x</title><link rel="icon" href="data:,"><body>${inside}<script type="module" data-own src="${demo.url}/potluck.js"></script>`;
      const all = player({ src: `${stage.url}/all.m3u8`, trackers: announce, heading: EVIL, poster: SCRIPT_URL, lang: EVIL, scheme: EVIL, swarm: EVIL, hashes: SCRIPT_URL, 'ice-servers': EVIL });
      stage.routes['/plain.html'] = body(all);
      const policy = `default-src 'none'; script-src ${demo.url} 'wasm-unsafe-eval'; worker-src blob: ${demo.url}; connect-src ${demo.url} ${stage.url} ws://127.0.0.1:*; media-src blob: data:; `
        + `img-src data: blob: ${demo.url} ${stage.url}; require-trusted-types-for 'script'; trusted-types potluck`;
      const strict = (html) => (request, response) => response.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': policy }).end(html);
      stage.routes['/strict.html'] = strict(body(all));
      stage.routes['/sharing.html'] = strict(body(player({ src: demo.vod, trackers: demo.tracker, heading: 'The film' })));
      const api = '/api/v1/videos/';
      const json = (value, status = 200) => ({ status, type: 'application/json', body: JSON.stringify(value) });
      const details = JSON.parse(peertube.routes[`${api}${peertube.id}`].body);
      peertube.routes[`${api}evil`] = json({ ...details, name: EVIL, previewPath: SCRIPT_URL, previewUrl: SCRIPT_URL, channel: { displayName: EVIL }, streamingPlaylists: [{ ...details.streamingPlaylists[0], segmentsSha256Url: SCRIPT_URL }] });
      peertube.routes[`${api}evil/captions`] = json({ data: [{ language: { id: EVIL, label: EVIL }, fileUrl: SCRIPT_URL, captionPath: SCRIPT_URL }, { language: { id: 'fr', label: EVIL }, captionPath: '/lazy-static/video-captions/fr.vtt' }] });
      peertube.routes[`${api}evil/chapters`] = json({ chapters: [{ timecode: 0, title: EVIL }] });
      peertube.routes[`${api}evil/storyboards`] = json({ storyboards: [{ storyboardPath: SCRIPT_URL, fileUrl: SCRIPT_URL, totalHeight: 360, totalWidth: 640, spriteHeight: 90, spriteWidth: 160, spriteDuration: 4 }] });
      peertube.routes[`${api}refused`] = json({ status: 503, detail: EVIL, error: EVIL }, 503);
      stage.routes['/named.html'] = strict(body(player({ src: `${stage.url}/named.m3u8` })));
      stage.routes['/peertube.html'] = body(player({ src: `${peertube.url}/w/evil` }));
      stage.routes['/refused.html'] = body(player({ src: `${peertube.url}/w/refused` }));
      stage.routes['/missing.html'] = body(player({ src: `${stage.url}/${encodeURIComponent(EVIL)}.m3u8?${QUOTED}` }));
      stage.routes['/page.html'] = body(player({ src: `${stage.url}/page.m3u8` }));
      stage.routes['/page.m3u8'] = { type: 'text/html', body: EVIL };
      stage.routes['/script-url.html'] = body(player({ src: SCRIPT_URL, poster: SCRIPT_URL }));
      stage.routes['/services/oembed'] = json({ html: `<iframe src="${attribute(`javascript:fired=1//embed?src=${SCRIPT_URL}&title=${QUOTED}`)}" onload="fired=1"></iframe>${EVIL}`, title: EVIL });
    });
    after(async () => {
      await browser?.close();
      await Promise.all([demo, stage, peertube].map((one) => one?.stop()));
      tracker?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    async function open(url) {
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      await page.evaluateOnNewDocument(watch);
      await page.goto(url, { waitUntil: 'load' });
      return { page, ask: (expression) => page.evaluate(`(async () => { const player = document.querySelector('potluck-player'); return ${expression}; })()`), close: () => context.close() };
    }

    /** Opens all that there is to open, and looks what came of what others wrote; what the menus say. */
    async function lookEverywhere({ page, ask }) {
      await until('the controls are there', () => ask(`Boolean(player.shadowRoot.querySelector('.layer'))`), { seconds: 30 });
      const found = [];
      const menus = [];
      const look = async () => found.push(...(await ask('found()')));
      await look();
      const root = 'player.shadowRoot';
      const count = await ask(`(${root}.querySelector('[part~=settings-button]').click(), ${root}.querySelectorAll('[part~=menu] [role=menuitem]').length)`);
      for (let n = 0; n < count; n += 1) {
        await ask(`(${root}.querySelectorAll('[part~=menu] [role=menuitem]')[${n}].click(), null)`);
        await look();
        menus.push(await ask(`${root}.querySelector('[part~=menu]').textContent`));
        await ask(`(${root}.querySelector('[part~=menu-heading]')?.click(), null)`);
      }
      await ask(`(${root}.querySelector('[part~=sharing-button]').click(), null)`);
      await until('the sharing panel is open', () => ask(`Boolean(${root}.querySelector('[part~=sheet][role=dialog]:not([hidden])'))`));
      await look();
      const menu = `[part~=context-menu]`;
      for (let n = 0; n < 3; n += 1) {
        await ask(`(player.dispatchEvent(new MouseEvent('contextmenu', { bubbles: true, cancelable: true, clientX: 9, clientY: 9 })), null)`);
        await until('the context menu is open', () => ask(`Boolean(${root}.querySelector('${menu}:not([hidden])'))`));
        await ask(`([...${root}.querySelectorAll('${menu} [role=menuitem]')].at(${-1 - n}).click(), null)`);
        await look();
      }
      // Chapters and thumbnails, where the pointer is.
      await ask(`(${root}.querySelector('[part~=seek-bar] , potluck-seek-bar').dispatchEvent(new PointerEvent('pointermove', { bubbles: true, clientX: 200, clientY: 300 })), null)`);
      await look();
      assert.deepEqual(found, []);
      assert.equal(await page.evaluate('fired'), 0);
      return menus.join('\n');
    }

    for (const page of ['plain', 'strict']) {
      // Firefox knows Trusted Types from 148 on: there the policy is one like others.
      test(`in a stream that is hostile throughout, on a page that is ${page}`, { timeout: 90_000 }, async () => {
        const viewer = await open(`${stage.url}/${page}.html`);
        await until('it plays', () => viewer.ask('player.currentTime > 0.5'), { seconds: 40 });
        const { ask } = viewer;
        await ask('(player.pause(), player.currentTime = 2.5, null)');
        const tracks = await ask(`[...player.textTracks].map(({ kind, label }) => [kind, label])`);
        for (const kind of ['subtitles', 'captions']) assert.ok(tracks.some(([one, label]) => one === kind && label.includes('<img')), JSON.stringify(tracks));
        await ask(`([...player.textTracks].forEach((track) => { track.mode = 'showing'; }), null)`);
        // It is there as text, all of it: then it was no use for anything else.
        for (const label of ['IMSC', '608']) {
          await until(`the ${label} cue is there`, () => ask(`[...player.textTracks].find((track) => track.label.startsWith('${label}')).cues?.length > 0`), { seconds: 30 });
        }
        const caption = await ask(`[...player.textTracks].find((track) => track.label.startsWith('608')).cues[0].getCueAsHTML().textContent`);
        assert.equal(caption.trim(), CAPTION.trim());
        await until('the tracker refuses', () => ask('player.stats.trackerFailure'), { seconds: 30 });
        await until('the chapter is there', () => ask(`[...player.textTracks].some(({ kind, cues }) => kind === 'chapters' && cues?.[0]?.text.includes('<img'))`), { seconds: 20 });
        await lookEverywhere(viewer);
        const violations = await ask('violations');
        assert.deepEqual(violations.filter((one) => /trusted-types|script-src|style-src|worker-src/.test(one)), []);
        await viewer.close();
      });
    }

    test('in names of sounds and of caption services, which menus show as they are', { timeout: 60_000 }, async () => {
      const viewer = await open(`${stage.url}/named.html`);
      await until('it plays', () => viewer.ask('player.currentTime > 0.5'), { seconds: 40 });
      const said = await lookEverywhere(viewer);
      for (const one of NAMES) assert.ok(said.includes(one), `${one} is not in the menus: ${said}`);
      assert.deepEqual((await viewer.ask('violations')).filter((one) => /trusted-types|script-src|style-src|worker-src/.test(one)), []);
      await viewer.close();
    });

    test('on a page with Trusted Types that plays, shares and shows all of its panels', { timeout: 60_000 }, async () => {
      const viewer = await open(`${stage.url}/sharing.html`);
      await until('it plays', () => viewer.ask('player.currentTime > 1'), { seconds: 40 });
      await until('the tracker answers', () => viewer.ask(`player.stats.peerState === 'alone'`), { seconds: 30 });
      await lookEverywhere(viewer);
      assert.deepEqual(await viewer.ask('violations'), []);
      if (name === 'Chromium') {
        // The policy is in force: what the player never does fails here.
        const refused = await viewer.page.evaluate(`(() => { try { document.createElement('p').innerHTML = '<b>x</b>'; return false; } catch { return true; } })()`);
        assert.ok(refused);
      }
      await viewer.close();
    });

    for (const [what, page, shown] of [
      ['of an instance', 'peertube', `player.heading.includes('<img') && player.video.querySelectorAll('track').length > 0`],
      ['in the words of an instance that refuses', 'refused', 'player.error'], ['in the address of a playlist that is missing', 'missing', 'player.error'],
      ['in what is no playlist', 'page', 'player.error'], ['in an address that is a script', 'script-url', 'player.error'],
    ]) {
      test(`${what}`, { timeout: 60_000 }, async () => {
        const viewer = await open(`${stage.url}/${page}.html`);
        await until('it is there', () => viewer.ask(`Boolean(${shown})`), { seconds: 30 });
        await lookEverywhere(viewer);
        await viewer.close();
      });
    }

    test("in the query of the iframe's page", { timeout: 60_000 }, async () => {
      const hostile = Object.fromEntries(['title', 'swarm', 'p2p', 'poster', 'upload-limit', 'ice-servers', 'hashes', 'publisher-key', 'scheme', 'lang', 'trackers', 'consent', 'accent', 'on-accent',
        'start', 'stop', 'subtitle', 'playbackRate', 'scope'].map((key) => [key, EVIL]));
      for (const query of [{ ...hostile, src: demo.vod }, { ...hostile, poster: SCRIPT_URL, hashes: SCRIPT_URL, trackers: SCRIPT_URL, src: SCRIPT_URL }, { src: `${EVIL}` }]) {
        const viewer = await open(`${demo.url}/embed?${new URLSearchParams(query)}`);
        await until('the player is there', () => viewer.ask('Boolean(player?.video)'), { seconds: 30 });
        await viewer.ask(`(document.querySelectorAll('body > script').forEach((script) => { script.dataset.own = ''; }), null)`);
        await lookEverywhere(viewer);
        assert.deepEqual((await viewer.ask('violations')).filter((one) => !/^(img|connect|media)-src/.test(one)), [], 'addresses that are none are refused, and nothing else');
        await viewer.close();
      }
    });

    test("in what the demo's own pages are given", { timeout: 60_000 }, async () => {
      const front = await open(`${demo.url}/?${new URLSearchParams({ title: EVIL, p2p: EVIL, trackers: EVIL })}`);
      await until('the page is there', () => front.ask('Boolean(player?.video)'), { seconds: 30 });
      assert.equal(await front.page.evaluate('fired'), 0);
      await front.close();
      const generator = await open(`${demo.url}/generator`);
      for (const address of [`${stage.url}/film`, `${stage.url}/embed?${new URLSearchParams({ src: SCRIPT_URL, title: EVIL, poster: SCRIPT_URL })}`, SCRIPT_URL, EVIL]) {
        await generator.page.evaluate(`(() => { document.getElementById('told').textContent = ''; document.getElementById('address').value = ${JSON.stringify(address)}; document.getElementById('form').requestSubmit(); })()`);
        await until('it says what it is', () => generator.page.evaluate(`document.getElementById('told').textContent !== ''`), { seconds: 30 });
        assert.deepEqual((await generator.page.evaluate('found()')).filter((one) => /onerror|javascript|onload/.test(one)), [], address);
      }
      assert.equal(await generator.page.evaluate('fired'), 0);
      assert.deepEqual((await generator.page.evaluate('violations')).filter((one) => /^(script|style|require-trusted|trusted)/.test(one)), []);
      await generator.close();
    });
  });
}
