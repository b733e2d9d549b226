// hls.js as it is published, whole, in virtual time: its loader's place is taken by the line, the browser's by
// media.mjs. Called with one trace a process, because hls.js keeps what it learnt of the platform.
// stdin: the output of `cargo run -p tests --bin abr -- spec`; argument: the trace's name; stdout: the samples.

import { readFileSync } from 'node:fs';
import { Clock } from './clock.mjs';
import { Line } from './line.mjs';
import { MediaElement, MediaSource } from './media.mjs';

const spec = JSON.parse(readFileSync(0, 'utf8'));
const trace = spec.traces.find(({ name }) => name === process.argv[2]);
const clock = new Clock();
const line = new Line(clock, { ...spec, kbps: trace.kbps });

globalThis.self = globalThis;
Object.defineProperty(globalThis, 'navigator', { value: { userAgent: 'node', onLine: true }, configurable: true });
Object.assign(globalThis, {
  MediaSource,
  SourceBuffer: class {},
  HTMLMediaElement: MediaElement,
  HTMLVideoElement: MediaElement,
  location: { href: spec.url, protocol: 'https:' },
  addEventListener() {},
  removeEventListener() {},
});
let sources = 0;
URL.createObjectURL = (source) => {
  const url = `blob:${++sources}`;
  MediaElement.sources.set(url, source);
  return url;
};
URL.revokeObjectURL = () => {};
clock.install();

/** Text or bytes of a URL. */
function fileAt(url) {
  if (url === spec.url) return spec.multivariant;
  const [, variant, name] = /\/v(\d+)\/([^/]+)$/.exec(url);
  const of = spec.variants[variant];
  if (name === 'index.m3u8') return spec.playlist;
  if (name === 'init.mp4') return Uint8Array.from(Buffer.from(of.init, 'hex'));
  const sequence = Number(/^s(\d+)\.m4s$/.exec(name)[1]);
  const bytes = new Uint8Array(of.bytes[sequence]);
  bytes.set(Buffer.from(of.heads[sequence], 'hex'));
  return bytes;
}

/** What hls.js asks of a loader (its XhrLoader without the XMLHttpRequest). */
class LineLoader {
  #cancel = null;
  context = null;
  stats = {
    aborted: false, loaded: 0, retry: 0, total: 0, chunkCount: 0, bwEstimate: 0,
    loading: { start: 0, first: 0, end: 0 }, parsing: { start: 0, end: 0 }, buffering: { start: 0, first: 0, end: 0 },
  };

  load(context, _config, callbacks) {
    this.context = context;
    this.callbacks = callbacks;
    const { stats } = this;
    const file = fileAt(context.url);
    const text = typeof file === 'string';
    stats.loading.start = clock.now;
    this.#cancel = line.fetch(file.length, {
      head: () => {
        stats.loading.first = Math.max(clock.now, stats.loading.start);
        stats.total = file.length;
      },
      chunk: (bytes) => {
        stats.loaded += bytes;
        callbacks.onProgress?.(stats, context, null, null);
      },
      done: () => {
        this.#cancel = null;
        stats.loading.end = Math.max(clock.now, stats.loading.first);
        stats.bwEstimate = (stats.total * 8000) / (stats.loading.end - stats.loading.first);
        callbacks.onSuccess({ url: context.url, data: text ? file : file.buffer, code: 200 }, stats, context, null);
      },
    });
  }

  abort() {
    if (!this.#cancel) return;
    this.#cancel();
    this.#cancel = null;
    this.stats.aborted = true;
    this.callbacks?.onAbort?.(this.stats, this.context, null);
  }

  destroy() {
    this.callbacks = null;
    this.#cancel?.();
    this.#cancel = null;
    this.stats.aborted ||= this.stats.loading.end === 0;
  }

  getCacheAge() {
    return null;
  }

  getResponseHeader() {
    return null;
  }
}

const { default: Hls } = await import('hls.js');
const hls = new Hls({ loader: LineLoader, enableWorker: false, abrEwmaDefaultEstimate: spec.firstGuess });
const media = new MediaElement(clock);
hls.on(Hls.Events.ERROR, (_event, { details, fatal, error }) => {
  if (fatal || process.env.ABR_DEBUG) console.error(`${(clock.now / 1000).toFixed(2)} s: ${details} ${fatal ? '(fatal)' : ''} ${error?.message ?? ''}`);
  if (fatal) process.exitCode = 1;
});
hls.loadSource(spec.url);
hls.attachMedia(media);
void media.play();
await clock.run(spec.patience * 1000, () => media.ended);
process.stdout.write(JSON.stringify({ version: Hls.version, samples: media.samples }), () => process.exit());
