// The page's half of the engine: owns the worker, routes messages, brings the media source to the element, reports the playhead.

import { compiled as compile, describe } from './compile-wasm.js';
import type { Drm } from './drm.js';
import type { DrmConfiguration } from './drm-options.js';
import { fileUrl } from './files.js';
import { MediaSink, isMediaCommand, needsManagedSource } from './media-sink.js';
import type { Peers } from './peers.js';
import { PlayheadReporter } from './playhead.js';
import type { EngineConfig, EngineStats, MediaCommand, P2pMode, ToPage, ToWorker, VariantInfo } from './protocol.js';
import { Viewing, saveBandwidth, savedBandwidth } from './viewing.js';
import type { StartMessage } from './worker.js';

/** What the element is told; the rest is answered here. */
export type EngineEvent =
  | Exclude<ToPage, MediaCommand | { connection: number } | { type: 'ready' | 'loading' | 'failed' | 'media-source' | 'module-keys' }>
  /** The worker or the wasm did not start: `started` false; or broke down later, when the element stood at `position` (null: nowhere). Nothing more comes. */
  | { type: 'stopped'; started: boolean; message: string; position: number | null; playing: boolean };

export interface EngineClientOptions {
  video: HTMLVideoElement;
  config: EngineConfig;
  /** Asked for each new connection. */
  rtcConfiguration: () => RTCConfiguration;
  /** Whether to give while the page is hidden. */
  givesHidden: () => boolean;
  /** Where licences come from; asked for once a stream needs some. */
  drm: () => DrmConfiguration | null;
  onEvent: (event: EngineEvent) => void;
}

/** What the line carries is remembered this often, in ms, once so many bytes have measured it. */
const REMEMBER_MS = 10_000;
const MEASURED_BYTES = 500_000;
/** Time for the worker to say goodbye to peers and trackers, in ms. */
const GOODBYE_MS = 250;

/** Both may be set before the first element connects, where a bundler or a server puts the files elsewhere. */
export const engineUrls = {
  worker: fileUrl('potluck-worker.js'),
  wasm: fileUrl('potluck.wasm'),
};

/** What pages with Trusted Types start a worker by: theirs need `trusted-types potluck`. */
interface Policy { createScriptURL(url: string): string }
let policy: Policy | undefined;

/** One compilation serves all elements of a page; null when the page may not compile (the worker then tries itself). */
let compiled: { url: string; module: Promise<WebAssembly.Module | null> } | null = null;

function moduleOf(url: string): Promise<WebAssembly.Module | null> {
  if (compiled?.url !== url) compiled = { url, module: fetch(url, { credentials: 'same-origin' }).then((response) => response.ok ? compile(response) : null).catch(() => {
    compiled = null;
    return null;
  }) };
  return compiled.module;
}

/** One engine in one worker, for one media element. */
export class EngineClient {
  readonly #video: HTMLVideoElement;
  readonly #onEvent: (event: EngineEvent) => void;
  readonly #options: EngineClientOptions;
  readonly #sink: MediaSink;
  #worker: Worker | null = null;
  #workerBlobUrl: string | null = null;
  #reporter: PlayheadReporter | null = null;
  #viewing: Viewing | null = null;
  #sizeCap = true;
  #remembered = 0;
  #objectUrl: string | null = null;
  #drm: Promise<Drm> | null = null;
  #p2p: P2pMode;
  #told: P2pMode;
  /** Why this device gives nothing; empty: it gives. */
  #held = '';
  /** What has the connections: viewers who share with nobody do not load it. */
  #peers: Promise<Peers | null> | null = null;
  #variants: VariantInfo[] = [];
  #variant = 0;
  #started = false;
  /** Loads that the engine has not heard of yet: a title that ends with an error then is the one before. */
  #unheard = 0;
  #stopped = false;

  constructor(options: EngineClientOptions) {
    this.#video = options.video;
    this.#onEvent = options.onEvent;
    this.#options = options;
    this.#p2p = this.#told = options.config.p2p;
    this.#sink = new MediaSink(this.#post, (source) => {
      this.#attachOnPage(source);
    });
    addEventListener('online', this.#onOnline);
    addEventListener('offline', this.#onOnline);
    addEventListener('pagehide', this.#onPageHide);
    this.#video.addEventListener('encrypted', this.#onEncrypted);
    // The module travels while the worker's script does.
    const module = moduleOf(engineUrls.wasm);
    try {
      this.#worker = this.#createWorker(engineUrls.worker);
    } catch (cause) {
      // The caller has not got hold of this object yet.
      queueMicrotask(() => {
        this.#fail(blocked(engineUrls.worker, describe(cause)));
      });
      return;
    }
    void module.then((compiledModule) => {
      const saved = savedBandwidth();
      const tuning = saved === null ? options.config.tuning : { initialBandwidthBps: saved, ...options.config.tuning };
      const start: StartMessage = { type: 'start', wasmUrl: engineUrls.wasm, config: { ...options.config, ...(tuning && { tuning }) } };
      if (globalThis.potluckFiles) start.files = globalThis.potluckFiles;
      if (compiledModule) start.module = compiledModule;
      this.#worker?.postMessage(start);
    });
  }

  /** Loads this playlist, forgetting what was loaded before. */
  load(url: string, startPosition: number | null): void {
    this.#detach();
    if (typeof globalThis.RTCPeerConnection !== 'function') this.#post({ type: 'webrtc-unavailable' });
    if (!navigator.onLine) this.#post({ type: 'online', online: false });
    this.#viewing ??= new Viewing(this.#video, this.#post);
    this.#viewing.capped = this.#sizeCap;
    this.#post({ type: 'load', url, startPosition });
    this.#unheard += 1;
    this.#reporter ??= new PlayheadReporter(this.#video, this.#post);
  }

  /** Whether renditions with more pixels than the element are left alone. */
  set sizeCap(on: boolean) {
    this.#sizeCap = on;
    if (this.#viewing) this.#viewing.capped = on;
  }

  /** Whether and how to share, as far as page and viewer wish it; and `givesHidden` may have changed. */
  set p2p(mode: P2pMode) {
    this.#p2p = mode;
    this.#tellMode();
    void this.#peers?.then((peers) => {
      peers?.judge();
    });
  }

  unload(): void {
    this.#post({ type: 'unload' });
    this.#detach();
  }

  send(message: ToWorker): void {
    this.#post(message);
  }

  /** Ends everything. At once when the page goes away, else after a short goodbye to peers and trackers. */
  stop(atOnce = false): void {
    if (this.#stopped) return;
    this.#post({ type: 'unload' });
    this.#stopped = true;
    removeEventListener('online', this.#onOnline);
    removeEventListener('offline', this.#onOnline);
    removeEventListener('pagehide', this.#onPageHide);
    this.#video.removeEventListener('encrypted', this.#onEncrypted);
    this.#reporter?.stop();
    this.#viewing?.stop();
    this.#sink.close();
    this.#detach();
    const end = (): void => {
      void this.#peers?.then((peers) => {
        peers?.close();
      });
      this.#worker?.terminate();
      this.#worker = null;
      if (this.#workerBlobUrl) URL.revokeObjectURL(this.#workerBlobUrl);
      this.#workerBlobUrl = null;
    };
    if (atOnce) end();
    else setTimeout(end, GOODBYE_MS);
  }

  #createWorker(url: string): Worker {
    let script = url;
    if (new URL(url).origin !== location.origin) {
      // Workers start from the page's own origin only; an import may come from anywhere that allows it (CORS).
      script = URL.createObjectURL(new Blob([`import ${JSON.stringify(url)};`], { type: 'text/javascript' }));
      this.#workerBlobUrl = script;
    }
    policy ??= (globalThis as { trustedTypes?: { createPolicy(name: string, rules: Policy): Policy } }).trustedTypes?.createPolicy('potluck', { createScriptURL: (one) => one });
    const worker = new Worker(policy?.createScriptURL(script) ?? script, { type: 'module', name: 'potluck' });
    worker.addEventListener('message', ({ data }: MessageEvent<ToPage>) => {
      if (!this.#stopped) this.#onMessage(data);
    });
    worker.addEventListener('messageerror', () => {
      this.#fail('a message of the worker could not be read');
    });
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      if (this.#started) this.#fail(`the engine stopped: ${event.message}`);
      // A script that could not be loaded gives an event without words.
      else this.#fail(blocked(url, (event as Partial<ErrorEvent>).message ?? ''));
    });
    return worker;
  }

  #onMessage(message: ToPage): void {
    if ('connection' in message) {
      this.#withPeers((peers) => {
        peers.handle(message);
      });
    } else if (isMediaCommand(message)) {
      this.#sink.handle(message);
    } else if (message.type === 'ready') {
      this.#started = true;
    } else if (message.type === 'loading') {
      this.#unheard -= 1;
    } else if (message.type === 'failed') {
      this.#fail(message.message);
    } else if (message.type === 'media-source') {
      this.#attach(() => {
        this.#video.srcObject = message.handle as unknown as MediaProvider;
      });
    } else if (message.type === 'module-keys') {
      this.#protect((drm) => {
        drm.offer(message.variant, message.keys);
      });
    } else if (this.#unheard === 0 || message.type !== 'error' || !message.fatal) {
      if (message.type === 'variants') this.#variants = message.variants;
      else if (message.type === 'variant-selected') this.#variant = message.index;
      if (message.type === 'variants') void this.#viewing?.judge(message.variants);
      if (message.type === 'stats') {
        this.#remember(message.stats);
        // The engine only knows that it is not to give.
        if (this.#held && this.#p2p === 'on') message.stats.uploadState = this.#held;
      }
      this.#onEvent(message);
    }
  }

  #withPeers(give: (peers: Peers) => void): void {
    const { rtcConfiguration, givesHidden } = this.#options;
    this.#peers ??= import('./peers.js').then(({ Peers: Loaded }) => Loaded.start({
      send: this.#post,
      configuration: rtcConfiguration,
      givesHidden,
      onHeld: (why) => {
        this.#held = why;
        this.#tellMode();
      },
    })).catch((cause: unknown) => {
      this.#post({ type: 'webrtc-unavailable' });
      this.#onEvent({ type: 'error', code: 'sharing-unavailable', message: `this viewer does not share: ${describe(cause)}`, fatal: false });
      return null;
    });
    void this.#peers.then((peers) => {
      if (peers && !this.#stopped) give(peers);
    });
  }

  #tellMode(): void {
    const mode = this.#p2p === 'on' && this.#held ? 'download-only' : this.#p2p;
    if (mode !== this.#told) this.#post({ type: 'p2p', mode });
    this.#told = mode;
  }

  /** Loads what deals with content decryption modules; most pages never need it. */
  #protect(give: (drm: Drm) => void): void {
    const fatal = (code: string, message: string): void => {
      this.#post({ type: 'unload' });
      this.#onEvent({ type: 'error', code, message, fatal: true });
    };
    this.#drm ??= import('./drm.js').then((module) => new module.Drm({
      video: this.#video,
      configuration: this.#options.drm(),
      variants: () => this.#variants,
      variant: () => this.#variant,
      exclude: (indices) => {
        this.#post({ type: 'exclude-variants', indices });
      },
      fail: fatal,
      warn: (code, message) => {
        this.#onEvent({ type: 'error', code, message, fatal: false });
      },
    }));
    const drm = this.#drm;
    drm.then((loaded) => {
      if (this.#drm === drm) give(loaded);
      else loaded.close();
    }, (cause: unknown) => {
      if (this.#drm === drm) fatal('key-system', `the script that decrypts this stream could not be loaded: ${describe(cause)}`);
    });
  }

  #remember({ bandwidth, httpBytes }: EngineStats): void {
    if (httpBytes < MEASURED_BYTES || performance.now() - this.#remembered < REMEMBER_MS) return;
    this.#remembered = performance.now();
    saveBandwidth(bandwidth);
  }

  #attachOnPage(source: MediaSource): void {
    this.#attach(() => {
      const url = URL.createObjectURL(source);
      this.#objectUrl = url;
      source.addEventListener('sourceopen', () => {
        this.#revoke(url);
      }, { once: true });
      this.#video.src = url;
    });
  }

  /** A new media source stops the element, as any new source does; a viewer who was playing wants to go on. */
  #attach(set: () => void): void {
    const playing = !this.#video.paused;
    if (needsManagedSource()) this.#video.disableRemotePlayback = true;
    if (this.#objectUrl) this.#revoke(this.#objectUrl);
    set();
    if (playing) void this.#video.play().catch(ignore);
  }

  /** Takes the media source from the element, and leaves an element without any alone: it may wait to play. */
  #detach(): void {
    void this.#drm?.then((drm) => {
      drm.close();
    }).catch(ignore);
    this.#drm = null;
    if (this.#clear()) this.#video.load();
  }

  #clear(): boolean {
    const had = this.#video.srcObject !== null || this.#video.hasAttribute('src');
    if (this.#objectUrl) this.#revoke(this.#objectUrl);
    if (this.#video.srcObject) this.#video.srcObject = null;
    this.#video.removeAttribute('src');
    return had;
  }

  #revoke(url: string): void {
    URL.revokeObjectURL(url);
    if (this.#objectUrl === url) this.#objectUrl = null;
  }

  #fail(message: string): void {
    if (this.#stopped) return;
    const started = this.#started;
    // Stopping takes the media from the element, and with them where it stood.
    const { readyState, currentTime, paused } = this.#video;
    this.stop(true);
    this.#onEvent({ type: 'stopped', started, message, position: readyState > 0 ? currentTime : null, playing: !paused });
  }

  readonly #post = (message: ToWorker, transfer: Transferable[] = []): void => {
    if (!this.#stopped) this.#worker?.postMessage(message, transfer);
  };

  readonly #onEncrypted = ({ initDataType, initData }: MediaEncryptedEvent): void => {
    this.#protect((drm) => {
      drm.encrypted(initDataType, initData);
    });
  };

  readonly #onOnline = (): void => {
    this.#post({ type: 'online', online: navigator.onLine });
  };

  readonly #onPageHide = (event: PageTransitionEvent): void => {
    // A page kept for the back button may come back; one that does not is gone, and its peers should know at once.
    if (!event.persisted) this.stop(true);
  };
}

function blocked(url: string, words: string): string {
  const cause = words === '' ? '' : `: ${words}`;
  return `the worker ${url} could not be started; it is missing, or the page's Content-Security-Policy blocks it `
    + `(worker-src has to allow it, and blob: when it comes from another origin)${cause}`;
}

function ignore(): void {
  // play() was refused or interrupted; the element's own events say so.
}
