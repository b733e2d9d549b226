// For pages that embed: the address of the iframe's page, and a player in an iframe driven as if it were on the page.

import type { EngineStats } from './potluck-video.js';

/** What the iframe's page understands in its query; `API.md` has the table. */
export interface EmbedOptions {
  /** Absolute URL of the playlist. */
  src: string;
  /** WebSocket URLs of trackers. */
  trackers?: readonly string[];
  swarm?: string;
  swarmToken?: string;
  minViewers?: number;
  p2p?: string;
  /** Default `ask`. */
  consent?: 'granted' | 'download-only' | 'off' | 'ask';
  /** kbit/s. */
  uploadLimit?: number;
  /** MB in all. */
  uploadBudget?: number;
  /** `off`: nothing is given while the page is hidden. */
  uploadHidden?: 'off';
  iceServers?: readonly RTCIceServer[];
  /** Seconds: where playback begins, and where it pauses. */
  start?: number;
  stop?: number;
  title?: string;
  poster?: string;
  /** Nothing is loaded before the viewer plays. */
  lazy?: boolean;
  autoplay?: boolean;
  muted?: boolean;
  loop?: boolean;
  /** Default true. */
  controls?: boolean;
  /** Language of the captions to show. */
  subtitle?: string;
  playbackRate?: number;
  /** CSS colours of the buttons and of what is on them. */
  accent?: string;
  onAccent?: string;
  scheme?: 'dark' | 'light' | 'auto';
  /** Language of the controls. */
  lang?: string;
}

const NAMES: Partial<Record<keyof EmbedOptions, string>> = { swarmToken: 'swarm-token', minViewers: 'min-viewers', uploadLimit: 'upload-limit', uploadBudget: 'upload-budget', uploadHidden: 'upload-hidden', iceServers: 'ice-servers', onAccent: 'on-accent' };

/** URL for an iframe; `page` is where `embed.html` is served. */
export function embedUrl(page: string, options: EmbedOptions): string {
  const url = new URL(page, document.baseURI);
  for (const [option, value] of Object.entries(options) as [keyof EmbedOptions, unknown][]) {
    const name = NAMES[option] ?? option;
    if (typeof value === 'boolean') url.searchParams.set(name, value ? '1' : '0');
    else if (option === 'trackers') url.searchParams.set(name, (value as string[]).join(' '));
    else if (typeof value === 'object') url.searchParams.set(name, JSON.stringify(value));
    else if (typeof value === 'string' || typeof value === 'number') url.searchParams.set(name, String(value));
  }
  return url.href;
}

/** What comes along with each event. */
export interface EmbedState {
  currentTime: number;
  /** NaN until known, Infinity for live. */
  duration: number;
  paused: boolean;
  ended: boolean;
  muted: boolean;
  volume: number;
  playbackRate: number;
  readyState: number;
  streamType: string;
}

/** Messages to the iframe's page. */
export type EmbedRequest = { potluck: 1; id: number } & (
  { get: string } | { set: string; value: unknown } | { call: string; args: unknown[] } | { listen: string }
);

/** Messages from it. `ready` comes when it can be asked. */
export type EmbedReply = { potluck: 1 } & (
  { ready: true } | { id: number; result: unknown } | { id: number; error: string } | { event: string; state: EmbedState; detail: unknown }
);

/** A player in an iframe of another origin. */
export class PotluckEmbed extends EventTarget {
  readonly iframe: HTMLIFrameElement;
  /** Once the page in the iframe answers. */
  readonly ready: Promise<void>;
  #origin: string;
  #next = 0;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (cause: Error) => void }>();
  readonly #listening = new Set<string>();
  #state: EmbedState | null = null;
  #onReady: () => void = () => undefined;

  /** `iframe` shows `embed.html`, now or soon. */
  constructor(iframe: HTMLIFrameElement) {
    super();
    this.iframe = iframe;
    this.#origin = new URL(iframe.src, document.baseURI).origin;
    this.ready = new Promise((resolve) => {
      this.#onReady = resolve;
    });
    addEventListener('message', this.#receive);
    // The page may have said that it is ready before anybody listened. While the iframe is on its way to the page, it is not of its
    // origin yet, and whoever is there may hear this.
    this.#send({ get: 'paused' }, '*').then(() => {
      this.#onReady();
    }).catch(() => undefined);
  }

  /** What came with the last event; null before the first. */
  get state(): EmbedState | null {
    return this.#state;
  }

  play(): Promise<void> {
    return this.call('play') as Promise<void>;
  }

  pause(): Promise<void> {
    return this.call('pause') as Promise<void>;
  }

  /** Seconds. */
  async seek(position: number): Promise<void> {
    await this.set('currentTime', position);
  }

  async stats(): Promise<EngineStats> {
    return (await this.get('stats')) as EngineStats;
  }

  /** A property of the element in the iframe. Lists come as plain arrays, ranges as arrays of `[start, end]`. */
  async get(property: string): Promise<unknown> {
    await this.ready;
    return await this.#send({ get: property });
  }

  async set(property: string, value: unknown): Promise<void> {
    await this.ready;
    await this.#send({ set: property, value });
  }

  /** A method of the element in the iframe. */
  async call(method: string, ...args: unknown[]): Promise<unknown> {
    await this.ready;
    return await this.#send({ call: method, args });
  }

  /** Events of the element in the iframe, as a `CustomEvent` each, with what the event said as `detail`. */
  override addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void {
    super.addEventListener(type, listener, options);
    if (this.#listening.has(type)) return;
    this.#listening.add(type);
    this.ready.then(() => this.#send({ listen: type })).catch(() => undefined);
  }

  /** Lets go of the iframe, and leaves it where it is. */
  disconnect(): void {
    removeEventListener('message', this.#receive);
    for (const { reject } of this.#waiting.values()) reject(new Error('the embed was disconnected'));
    this.#waiting.clear();
  }

  #send(request: { get: string } | { set: string; value: unknown } | { call: string; args: unknown[] } | { listen: string }, target = this.#origin === 'null' ? '*' : this.#origin): Promise<unknown> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const message: EmbedRequest = { potluck: 1, id, ...request };
      this.iframe.contentWindow?.postMessage(message, target);
    });
  }

  readonly #receive = ({ source, origin, data }: MessageEvent): void => {
    if (source !== this.iframe.contentWindow || this.#origin !== 'null' && origin !== this.#origin || !isReply(data)) return;
    if ('ready' in data) {
      this.#onReady();
    } else if ('event' in data) {
      this.#state = data.state;
      this.dispatchEvent(new CustomEvent(data.event, { detail: data.detail }));
    } else {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ('error' in data) waiting?.reject(new Error(data.error));
      else waiting?.resolve(data.result);
    }
  };
}

function isReply(data: unknown): data is EmbedReply {
  return typeof data === 'object' && data !== null && (data as { potluck?: unknown }).potluck === 1;
}
