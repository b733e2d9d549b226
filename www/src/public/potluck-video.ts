// <potluck-video>: a media element that plays HLS, from other viewers first.

import { CustomVideoElement } from 'custom-media-element';
import { MediaTracksMixin } from 'media-tracks';
import { adoptStyle } from '../internal/adopt-style.js';
import type { DrmConfiguration, DrmSystem } from '../internal/drm-options.js';
import { EngineClient, type EngineEvent, engineUrls } from '../internal/engine-client.js';
import { mediaSourceClass } from '../internal/media-sink.js';
import { OPTION_ATTRIBUTES, type Options, type P2pAttribute, readOptions } from '../internal/options.js';
import { PotluckError, type PotluckWarning } from '../internal/player-error.js';
import type { EngineStats, TimelineInfo, WaitingReason } from '../internal/protocol.js';
import type { Recording } from '../internal/recording.js';
import { Renditions } from '../internal/renditions.js';
import { noStats } from '../internal/stats.js';
import type { TextEvent } from '../internal/text-protocol.js';
import type { TextTracks } from '../internal/text-tracks.js';
import { timeRange } from '../internal/time-ranges.js';

export { PotluckError };
export type { DrmConfiguration, DrmSystem, EngineStats, P2pAttribute, PotluckWarning, Recording, WaitingReason };

/** `live`, `on-demand`, or `unknown` until the playlist has come. */
export type StreamType = 'live' | 'on-demand' | 'unknown';

/** Events of `<potluck-video>` beyond those of a media element; none bubbles. */
export const POTLUCK_EVENTS = [
  'statschange', 'potluckwarning', 'waitingreasonchange', 'streamtypechange', 'targetlivewindowchange', 'seekablechange',
] as const;

const HLS_TYPE = 'application/vnd.apple.mpegurl';
/** Two attempts to go on after a failure are at least this far apart, in ms. */
const RECOVERY_MS = 30_000;
/** After a decoding error the engine gets this long to say that the stream is to blame, in ms. */
const DECODE_GRACE_MS = 300;

const Base = MediaTracksMixin(CustomVideoElement);
const STYLE = ':host{display:inline-block;line-height:0}video{max-width:100%;max-height:100%;min-width:100%;min-height:100%;object-fit:var(--media-object-fit,contain);'
  + 'object-position:var(--media-object-position,50% 50%)}video::-webkit-media-text-track-container{transform:var(--media-webkit-text-track-transform);'
  + 'transition:var(--media-webkit-text-track-transition)}';

/** What plays at the moment. */
interface Session {
  client: EngineClient;
  /** Options that only a new engine can take up. */
  key: string;
  url: string | null;
}

/**
 * A media element that plays HLS, from other viewers first. `API.md` says more of its attributes, properties, events and errors. What is
 * listed here goes into the package's custom elements manifest.
 *
 * @tag potluck-video
 * @attr {string} src - URL of an HLS playlist, multivariant or media
 * @attr {string} trackers - WebSocket URLs of WebTorrent trackers, separated by spaces; none: nobody is shared with
 * @attr {string} swarm - names the swarm; default: the playlist's URL without query and hash
 * @attr {string} swarm-token - names the swarm instead, and lets into it where the tracker wants that
 * @attr {number} min-viewers - connections are made only while the swarm has so many viewers
 * @attr {number} cache - MB of verified segments that are kept for later sessions
 * @attr {string} hashes - URL of a file with the segments' hashes, for playlists that do not name one
 * @attr {string} publisher-key - 64 hexadecimal digits: only hashes signed with this key count
 * @attr {string} ice-servers - STUN and TURN servers: JSON, a list of RTCIceServer
 * @attr {"on"|"off"|"download-only"|"relay"} p2p - whether to share; `relay` only through TURN servers
 * @attr {number} upload-limit - kbit/s given to others at most
 * @attr {number} upload-budget - MB given to others in all, for as long as the element is on the page
 * @attr {"off"} upload-hidden - `off`: nothing is given while the page is hidden
 * @attr {"granted"|"download-only"|"off"|"ask"} consent - what the viewer has agreed to
 * @attr {"off"} size-cap - `off`: also renditions with more pixels than the element are chosen automatically
 * @attr {"none"|"metadata"|"auto"} preload - `none`: nothing is loaded before `play()`
 * @attr {string} poster - picture to show before the first frame
 * @attr {boolean} autoplay - plays as soon as it can
 * @attr {boolean} muted - without sound at first
 * @attr {boolean} loop - begins again at the end
 * @attr {boolean} playsinline - stays in the page on phones
 * @attr {boolean} controls - shows the browser's own controls
 * @attr {string} waitingreason - read only: why nothing plays while the player keeps trying
 * @fires {Event} statschange - `stats` has been refreshed, each second
 * @fires {CustomEvent<PotluckWarning>} potluckwarning - playback goes on without something: `detail` is `{ code, message }`
 * @fires {Event} waitingreasonchange - `waitingReason` has changed
 * @fires {Event} streamtypechange - `streamType` has changed
 * @fires {Event} targetlivewindowchange - `targetLiveWindow` has changed
 * @fires {Event} seekablechange - `seekable` has changed
 * @fires {CustomEvent<PotluckError>} error - playback has ended with `error`
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- adds types to addEventListener, nothing else
export class PotluckVideo extends Base {
  static override get observedAttributes(): string[] {
    return [...super.observedAttributes, ...OPTION_ATTRIBUTES];
  }

  /** URL of `potluck-worker.js`; set before the first element connects where it is not beside the script. */
  static get workerUrl(): string {
    return engineUrls.worker;
  }

  static set workerUrl(url: string) {
    engineUrls.worker = new URL(url, document.baseURI).href;
  }

  /** URL of `potluck.wasm`; set before the first element connects where it is not beside the script. */
  static get wasmUrl(): string {
    return engineUrls.wasm;
  }

  static set wasmUrl(url: string) {
    engineUrls.wasm = new URL(url, document.baseURI).href;
  }

  #session: Session | null = null;
  #options: Options | null = null;
  #parsed: { key: string; options: Options } | null = null;
  #renditions: Renditions | null = null;
  #text: Promise<TextTracks> | null = null;
  #updateScheduled = false;
  #playRequested = false;
  #reload = false;
  #resumeAt: number | null = null;
  #nativeUrl: string | null = null;
  #error: PotluckError | null = null;
  #warnings: PotluckWarning[] = [];
  #stats: EngineStats = noStats();
  #timeline: TimelineInfo | null = null;
  #waitingReason: WaitingReason | null = null;
  #tuning: Record<string, number> = {};
  #drm: DrmConfiguration | null = null;
  #lastRecovery = -Infinity;
  /** Bytes given to others before the last load. */
  #given = 0;
  #recording: Recording | null = null;

  // What a media element has, where the engine knows better than the <video>.

  override get src(): string {
    return this.getAttribute('src') ?? '';
  }

  override set src(url: string) {
    this.setAttribute('src', url);
  }

  // An absolute URL, or empty: never a boolean, as what this is built on has it.
  override get poster(): string {
    return this.nativeEl.poster;
  }

  override set poster(url: string) {
    this.setAttribute('poster', url);
  }

  override get currentSrc(): string {
    return this.#session?.url ?? this.#nativeUrl ?? '';
  }

  /** A `PotluckError`, shaped like a MediaError and with the cause's name; null while all is well. */
  override get error(): MediaError | null {
    return this.#error ?? (this.#nativeUrl === null ? null : this.nativeEl.error);
  }

  /** For live, from the window's start to where a viewer who follows plays. */
  override get seekable(): TimeRanges {
    if (!this.#timeline?.live) return this.nativeEl.seekable;
    return timeRange(this.#timeline.seekableStart, this.#timeline.livePosition);
  }

  override canPlayType(type: string): CanPlayTypeResult {
    return /^\s*(application\/(vnd\.apple\.mpegurl|x-mpegurl)|audio\/(x-)?mpegurl)\b/i.test(type) ? 'maybe' : this.nativeEl.canPlayType(type);
  }

  /** Loads `src` anew. */
  override load(): void {
    this.#reload = true;
    this.#schedule();
  }

  override async play(): Promise<void> {
    this.#playRequested = true;
    if (this.#error) this.#reload = true;
    this.#schedule();
    await this.nativeEl.play().catch((cause: unknown) => {
      // A source that has come takes over from the one before, and plays as it was asked for.
      if (this.nativeEl.paused) throw cause;
    });
  }

  // The media element extensions that media-chrome and other skins read.

  get streamType(): StreamType {
    if (!this.#timeline) return 'unknown';
    return this.#timeline.live ? 'live' : 'on-demand';
  }

  /** Seconds that can be rewound: NaN on demand, 0 without DVR, Infinity when all of it. */
  get targetLiveWindow(): number {
    return this.#timeline?.live ? this.#timeline.targetLiveWindow : NaN;
  }

  /** From this second on a viewer counts as following live; NaN on demand. */
  get liveEdgeStart(): number {
    if (!this.#timeline?.live) return NaN;
    const { livePosition, seekableStart, targetDuration } = this.#timeline;
    // The edge moves by segments, the playhead steadily: it lags by up to one, and some.
    return Math.max(seekableStart, livePosition - Math.max(2, 1.5 * targetDuration));
  }

  // Potluck's own.

  /** Counters since the load, refreshed each second (`statschange`). */
  get stats(): EngineStats {
    return this.#stats;
  }

  /** Why nothing plays while the player keeps trying (`waitingreasonchange`); null when it plays. Also an attribute. */
  get waitingReason(): WaitingReason | null {
    return this.#waitingReason;
  }

  /** What playback went on without since the load (`potluckwarning`). */
  get warnings(): readonly PotluckWarning[] {
    return this.#warnings;
  }

  /** Space-separated WebSocket URLs of WebTorrent trackers. */
  get trackers(): string {
    return this.getAttribute('trackers') ?? '';
  }

  set trackers(urls: string | readonly string[]) {
    this.setAttribute('trackers', typeof urls === 'string' ? urls : urls.join(' '));
  }

  /** Names the swarm; empty: the playlist's URL without query and hash. */
  get swarm(): string {
    return this.getAttribute('swarm') ?? '';
  }

  set swarm(id: string) {
    this.#setOrRemove('swarm', id);
  }

  /** Names the swarm instead of `swarm`, and lets into it; empty: nothing is shared until there is one; null: there is none. */
  get swarmToken(): string | null {
    return this.getAttribute('swarm-token');
  }

  set swarmToken(token: string | null) {
    if (token === null) this.removeAttribute('swarm-token');
    else this.setAttribute('swarm-token', token);
  }

  /** Connections are made only while the swarm has so many viewers, this one included. */
  get minViewers(): number {
    return this.#readOptions().minViewers;
  }

  set minViewers(count: number) {
    this.setAttribute('min-viewers', String(count));
  }

  /** MB that verified segments may take in the cache across sessions; null: there is none. */
  get cache(): number | null {
    const bytes = this.#readOptions().cacheBytes;
    return bytes === null ? null : bytes / 1e6;
  }

  set cache(megabytes: number | null) {
    this.#setOrRemove('cache', megabytes === null ? null : String(megabytes));
  }

  /** URL of a file with the segments' hashes, for playlists that do not name one; empty: none. */
  get hashes(): string {
    return this.getAttribute('hashes') ?? '';
  }

  set hashes(url: string) {
    this.#setOrRemove('hashes', url);
  }

  /** 64 hexadecimal digits: only hashes signed with this key count; empty: no key. */
  get publisherKey(): string {
    return this.getAttribute('publisher-key') ?? '';
  }

  set publisherKey(key: string) {
    this.#setOrRemove('publisher-key', key);
  }

  /** Unusable entries are left out. */
  get iceServers(): RTCIceServer[] {
    return this.#readOptions().iceServers;
  }

  set iceServers(servers: RTCIceServer[] | null) {
    this.#setOrRemove('ice-servers', servers && JSON.stringify(servers));
  }

  get p2p(): P2pAttribute {
    return this.#readOptions().p2pAttribute;
  }

  set p2p(mode: P2pAttribute) {
    this.setAttribute('p2p', mode);
  }

  /** kbit/s; null: no limit. */
  get uploadLimit(): number | null {
    const limit = this.#readOptions().uploadLimitBps;
    return limit === null ? null : limit / 1000;
  }

  set uploadLimit(limit: number | null) {
    this.#setOrRemove('upload-limit', limit === null ? null : String(limit));
  }

  /** MB, for as long as the element is there; null: no limit. */
  get uploadBudget(): number | null {
    const budget = this.#readOptions().uploadBudget;
    return budget === null ? null : budget / 1e6;
  }

  set uploadBudget(megabytes: number | null) {
    this.#setOrRemove('upload-budget', megabytes === null ? null : String(megabytes));
  }

  /** Whether others are given something while the page is hidden (`upload-hidden`, on unless it is `off`). */
  get uploadHidden(): boolean {
    return this.#readOptions().uploadHidden;
  }

  set uploadHidden(on: boolean) {
    this.#setOrRemove('upload-hidden', on ? null : 'off');
  }

  /** `off` keeps this viewer out of swarms whatever `p2p` says. */
  get consent(): string {
    return this.getAttribute('consent') ?? '';
  }

  set consent(value: string) {
    this.#setOrRemove('consent', value);
  }

  /** Where licences of encrypted streams come from, by key system; counts from the next load on. */
  get drm(): DrmConfiguration | null {
    return this.#drm;
  }

  set drm(configuration: DrmConfiguration | null) {
    this.#drm = configuration;
  }

  /** Whether renditions larger than the element are never chosen by themselves (`size-cap`, on unless it is `off`). */
  get sizeCap(): boolean {
    return this.#readOptions().sizeCap;
  }

  set sizeCap(on: boolean) {
    this.#setOrRemove('size-cap', on ? null : 'off');
  }

  /** The engine's own options by their names, for tests and tuning; not a promise. */
  get tuning(): Record<string, number> {
    return this.#tuning;
  }

  set tuning(values: Record<string, number>) {
    this.#tuning = { ...values };
    this.#schedule();
  }

  /** Loads anew, from where the playhead stands, and records all that the engine is told from then on: for bug reports. */
  async record(): Promise<Recording> {
    const { Recording: Made } = await import('../internal/recording.js');
    this.#recording = new Made((on) => {
      this.#session?.client.send({ type: 'record', on });
    });
    this.#session?.client.send({ type: 'record', on: true });
    this.#again();
    return this.#recording;
  }

  // The element's life.

  /** The shadow tree that the base class would write as HTML, which pages with Trusted Types do not take. Attributes follow one by one. */
  override init(): void {
    if (!this.shadowRoot) {
      const root = this.attachShadow({ mode: 'open' });
      const slot = document.createElement('slot');
      const video = document.createElement('video');
      slot.name = 'media';
      video.setAttribute('part', 'video');
      slot.append(video);
      root.append(slot, document.createElement('slot'));
      adoptStyle(root, STYLE);
    }
    super.init();
  }

  override attributeChangedCallback(name: string, before: string | null = null, after: string | null = null): void {
    if (name === 'src') {
      if (before !== after) {
        this.#playRequested = false;
        this.#resumeAt = null;
      }
    } else {
      super.attributeChangedCallback(name, before, after);
      // On a <video> the attribute counts when the element is created; here, until something is loaded.
      if (name === 'muted' && this.nativeEl.readyState === 0) this.nativeEl.muted = after !== null;
    }
    if (name === 'src' || name === 'preload' || name === 'autoplay' || (OPTION_ATTRIBUTES as readonly string[]).includes(name)) this.#schedule();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    for (const name of ['trackers', 'swarm', 'swarmToken', 'minViewers', 'cache', 'hashes', 'publisherKey', 'iceServers', 'p2p', 'uploadLimit', 'uploadBudget', 'uploadHidden', 'consent', 'drm', 'sizeCap', 'tuning'] as const) this.#upgrade(name);
    this.#schedule();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    // Moving an element removes and adds it within one task; only what stays away is torn down.
    setTimeout(() => {
      if (!this.isConnected) this.#stop();
    });
  }

  /** Events of the `<video>`, on their way to the page. */
  override handleEvent(event: Event): void {
    if (event.type === 'error' && event.target === this.nativeEl && this.#nativeUrl === null) this.#onNativeError();
    else super.handleEvent(event);
  }

  /** Attributes come one by one; what they ask for is done once. */
  #schedule(): void {
    if (this.#updateScheduled) return;
    this.#updateScheduled = true;
    queueMicrotask(() => {
      this.#updateScheduled = false;
      if (this.isConnected) this.#update();
    });
  }

  #update(): void {
    this.#applyOptions();
    const src = this.getAttribute('src')?.trim() ?? '';
    if (src === '') {
      if (this.#error ?? this.#session?.url ?? this.#nativeUrl) this.#reset();
      if (this.#session?.url) {
        this.#session.client.unload();
        this.#session.url = null;
      }
      this.#endNative();
      return;
    }
    const reload = this.#reload;
    if (reload) this.#error = null;
    const url = resolveUrl(src);
    if (url === null) {
      this.#reload = false;
      this.#stop();
      this.fail('src-url', `src="${src}" is not a URL that can be played: it has to lead to http:, https:, blob: or data:`);
      return;
    }
    if (!mediaSourceClass()) {
      this.#reload = false;
      this.#playNatively(url, reload);
      return;
    }
    if (!reload && !this.#session?.url && !this.#mayLoad()) return;
    this.#reload = false;
    const options = this.#readOptions();
    const key = JSON.stringify([options.trackers, options.swarm, options.minViewers, options.cacheBytes, options.hashes, options.publisherKey, this.#tuning]);
    if (this.#session && this.#session.key !== key) {
      // Trackers and swarm belong to an engine for its life: a new one goes on where this one stood.
      if (this.#session.url === url && !reload) this.#resumeAt = this.#position();
      const playing = !this.paused;
      this.#endSession();
      if (playing) void this.nativeEl.play().catch(ignore);
    } else if (this.#session?.url === url && !reload) {
      return;
    }
    const next = this.#session?.url !== url;
    this.#reset();
    this.#warn(...options.warnings);
    this.#session ??= this.#startSession(options, key);
    this.#session.url = url;
    this.#tellBudget(options);
    this.#session.client.load(url, this.#resumeAt ?? this.#chosenStart());
    this.#resumeAt = null;
    // Letting go of the source before has stopped what `play()` asked of this one.
    if (next && this.#playRequested) void this.nativeEl.play().catch(ignore);
  }

  /** With `preload="none"` nothing is loaded before somebody wants to play. */
  #mayLoad(): boolean {
    return this.getAttribute('preload') !== 'none' || this.hasAttribute('autoplay') || this.#playRequested || !this.nativeEl.paused;
  }

  /** `currentTime` that was set before there was anything to play. */
  #chosenStart(): number | null {
    const { readyState, currentTime } = this.nativeEl;
    return readyState === 0 && currentTime > 0 ? currentTime : null;
  }

  #position(at = this.nativeEl.readyState > 0 ? this.nativeEl.currentTime : null): number | null {
    return this.streamType === 'on-demand' ? at : null;
  }

  #startSession(options: Options, key: string): Session {
    const client: EngineClient = new EngineClient({
      video: this.nativeEl,
      config: {
        p2p: options.p2p,
        uploadLimitBps: options.uploadLimitBps,
        trackers: options.trackers,
        swarm: options.swarm,
        swarmToken: options.swarmToken,
        minViewers: options.minViewers,
        languages: navigator.languages,
        cacheBytes: options.cacheBytes,
        hashes: options.hashes,
        publisherKey: options.publisherKey,
        tuning: this.#tuning,
      },
      rtcConfiguration: () => {
        const { iceServers, relayOnly } = this.#readOptions();
        return { iceServers, iceTransportPolicy: relayOnly ? 'relay' : 'all' };
      },
      givesHidden: () => this.uploadHidden,
      drm: () => this.#drm,
      onEvent: (event) => {
        if (this.#session?.client === client) this.#onEngine(event);
      },
    });
    this.#renditions ??= new Renditions(this, (message) => {
      this.#session?.client.send(message);
    });
    client.sizeCap = options.sizeCap;
    if (this.#recording) client.send({ type: 'record', on: true });
    return { client, key, url: null };
  }

  #endSession(): void {
    const session = this.#session;
    this.#session = null;
    session?.client.stop();
  }

  /** What the element showed about the last title. */
  #reset(): void {
    this.#error = null;
    this.#warnings = [];
    this.#given += this.#stats.uploadedBytes;
    this.#stats = noStats();
    this.dispatchEvent(new Event('statschange'));
    this.#setTimeline(null);
    this.#setWaiting(null);
    this.#renditions?.clear();
    void this.#text?.then((text) => {
      text.clear();
    }, ignore);
  }

  #stop(): void {
    if (this.#session) this.#reset();
    this.#endSession();
    this.#endNative();
  }

  #onEngine(event: EngineEvent): void {
    switch (event.type) {
      case 'seek':
        this.nativeEl.currentTime = event.position;
        return;
      case 'rate':
        this.nativeEl.playbackRate = event.rate;
        return;
      case 'variants':
        this.#renditions?.setVariants(event.variants);
        return;
      case 'variant-selected':
        this.#renditions?.setVariant(event.index, event.automatic);
        return;
      case 'audio-renditions':
        this.#renditions?.setAudio(event.renditions);
        return;
      case 'audio-selected':
        this.#renditions?.setAudioSelected(event.index);
        return;
      case 'timeline':
        this.#setTimeline(event);
        return;
      case 'waiting':
        this.#setWaiting(event.reason);
        return;
      case 'error':
        if (event.fatal) this.fail(event.code, event.message);
        else this.#warn({ code: event.code, message: event.message });
        return;
      case 'stats':
        this.#stats = event.stats;
        this.dispatchEvent(new Event('statschange'));
        return;
      case 'stopped':
        this.#onStopped(event);
        return;
      case 'recording':
        this.#recording?.add(event);
        if (event.last) this.#recording = null;
        return;
      default:
        this.#onText(event);
    }
  }

  /** Text tracks are made by a script of their own, which only streams that have text load. */
  #onText(event: TextEvent): void {
    this.#text ??= import('../internal/text-tracks.js').then(({ TextTracks: Tracks }) => (
      new Tracks(this.nativeEl, (message) => {
        this.#session?.client.send(message);
      })
    ));
    this.#text.then((text) => {
      text.handle(event);
    }).catch((cause: unknown) => {
      this.#text = null;
      this.#warn({ code: 'text-unavailable', message: `subtitles and metadata are missing: ${String(cause)}` });
    });
  }

  /** The engine has gone. One that ran gets a second chance, from where the playhead stands. */
  #onStopped({ started, message, position, playing }: Extract<EngineEvent, { type: 'stopped' }>): void {
    this.#session = null;
    if (!started) {
      this.fail('engine-unavailable', message);
    } else if (this.#mayRecover()) {
      this.#recover('engine-stopped', message, this.#position(position), playing);
    } else {
      this.fail('engine-stopped', message);
    }
  }

  /** The browser's decoder gave up. Where the engine does not put it down to the stream, loading again often helps. */
  #onNativeError(): void {
    const { error } = this.nativeEl;
    const message = error?.message || 'the browser stopped playing without saying why';
    // A source that is taken away, or replaced, may leave an error of no meaning.
    if (!error || error.code === PotluckError.MEDIA_ERR_ABORTED) return;
    const session = this.#session;
    setTimeout(() => {
      if (!session || this.#session !== session || this.#error || this.nativeEl.error !== error) return;
      if (this.#mayRecover()) this.#recover('decode', message);
      else this.fail('decode', `the stream could not be decoded: ${message}`);
    }, DECODE_GRACE_MS);
  }

  #mayRecover(): boolean {
    return performance.now() - this.#lastRecovery > RECOVERY_MS;
  }

  #recover(code: string, message: string, position?: number | null, playing?: boolean): void {
    this.#lastRecovery = performance.now();
    this.#again(position, playing);
    this.#warn({ code, message: `${message}; loading again` });
  }

  /** Loads anew, from where the playhead stands. */
  #again(position = this.#position(), playing = !this.nativeEl.paused): void {
    this.#resumeAt = position;
    this.#reload = true;
    this.#update();
    if (playing) void this.nativeEl.play().catch(ignore);
  }

  /** Without Media Source Extensions (old iPhones) the browser's own HLS plays, by HTTP alone. */
  #playNatively(url: string, reload: boolean): void {
    if (this.#nativeUrl === url && !reload) return;
    if (this.nativeEl.canPlayType(HLS_TYPE) === '') {
      this.fail('unsupported-browser', 'this browser has neither Media Source Extensions nor HLS of its own');
      return;
    }
    this.#reset();
    this.#nativeUrl = url;
    this.nativeEl.src = url;
    this.#warn({ code: 'native-playback', message: "this browser has no Media Source Extensions: its own player plays, without other viewers' help" });
  }

  #endNative(): void {
    if (this.#nativeUrl === null) return;
    this.#nativeUrl = null;
    this.nativeEl.removeAttribute('src');
    this.nativeEl.load();
  }

  #applyOptions(): void {
    const before = this.#options;
    const options = this.#readOptions();
    if (!this.#session || !before || before === options) {
      this.#options = options;
      return;
    }
    this.#options = options;
    const { client } = this.#session;
    client.p2p = options.p2p;
    if (before.swarmToken !== options.swarmToken) client.send({ type: 'swarm-token', token: options.swarmToken });
    client.sizeCap = options.sizeCap;
    if (before.uploadLimitBps !== options.uploadLimitBps) client.send({ type: 'upload-limit', bps: options.uploadLimitBps });
    if (before.uploadBudget !== options.uploadBudget) this.#tellBudget(options);
    const known = new Set(before.warnings.map(({ message }) => message));
    this.#warn(...options.warnings.filter(({ message }) => !known.has(message)));
  }

  #tellBudget({ uploadBudget }: Options): void {
    const bytes = uploadBudget === null ? null : Math.max(0, uploadBudget - this.#given - this.#stats.uploadedBytes);
    this.#session?.client.send({ type: 'upload-budget', bytes });
  }

  #readOptions(): Options {
    const key = OPTION_ATTRIBUTES.map((name) => this.getAttribute(name) ?? '\0').join('\n');
    if (this.#parsed?.key !== key) this.#parsed = { key, options: readOptions((name) => this.getAttribute(name)) };
    return this.#parsed.options;
  }

  #setTimeline(timeline: TimelineInfo | null): void {
    const { streamType, targetLiveWindow } = this;
    this.#timeline = timeline;
    if (this.streamType !== streamType) this.dispatchEvent(new Event('streamtypechange'));
    if (!Object.is(this.targetLiveWindow, targetLiveWindow)) this.dispatchEvent(new Event('targetlivewindowchange'));
    this.dispatchEvent(new Event('seekablechange'));
  }

  #setWaiting(reason: WaitingReason | null): void {
    if (reason === this.#waitingReason) return;
    this.#waitingReason = reason;
    this.#setOrRemove('waitingreason', reason);
    this.dispatchEvent(new Event('waitingreasonchange'));
  }

  /** Ends with an error: for scripts that find out what `src` is to be, and cannot. */
  fail(name: string, message: string): void {
    if (this.#error?.name === name && this.#error.message === message) return;
    this.#error = new PotluckError(name, message);
    this.#setWaiting(null);
    this.dispatchEvent(new CustomEvent('error', { detail: this.#error }));
  }

  #warn(...warnings: PotluckWarning[]): void {
    for (const detail of warnings) {
      this.#warnings = [...this.#warnings, detail];
      this.dispatchEvent(new CustomEvent('potluckwarning', { detail }));
    }
  }

  #setOrRemove(attribute: string, value: string | null): void {
    if (value === null || value === '') this.removeAttribute(attribute);
    else this.setAttribute(attribute, value);
  }

  /** A property that was set before the element was defined hides the accessor. */
  #upgrade(name: string): void {
    const own = Object.getOwnPropertyDescriptor(this, name);
    if (!own) return;
    Reflect.deleteProperty(this, name);
    Reflect.set(this, name, own.value);
  }
}

function resolveUrl(src: string): string | null {
  try {
    const url = new URL(src, document.baseURI);
    return ['http:', 'https:', 'blob:', 'data:'].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function ignore(): void {
  // play() was refused or interrupted; the element's own events say so.
}

/** Handlers and types of the element's own events. */
export interface PotluckVideoEventMap extends HTMLVideoElementEventMap {
  statschange: Event;
  potluckwarning: CustomEvent<PotluckWarning>;
  waitingreasonchange: Event;
  streamtypechange: Event;
  targetlivewindowchange: Event;
  seekablechange: Event;
}

// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- as above
export interface PotluckVideo {
  addEventListener<K extends keyof PotluckVideoEventMap>(type: K, listener: (this: PotluckVideo, event: PotluckVideoEventMap[K]) => unknown, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'potluck-video': PotluckVideo;
  }
}
