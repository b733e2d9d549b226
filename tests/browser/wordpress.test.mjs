// The plugin of integrations/wordpress inside WordPress: what visitors see, what editors do, what authors may not, and what stays.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { chromium, firefox } from './lib/browsers.mjs';
import { startDemo } from './lib/demo.mjs';
import { inWords } from './lib/figures.mjs';
import { openViewer } from './lib/viewer.mjs';
import { until } from './lib/wait.mjs';
import { PASSWORD, skip, startWordPress } from './lib/wordpress.mjs';

/** No page of WordPress's leads a browser out of this machine. */
const ALONE = { args: ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost'] };
/** In the page: each player's attributes, without those that it gives itself. */
const PLAYERS = `[...document.querySelectorAll('potluck-player')].map((one) => Object.fromEntries([...one.attributes].filter(({ name }) => !['tabindex', 'role', 'aria-label'].includes(name)).map(({ name, value }) => [name, value])))`;

describe('WordPress with the plugin', { skip }, () => {
  let demo;
  let site;
  let browser;
  before(async () => {
    if (skip) return;
    const opened = await Promise.allSettled([
      startDemo().then((server) => { demo = server; }),
      startWordPress().then((one) => { site = one; }),
      chromium(ALONE).then((one) => { browser = one; }),
    ]);
    const failed = opened.find(({ status }) => status === 'rejected');
    if (failed) throw failed.reason;
  });
  after(async () => {
    await browser?.close();
    await Promise.all([demo?.stop(), site?.stop()]);
  });

  /** A page of the site, as a visitor sees it. */
  const visit = async (url, { with: launched = browser } = {}) => await openViewer(launched, demo, { page: url });
  const plays = async (viewer) => {
    await until('the player is there', () => viewer.frame.evaluate('Boolean(document.querySelector("potluck-player")?.video)'), { seconds: 60, describe: () => viewer.problems });
    await viewer.adopt(() => document.querySelector('potluck-player').video);
    // It loads nothing before somebody wants to see it.
    await viewer.frame.evaluate('{ const player = document.querySelector("potluck-player"); player.muted = true; player.play().catch(() => {}); null; }');
    const state = await viewer.plays(1, { seconds: 60 });
    assert.equal(state.error, null, inWords(state));
  };
  const logIn = async (name) => {
    const viewer = await visit(`${site.url}/wp-login.php`);
    await viewer.page.setViewport({ width: 1280, height: 900 });
    await viewer.frame.evaluate(`document.getElementById('user_login').value = '${name}'; document.getElementById('user_pass').value = '${PASSWORD}'`);
    await Promise.all([viewer.page.waitForNavigation({ timeout: 60_000 }), viewer.page.click('#wp-submit')]);
    assert.match(viewer.page.url(), /wp-admin/);
    return viewer;
  };
  /** As the editor does it: REST, with the cookies and the nonce of who is logged in. */
  const rest = async (viewer, route, body) => await viewer.page.evaluate(async (url, to, sent) => {
    const nonce = await (await fetch(`${url}/wp-admin/admin-ajax.php?action=rest-nonce`)).text();
    const response = await fetch(`${url}/?rest_route=${to}`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-wp-nonce': nonce }, body: JSON.stringify(sent) });
    return { status: response.status, body: await response.json() };
  }, site.url, route, body);

  test('is activated without a word', { timeout: 120_000 }, async () => {
    const answer = await site.php(`
      require_once ABSPATH . 'wp-admin/includes/plugin.php';
      $result = activate_plugin('potluck/potluck.php');
      return is_wp_error($result) ? [$result->get_error_message(), $result->get_error_data()] : 'active';`);
    assert.equal(answer, 'active');
    assert.deepEqual(await site.php(`
      $block = WP_Block_Type_Registry::get_instance()->get_registered('potluck/player');
      return [shortcode_exists('potluck'), $block ? array_merge($block->editor_script_handles ?? [], wp_scripts()->registered[$block->editor_script_handles[0]]->deps) : null];`),
    [true, ['potluck-player-editor-script', 'wp-block-editor', 'wp-blocks', 'wp-components', 'wp-element', 'wp-i18n']]);
  });

  test('plays a shortcode and a block, in Chromium and Firefox, and loads nothing elsewhere', { timeout: 240_000 }, async () => {
    const shortcode = await site.post('A shortcode', `Before.\n\n[potluck src="${demo.vod}" heading="The film" width="500" loop]\n\nAfter.`);
    const block = await site.post('A block', `<!-- wp:potluck/player ${JSON.stringify({ src: demo.vod, heading: 'In a block', align: 'wide', muted: true })} /-->`);
    const plain = await site.post('No film', 'Only words.');
    const both = async (launched) => {
      for (const { url } of [shortcode, block]) {
        const viewer = await visit(url, { with: launched });
        await plays(viewer);
        assert.equal(await viewer.frame.evaluate(`document.querySelectorAll('script[type="module"][src*="/plugins/potluck/player/potluck.js"]').length`), 1);
        assert.deepEqual(viewer.problems, []);
        await viewer.close();
      }
    };
    await both(browser);
    const other = await firefox();
    try {
      await both(other);
    } finally {
      await other.close();
    }
    const look = async (url, expression) => {
      const viewer = await visit(url);
      const seen = await viewer.frame.evaluate(expression);
      await viewer.close();
      return seen;
    };
    assert.deepEqual(await look(shortcode.url, PLAYERS), [{ 'src': demo.vod, 'heading': 'The film', 'consent': 'ask', 'preload': 'none', 'loop': '', 'style': 'max-width: 500px' }]);
    assert.equal(await look(shortcode.url, `document.querySelector('potluck-player').offsetWidth`), 500);
    assert.equal(await look(block.url, `document.querySelector('.wp-block-potluck-player.alignwide > potluck-player').muted`), true);
    assert.equal(await look(plain.url, `[...document.scripts].filter(({ src }) => src.includes('potluck')).length`), 0);
    // Readers of feeds get a link.
    const feed = await (await fetch(`${site.url}/?feed=rss2`)).text();
    assert.ok(!feed.includes('<potluck-player') && feed.includes(`<a href="${demo.vod}">In a block</a>`), feed);
  });

  test('has a block that is filled in in the editor, and comes back as it was', { timeout: 240_000 }, async () => {
    const { page, ...viewer } = await logIn('admin');
    await page.goto(`${site.url}/wp-admin/post-new.php`, { waitUntil: 'load', timeout: 60_000 });
    const editor = async (expression) => await page.evaluate(`wp.data.select(${expression}`);
    const ready = async () => {
      await page.waitForFunction(`window.wp?.blocks?.getBlockType('potluck/player') && document.querySelector('.editor-post-title__input')`, { timeout: 60_000 });
      await page.evaluate(`wp.data.dispatch('core/preferences').set('core/edit-post', 'welcomeGuide', false); null`);
      await page.waitForFunction(`!document.querySelector('.components-modal__frame')`, { timeout: 30_000 });
    };
    const saved = async () => await page.waitForFunction(`(({ isSavingPost, isEditedPostDirty, didPostSaveRequestSucceed }) => !isSavingPost() && !isEditedPostDirty() && didPostSaveRequestSucceed())(wp.data.select('core/editor'))`, { timeout: 60_000 });
    const block = async () => await editor(`'core/block-editor').getBlocks().map(({ name, isValid, attributes }) => ({ name, isValid, attributes }))`);
    // Not by the accessible name: that is in capitals, as the editor's style sheet has it.
    const field = async (label) => await page.waitForFunction((text) => [...document.querySelectorAll('label')].find(({ textContent }) => textContent === text)?.control, { timeout: 30_000 }, label);
    const write = async (label, text) => {
      const input = await field(label);
      await input.click({ count: 3 });
      await input.type(text);
    };

    await ready();
    await page.locator('.editor-post-title__input').click();
    await page.keyboard.type('From the editor');
    await page.keyboard.press('Enter');
    await page.keyboard.type('/potluck');
    await page.waitForSelector('.components-autocomplete__result', { timeout: 30_000 });
    await page.keyboard.press('Enter');
    await write('Address', demo.vod);
    await write('Heading', 'A "quoted" <b>heading</b> & more');
    await (await field('Without sound at first')).click();
    await write('Trackers', demo.tracker);
    await (await field('Before sharing')).select('granted');
    const wanted = { src: demo.vod, heading: 'A "quoted" <b>heading</b> & more', poster: '', trackers: demo.tracker, consent: 'granted', autoplay: false, muted: true, loop: false };
    assert.deepEqual(await block(), [{ name: 'potluck/player', isValid: true, attributes: wanted }]);
    await page.locator('.editor-post-publish-panel__toggle').click();
    await page.locator('.editor-post-publish-panel .editor-post-publish-button').click();
    await saved();
    const id = await editor(`'core/editor').getCurrentPostId()`);

    await page.goto(`${site.url}/wp-admin/post.php?post=${id}&action=edit`, { waitUntil: 'load', timeout: 60_000 });
    await ready();
    assert.deepEqual(await block(), [{ name: 'potluck/player', isValid: true, attributes: wanted }]);
    assert.equal(await (await field('Heading')).evaluate(({ value }) => value), wanted.heading);
    await page.locator('.wp-block-potluck-player').click();
    await (await field('Again from the beginning')).click();
    await page.locator('.editor-post-publish-button').click();
    await saved();
    await page.reload({ waitUntil: 'load', timeout: 60_000 });
    await ready();
    assert.deepEqual(await block(), [{ name: 'potluck/player', isValid: true, attributes: { ...wanted, loop: true } }]);
    // Pictures of WordPress's own welcome come from its site.
    assert.deepEqual(viewer.problems.filter((problem) => !problem.includes('https://s.w.org/')), []);
    await page.browserContext().close();

    const visitor = await visit(`${site.url}/?p=${id}`);
    assert.deepEqual(await visitor.frame.evaluate(PLAYERS), [{ src: demo.vod, heading: wanted.heading, consent: 'granted', preload: 'none', trackers: demo.tracker, muted: '', loop: '' }]);
    await plays(visitor);
    await visitor.close();
  });

  test('keeps what authors write within its attributes', { timeout: 180_000 }, async () => {
    const hostile = [
      ['[potluck src="javascript:hacked=1"]', null],
      ['[potluck]', null],
      ['[potluck instance="x"]', null],
      [`[potluck src='${demo.vod}' heading='" onmouseover="hacked=1" x="']`, { heading: '" onmouseover="hacked=1" x="' }],
      [`[potluck src='${demo.vod}"onerror="hacked=1' heading="<b>"]`, {}],
      [`[potluck src="${demo.vod}" poster="javascript:hacked=1" hashes="data:text/plain,x" trackers="javascript:hacked=1 https://x.example"]`, { poster: undefined, hashes: undefined, trackers: undefined }],
      [`[potluck src="${demo.vod}" width="9;position:fixed" p2p="&quot;&gt;&lt;img&gt;"]`, { style: 'max-width: 9px' }],
      [`[potluck src="${demo.vod}" upload_limit="'><img src=x>"]`, {}],
      [`[potluck src="${demo.vod}" onclick="hacked=1" style="position:fixed" id="wpadminbar" class="x" slot="x"]`, { onclick: undefined, style: undefined, id: undefined, class: undefined, slot: undefined }],
      [`<!-- wp:potluck/player ${JSON.stringify({ src: demo.vod, heading: '"><script>hacked=1</script>', poster: ['x'], muted: { a: 1 }, className: '"><script>hacked=1</script>' }).replaceAll('<', '\\u003c').replaceAll('>', '\\u003e')} /-->`, { poster: undefined, muted: undefined, heading: '"><script>hacked=1</script>' }],
    ];
    // An administrator may write any HTML: nothing but the plugin is in the way. A contributor's pass through WordPress's own filter first.
    for (const author of ['admin', 'contributor']) {
      const { url } = await site.post('Hostile', hostile.map(([content]) => content).join('\n\n'), { author });
      const viewer = await visit(url);
      const players = await viewer.frame.evaluate(PLAYERS);
      const wanted = hostile.filter(([, expected]) => expected);
      assert.equal(players.length, wanted.length, inWords(players));
      const allowed = ['src', 'heading', 'poster', 'hashes', 'trackers', 'consent', 'preload', 'p2p', 'upload-limit', 'style', 'muted'];
      wanted.forEach(([content, expected], n) => {
        const what = `${author}: ${content}: ${inWords(players[n])}`;
        assert.deepEqual(Object.keys(players[n]).filter((name) => !allowed.includes(name)), [], what);
        assert.equal(players[n].consent, 'ask', what);
        if (author === 'admin') for (const [name, value] of Object.entries(expected)) assert.equal(players[n][name], value, what);
      });
      for (const player of await viewer.page.$$('potluck-player')) await player.click();
      assert.equal(await viewer.frame.evaluate('typeof hacked'), 'undefined');
      assert.equal(await viewer.frame.evaluate(`document.querySelectorAll('.entry-content img, potluck-player > *').length`), 0);
      await viewer.close();
    }
  });

  test('lets nobody write players who may not write posts', { timeout: 120_000 }, async () => {
    const { id, url } = await site.post('Open for comments', 'Say something.');
    const subscriber = await logIn('subscriber');
    const text = `[potluck src="${demo.vod}"] <potluck-player src="${demo.vod}" onclick="hacked=1"></potluck-player> <!-- wp:potluck/player {"src":"${demo.vod}"} /-->`;
    const refused = await rest(subscriber, '/wp/v2/posts', { title: 'Mine', content: text, status: 'publish' });
    assert.equal(refused.status, 403, JSON.stringify(refused));
    const comment = await rest(subscriber, '/wp/v2/comments', { post: id, content: text });
    assert.equal(comment.status, 201, JSON.stringify(comment));
    await subscriber.close();
    const contributor = await logIn('contributor');
    const draft = await rest(contributor, '/wp/v2/posts', { title: 'Mine', content: `<potluck-player src="${demo.vod}" onclick="hacked=1"></potluck-player><script>hacked=1</script>`, status: 'draft' });
    assert.equal(draft.status, 201, JSON.stringify(draft));
    assert.ok(!/<potluck-player|<script/.test(draft.body.content.raw), draft.body.content.raw);
    await contributor.close();
    const visitor = await visit(url);
    await until('the comment is shown', () => visitor.frame.evaluate(`document.body.textContent.includes('[potluck src=')`), { seconds: 30 });
    assert.deepEqual(await visitor.frame.evaluate(PLAYERS), []);
    await visitor.close();
  });

  test("takes the site's trackers and STUN servers from Settings, Media", { timeout: 120_000 }, async () => {
    const admin = await logIn('admin');
    const { page } = admin;
    await page.goto(`${site.url}/wp-admin/options-media.php`, { waitUntil: 'load', timeout: 60_000 });
    const ice = [{ urls: 'stun:stun.blog.example:3478' }];
    await page.locator('#potluck_trackers').fill(`javascript:hacked=1 ${demo.tracker}, https://x.example "><b>`);
    await page.locator('#potluck_ice_servers').fill(JSON.stringify(ice));
    await Promise.all([page.waitForNavigation({ timeout: 60_000 }), page.click('#submit')]);
    const shown = async () => await page.evaluate(`['potluck_trackers', 'potluck_ice_servers'].map((id) => document.getElementById(id).value)`);
    assert.deepEqual(await shown(), [demo.tracker, JSON.stringify(ice)]);
    const { url } = await site.post('As the site has it', `[potluck src="${demo.vod}"][potluck src="${demo.vod}" trackers="wss://other.example/announce"]`);
    const visitor = await visit(url);
    assert.deepEqual((await visitor.frame.evaluate(PLAYERS)).map((one) => [one.trackers, JSON.parse(one['ice-servers'])]), [[demo.tracker, ice], ['wss://other.example/announce', ice]]);
    await visitor.close();
    await page.locator('#potluck_ice_servers').fill('{ "urls": 1 }');
    await Promise.all([page.waitForNavigation({ timeout: 60_000 }), page.click('#submit')]);
    assert.deepEqual(await shown(), [demo.tracker, '']);
    assert.deepEqual(admin.problems, []);
    await admin.close();
  });

  test('leaves nothing behind when it is deleted, and said nothing while it was there', { timeout: 120_000 }, async () => {
    const rows = `
      global $wpdb;
      $found = [];
      foreach ($wpdb->tables('all') as $name => $table) {
        if (in_array($name, ['posts', 'comments'], true)) continue;
        foreach ($wpdb->get_results("SELECT * FROM $table", ARRAY_A) as $row) if (false !== stripos(json_encode($row), 'potluck')) $found[] = "$name: " . json_encode($row);
      }
      return [$found, file_exists(WP_PLUGIN_DIR . '/potluck')];`;
    const [before] = await site.php(rows);
    assert.ok(before.some((row) => row.includes('potluck_trackers')), before.join('\n'));
    assert.equal(await site.php(`
      require_once ABSPATH . 'wp-admin/includes/admin.php';
      deactivate_plugins('potluck/potluck.php');
      $result = delete_plugins(['potluck/potluck.php']);
      return is_wp_error($result) ? $result->get_error_message() : $result;`), true);
    assert.deepEqual(await site.php(rows), [[], false]);
    const { url } = await site.post('Later', `[potluck src="${demo.vod}"]`);
    assert.equal((await fetch(url)).status, 200);
    assert.deepEqual((await site.log()).split('\n').filter((line) => /plugins\/potluck|potluck_/.test(line)), []);
  });
});
