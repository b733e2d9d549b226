// Real browsers, as they are installed; all of their traffic stays on this machine.

import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import puppeteer from 'puppeteer-core';

const CHROMIUM_NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const FIREFOX_NAMES = ['firefox-esr', 'firefox'];

const CHROMIUM_ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--mute-audio',
  '--autoplay-policy=no-user-gesture-required',
  // Several viewers play in one browser, and only one of their windows can be in front.
  '--disable-background-timer-throttling', '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows',
  '--disable-background-media-suspend',
  // A host candidate is an address, not a name that multicast DNS would have to resolve.
  '--disable-features=WebRtcHideLocalIpsWithMdns,MediaRouter,OptimizationHints,Translate',
  // On a machine without a network the loopback address is the only candidate.
  '--allow-loopback-in-peer-connection',
];

const FIREFOX_PREFS = {
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.peerconnection.ice.loopback': true,
  'media.autoplay.default': 0,
  // Tabs that were never in front play too.
  'media.block-autoplay-until-in-foreground': false,
  'media.suspend-background-video.enabled': false,
  'dom.min_background_timeout_value': 4,
  'browser.shell.checkDefaultBrowser': false,
  'browser.safebrowsing.provider.mozilla.updateURL': '',
  'app.normandy.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
};

/**
 * `args` are added to the command line; `insecure` is a name for this machine whose pages are no secure contexts; `elsewhere` turns the
 * program into one that runs in another network; `proxy` is the port of an HTTP proxy on this machine for everything, this machine's own
 * names included.
 */
export async function chromium({ args = [], insecure = null, elsewhere = null, proxy = null } = {}) {
  const executablePath = program('CHROMIUM', CHROMIUM_NAMES);
  return await puppeteer.launch({
    browser: 'chrome',
    executablePath: elsewhere ? elsewhere(executablePath) : executablePath,
    pipe: elsewhere !== null,
    headless: true,
    args: [...CHROMIUM_ARGS, ...(insecure ? [`--host-resolver-rules=MAP ${insecure} 127.0.0.1`] : []),
      ...(proxy ? [`--proxy-server=http://127.0.0.1:${proxy}`, '--proxy-bypass-list=<-loopback>'] : []), ...args],
    protocolTimeout: 60_000,
  });
}

/** `prefs` are set besides the tests' own; `insecure` and `proxy` as above. */
export async function firefox({ prefs = {}, insecure = null, proxy = null } = {}) {
  return await puppeteer.launch({
    browser: 'firefox',
    executablePath: program('FIREFOX', FIREFOX_NAMES),
    headless: true,
    extraPrefsFirefox: { ...FIREFOX_PREFS, ...prefs, ...(insecure && { 'network.dns.localDomains': insecure }), ...(proxy && proxied(proxy)) },
    protocolTimeout: 60_000,
  });
}

function proxied(port) {
  const every = Object.fromEntries(['http', 'ssl'].flatMap((kind) => [[`network.proxy.${kind}`, '127.0.0.1'], [`network.proxy.${kind}_port`, port]]));
  return { 'network.proxy.type': 1, 'network.proxy.allow_hijacking_localhost': true, 'network.proxy.no_proxies_on': '', ...every };
}

/** The program that the environment names, else the first in PATH. */
function program(variable, names) {
  if (process.env[variable]) return process.env[variable];
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  for (const name of names) {
    for (const folder of folders) {
      const file = path.join(folder, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // Not here.
      }
    }
  }
  throw new Error(`none of ${names.join(', ')} is in PATH; ${variable} may name the program`);
}
