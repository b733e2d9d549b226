// What Lighthouse says of the demo's pages and of the iframe: accessibility and best practices, on a phone and on a desk.
// Started by `cargo xtask bench lighthouse`, with the options as JSON in the argument. Fails below `atLeast`.

import lighthouse from 'lighthouse';
import { chromium } from './lib/chromium.mjs';
import { runMain } from './lib/cleanup.mjs';
import { startDemo } from './lib/demo.mjs';
import { table } from './lib/figures.mjs';

const CATEGORIES = ['accessibility', 'best-practices'];
const SCREENS = [{ width: 360, height: 740, mobile: true }, { width: 1440, height: 900, mobile: false }];

await runMain(async ({ server, atLeast }) => {
  const demo = await startDemo(server);
  const film = new URLSearchParams({ src: `${demo.url}/media/sample/master.m3u8`, trackers: demo.tracker, title: 'The film' });
  const pages = [['home', '/'], ['embed', `/embed.html?${film}`], ['embed, playing', `/embed.html?${film}&autoplay=1&muted=1`], ['generator', '/generator'], ['docs', '/docs']];
  const browser = await chromium();
  const rows = [['', ...SCREENS.flatMap(({ width }) => CATEGORIES.map((name) => `${name} ${width}`))]];
  const faults = [];
  let lowest = 100;
  for (const [name, path] of pages) {
    const scores = [];
    for (const screen of SCREENS) {
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      const { lhr } = await lighthouse(demo.url + path, {
        logLevel: 'error',
        onlyCategories: CATEGORIES,
        formFactor: screen.mobile ? 'mobile' : 'desktop',
        screenEmulation: { ...screen, deviceScaleFactor: 1, disabled: false },
        throttlingMethod: 'provided',
        disableStorageReset: true,
      }, undefined, page);
      if (lhr.runtimeError) throw new Error(`${name}: ${lhr.runtimeError.message}`);
      for (const category of CATEGORIES) {
        const { score, auditRefs } = lhr.categories[category];
        scores.push(String(Math.round(100 * score)));
        lowest = Math.min(lowest, 100 * score);
        for (const { id, weight } of auditRefs) {
          const audit = lhr.audits[id];
          if (weight === 0 || audit.score === null || audit.score >= 1) continue;
          const where = (audit.details?.items ?? []).slice(0, 3).map((item) => item.node?.snippet ?? item.description ?? item.source ?? '').join(' | ');
          faults.push(`${name}, ${screen.width} px: ${id}: ${audit.title} ${where}`);
        }
      }
      await context.close();
    }
    rows.push([name, ...scores]);
  }
  console.log(`\n${table(rows)}\n`);
  for (const fault of faults) console.log(`    ${fault}`);
  await browser.close();
  if (lowest < atLeast) throw new Error(`the lowest score is ${Math.round(lowest)}, below ${atLeast}`);
});
