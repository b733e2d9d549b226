// The demo server as a process of its own, on a port of its own: origin, tracker and pages.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const START_MS = 20_000;

/**
 * Starts the server. `faults` lets tests break it; `media` (a folder), `hashes`, `sign` and `originLimit` (`6M`) are as on its command line;
 * `everywhere`: it listens on every address, for a network of the test's own; `more` are further arguments.
 */
export async function startDemo({ faults = false, media = null, hashes = null, sign = null, originLimit = null, everywhere = false, more = [] } = {}) {
  const args = ['--listen', everywhere ? '0.0.0.0:0' : '127.0.0.1:0'];
  if (faults) args.push('--faults');
  if (media) args.push('--media', media);
  if (hashes) args.push('--hashes', hashes);
  if (sign) args.push('--sign', sign);
  if (originLimit) args.push('--origin-limit', originLimit);
  args.push(...more);
  if (process.env.POTLUCK_WWW) args.push('--www', process.env.POTLUCK_WWW);
  const child = spawn(program(), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = [];
  const port = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the demo server did not start: ${said.join('')}`)), START_MS);
    const heard = (chunk) => {
      said.push(String(chunk));
      const found = /served on http:\/\/localhost:(\d+)/.exec(said.join(''));
      if (!found) return;
      clearTimeout(timer);
      resolve(Number(found[1]));
    };
    child.stdout.on('data', heard);
    child.stderr.on('data', heard);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the demo server ended with ${code}: ${said.join('')}`)));
  });
  return new Demo(child, port, said);
}

/** A running server. */
export class Demo {
  #child;
  #stopped = false;

  constructor(child, port, said) {
    this.#child = child;
    child.removeAllListeners('exit');
    child.once('exit', (code, signal) => {
      // What fails next fails for this.
      if (!this.#stopped) console.error(`the demo server on port ${port} ended by itself, ${signal ?? `with ${code}`}: ${said.join('')}`);
    });
    this.port = port;
    /** What it has printed, in pieces. */
    this.said = said;
    this.url = `http://127.0.0.1:${port}`;
    this.tracker = `ws://127.0.0.1:${port}/announce`;
    this.vod = `${this.url}/media/sample/master.m3u8`;
    this.live = `${this.url}/media/live/master.m3u8`;
    this.lowLatency = `${this.url}/media/live-low-latency/master.m3u8`;
  }

  /** What the origin has sent since the start or the last reset. */
  async stats() {
    const response = await fetch(`${this.url}/api/stats`);
    return await response.json();
  }

  async reset() {
    await this.#post('/api/stats/reset', {});
  }

  /** Breaks requests whose path contains `path`: `status:503`, `hang`, `truncate`, `close`, `spoil`, `slow:N`. */
  async break(path, action, seconds = undefined) {
    await this.#post('/api/faults', { path_contains: path, action, seconds });
  }

  /** Ends all faults. */
  async mend() {
    await this.#post('/api/faults', { action: 'none' });
  }

  /** Whether the tracker answers from now on. */
  async trackerUp(up) {
    await this.#post('/api/tracker', { up });
  }

  async stop() {
    this.#stopped = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(timer);
  }

  async #post(path, body) {
    const response = await fetch(this.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`POST ${path} was answered with ${response.status}: ${await response.text()}`);
  }
}

export function program() {
  return process.env.POTLUCK_SERVER ?? built('potluck');
}

/** A program of the workspace. */
export function built(name) {
  const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? 'target');
  const file = path.join(target, 'debug', process.platform === 'win32' ? `${name}.exe` : name);
  if (!existsSync(file)) throw new Error(`${file} is missing: cargo build -p demo, cargo build -p tests --bin replay`);
  return file;
}
