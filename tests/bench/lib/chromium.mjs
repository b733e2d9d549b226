// Chromium as it is installed, with a profile that is thrown away.

import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import puppeteer from 'puppeteer-core';
import { atExit } from './cleanup.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--disable-dev-shm-usage', '--mute-audio', '--autoplay-policy=no-user-gesture-required',
  '--disable-background-timer-throttling', '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows', '--disable-background-media-suspend',
  // A host candidate is an address, not a name that multicast DNS would have to resolve.
  '--disable-features=WebRtcHideLocalIpsWithMdns,MediaRouter,OptimizationHints,Translate',
  '--allow-loopback-in-peer-connection',
];

/**
 * Starts Chromium. `namespace` is the network namespace it lives in, if any; `secure` is an http origin that it treats
 * as it would treat https.
 */
export async function chromium({ namespace = null, secure = null } = {}) {
  const profile = mkdtempSync(path.join(os.tmpdir(), 'potluck-bench-'));
  const discard = () => {
    try {
      rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    } catch {
      // A helper of the browser's still writes into it. It lies in the temporary folder; figures are not lost for that.
    }
  };
  const args = [...puppeteer.defaultArgs({ headless: true, userDataDir: profile, args: ARGS })];
  if (secure) args.push(`--unsafely-treat-insecure-origin-as-secure=${secure}`);
  const program = find();
  const browser = await puppeteer.launch({
    browser: 'chrome',
    executablePath: namespace ? '/usr/bin/env' : program,
    args: namespace ? ['ip', 'netns', 'exec', namespace, program, ...args] : args,
    ignoreDefaultArgs: true,
    // A pipe reaches into a namespace; a socket would not.
    pipe: true,
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
    protocolTimeout: 60_000,
  });
  const forget = atExit(() => {
    // The whole group, which the browser leads: its helpers write into the profile.
    const { pid } = browser.process() ?? {};
    if (pid) process.kill(-pid, 'SIGKILL');
    discard();
  });
  browser.once('disconnected', () => {
    forget();
    discard();
  });
  return browser;
}

function find() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of NAMES) {
    for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
      const file = path.join(folder, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // Not here.
      }
    }
  }
  throw new Error(`none of ${NAMES.join(', ')} is in PATH: apt-get install chromium, or name the program in CHROMIUM`);
}
