// WebKitGTK through its WebDriver, where both are installed: Debian's webkit2gtk-driver with MiniBrowser, and Xvfb for want of a screen.

import { spawn } from 'node:child_process';
import { accessSync, constants, readdirSync } from 'node:fs';
import path from 'node:path';
import { freePort } from './ports.mjs';
import { until } from './wait.mjs';

const LIBRARIES = ['/usr/lib', '/usr/libexec', '/usr/lib64'];

/** The programs that it takes; null when one is missing. */
export function webkitPrograms() {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  const driver = first(folders.map((folder) => path.join(folder, 'WebKitWebDriver')));
  const browser = process.env.MINIBROWSER ?? first(miniBrowsers());
  const screen = first(folders.map((folder) => path.join(folder, 'Xvfb')));
  return driver && browser && (screen || process.env.DISPLAY) ? { driver, browser, screen } : null;
}

/** Starts it; fails when a program is missing. */
export async function webkit() {
  const programs = webkitPrograms();
  if (!programs) throw new Error('WebKitGTK is not installed: apt-get install webkit2gtk-driver xvfb');
  const children = [];
  const start = (program, args, options) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'ignore'], ...options });
    children.push(child);
    return child;
  };
  const end = () => {
    for (const child of children.reverse()) child.kill('SIGTERM');
  };
  try {
    const env = { ...process.env, GDK_BACKEND: 'x11', WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1', LIBGL_ALWAYS_SOFTWARE: '1' };
    if (!process.env.DISPLAY) env.DISPLAY = await display(start(programs.screen, ['-displayfd', '3', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] }));
    const port = await freePort();
    start(programs.driver, [`--port=${port}`, '--host=127.0.0.1'], { env });
    const url = `http://127.0.0.1:${port}`;
    await until('the driver answers', async () => (await fetch(`${url}/status`).catch(() => null))?.ok, { seconds: 20 });
    const { sessionId, capabilities } = await ask(`${url}/session`, {
      capabilities: { alwaysMatch: { 'webkitgtk:browserOptions': { binary: programs.browser, args: ['--automation'] } } },
    });
    return new WebKit(`${url}/session/${sessionId}`, capabilities, end);
  } catch (error) {
    end();
    throw error;
  }
}

/** A browser with one window. */
class WebKit {
  #url;
  #end;

  constructor(url, { browserVersion }, end) {
    this.#url = url;
    this.#end = end;
    this.version = browserVersion;
  }

  async goto(url) {
    await ask(`${this.#url}/url`, { url });
  }

  /** What the JavaScript expression gives in the page; promises are awaited. */
  async evaluate(expression) {
    return await ask(`${this.#url}/execute/sync`, { script: `return (${expression});`, args: [] });
  }

  /** A picture of the window. */
  async screenshot() {
    return Buffer.from(await ask(`${this.#url}/screenshot`), 'base64');
  }

  async close() {
    try {
      await ask(this.#url, null, 'DELETE');
    } finally {
      this.#end();
    }
  }
}

/** One command of the WebDriver protocol. */
async function ask(url, body = null, method = body ? 'POST' : 'GET') {
  const response = await fetch(url, { method, ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }), signal: AbortSignal.timeout(60_000) });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`${value.error}: ${value.message}`);
  return value;
}

async function display(screen) {
  const number = await new Promise((resolve, reject) => {
    screen.stdio[3].once('data', (data) => resolve(String(data).trim()));
    screen.once('error', reject);
    screen.once('exit', (code) => reject(new Error(`Xvfb ended with ${code}`)));
  });
  return `:${number}`;
}

/** Where distributions put it: `webkit2gtk-4.1/MiniBrowser` below their libraries, or one folder further down. */
function* miniBrowsers() {
  for (const folder of LIBRARIES) {
    const below = names(folder).map((name) => path.join(folder, name));
    for (const library of [folder, ...below.filter((one) => /linux-gnu/.test(one))]) {
      for (const name of names(library).filter((one) => /^webkit(2)?gtk/.test(one))) yield path.join(library, name, 'MiniBrowser');
    }
  }
}

function names(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function first(files) {
  for (const file of files) {
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not here.
    }
  }
  return null;
}
