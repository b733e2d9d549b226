// What nearly every suite needs: a demo server and a browser.

import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { after, before } from 'node:test';
import { startDemo } from './demo.mjs';

/** A folder for pictures to look at; never compared. */
export const OUT = fileURLToPath(new URL('../out/', import.meta.url));

/**
 * A demo server with these options and a browser, opened before the tests of the suite that this is called in and closed behind them. `take`
 * gets both. What has opened is closed, also where the other could not be opened.
 */
export function scene(launch, take, options = {}) {
  let demo;
  let browser;
  before(async () => {
    const opened = await Promise.allSettled([
      startDemo(options).then((server) => { demo = server; }),
      launch().then((one) => { browser = one; }),
      mkdir(OUT, { recursive: true }),
    ]);
    const failed = opened.find(({ status }) => status === 'rejected');
    if (failed) throw failed.reason;
    take(demo, browser);
  });
  after(async () => {
    await browser?.close();
    await demo?.stop();
  });
}
