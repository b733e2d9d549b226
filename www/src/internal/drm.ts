// Encrypted Media Extensions: which key system, which keys, and where their licences come from. Only pages whose stream needs a
// content decryption module load this.

import { type KeySystem, SYSTEMS, bytesOf, challengeOf, initDataOf, keyIdsOf, systemOf } from './drm-formats.js';
import type { DrmConfiguration, DrmSystem } from './drm-options.js';
import type { ModuleKey, VariantInfo } from './protocol.js';

/** What the policy needs of the engine. */
export interface DrmHost {
  video: HTMLVideoElement;
  configuration: DrmConfiguration | null;
  variants: () => VariantInfo[];
  /** Index of the variant in use. */
  variant: () => number;
  exclude: (variants: number[]) => void;
  /** Playback cannot go on. */
  fail: (code: string, message: string) => void;
  warn: (code: string, message: string) => void;
}

/** An offer of the playlist, and the variant that it is for (-1: several, or audio). */
interface Offer {
  variant: number;
  key: ModuleKey;
}

interface Chosen {
  system: KeySystem;
  options: DrmSystem;
  mediaKeys: MediaKeys;
}

/** Waits before a licence is asked for again, in ms; the last one repeats. */
const BACKOFF_MS = [1000, 2000, 4000, 8000];
/** Bytes of initialization data that are looked at: what is longer comes from no packager. */
const MAX_INIT_DATA = 64 * 1024;
/** Sessions of one title; keys of a live stream change. */
const MAX_SESSIONS = 64;

/** The element keeps its MediaKeys from title to title: browsers do not like them to change. */
const kept = new WeakMap<HTMLVideoElement, { name: string; mediaKeys: MediaKeys }>();

/** One title's keys. */
export class Drm {
  readonly #host: DrmHost;
  readonly #offers: Offer[] = [];
  readonly #sessions = new Map<string, MediaKeySession>();
  readonly #excluded = new Set<number>();
  #chosen: Promise<Chosen | null> | null = null;
  #closed = false;

  constructor(host: DrmHost) {
    this.#host = host;
  }

  /** The playlist names keys, or (none) an init section turned out to be encrypted. */
  offer(variant: number, keys: ModuleKey[]): void {
    for (const key of keys) {
      const known = this.#offers.some((offer) => offer.variant === variant && offer.key.uri === key.uri && offer.key.format === key.format);
      if (!known) this.#offers.push({ variant, key });
    }
    void this.#choose().then(async (chosen) => {
      if (!chosen) return;
      const { system } = chosen;
      for (const key of keys) {
        const initData = systemOf(key.format) === system ? initDataOf(system, key.uri) : null;
        if (initData) await this.#open(chosen, 'cenc', initData);
      }
    });
  }

  /** The browser has found initialization data in an init section. */
  encrypted(type: string, data: ArrayBuffer | null): void {
    void this.#choose().then(async (chosen) => {
      // Keys that the page gave need no licence.
      if (chosen && !chosen.options.keys && data) await this.#open(chosen, type, new Uint8Array(data));
    });
  }

  /** Ends all sessions. */
  close(): void {
    this.#closed = true;
    for (const session of this.#sessions.values()) session.close().catch(ignore);
    this.#sessions.clear();
  }

  #choose(): Promise<Chosen | null> {
    return (this.#chosen ??= this.#find().catch((cause: unknown) => {
      this.#fail('key-system', `the browser's content decryption module could not be set up: ${words(cause)}`);
      return null;
    }));
  }

  async #find(): Promise<Chosen | null> {
    const { configuration } = this.#host;
    const offered = [...new Set(this.#offers.map(({ key }) => systemOf(key.format)).filter((system) => system !== null))];
    const formats = [...new Set(this.#offers.map(({ key }) => key.format))].join(', ');
    const wanted = offered.length > 0 ? offered.map(({ label }) => label).join(' or ') : formats || 'a key system that the playlist does not name';
    if (!configuration) {
      this.#fail('drm-missing', `this stream is encrypted for ${wanted}: the element's property drm has to say where licences come from`);
      return null;
    }
    const configured = SYSTEMS.filter((system) => configuration[system.name] !== undefined || (configuration.licenseRequest && (offered.length === 0 || offered.includes(system))));
    // Clear keys open any stream of Common Encryption, whatever else the playlist offers; they come last.
    const candidates = configured.filter((system) => offered.length === 0 || offered.includes(system) || system.name === 'org.w3.clearkey');
    if (candidates.length === 0) {
      this.#fail('drm-missing', `this stream is encrypted for ${wanted}, and the element's property drm names none of that`);
      return null;
    }
    if (!('requestMediaKeySystemAccess' in navigator)) {
      this.#fail('key-system', `this stream is encrypted for ${wanted}, which browsers decrypt only on pages served by https`);
      return null;
    }
    for (const system of candidates) {
      const options = configuration[system.name] ?? {};
      const access = await this.#access(system, options);
      if (access) return await this.#setUp(system, options, access);
    }
    const names = candidates.map(({ label }) => label).join(' nor ');
    const more = offered.length > candidates.length ? `; the stream also offers ${offered.filter((system) => !candidates.includes(system)).map(({ label }) => label).join(', ')}` : '';
    this.#fail('key-system', `this browser has no ${names}, or not for these codecs: the stream needs another key system, or the viewer another browser${more}`);
    return null;
  }

  async #access(system: KeySystem, options: DrmSystem): Promise<MediaKeySystemAccess | null> {
    const method = this.#offers[0]?.key.method;
    const encryptionScheme = method === undefined ? null : method === 'SAMPLE-AES' ? 'cbcs' : 'cenc';
    const codecs = new Set(this.#host.variants().flatMap((variant) => variant.codecs.split(',')).map((codec) => codec.trim()).filter(Boolean));
    const isAudio = (codec: string): boolean => /^(mp4a|ac-3|ec-3|ac-4|opus|flac|alac|mp3)/i.test(codec);
    const capabilities = (audio: boolean, fallback: string, robustness?: string): MediaKeySystemMediaCapability[] => {
      const own = [...codecs].filter((codec) => isAudio(codec) === audio && !/^(stpp|wvtt)/.test(codec));
      return (own.length > 0 ? own : codecs.size > 0 ? [] : [fallback]).map((codec) => ({
        contentType: `${audio ? 'audio' : 'video'}/mp4; codecs="${codec}"`,
        robustness: robustness ?? '',
        encryptionScheme,
      }));
    };
    const configuration: MediaKeySystemConfiguration = {
      initDataTypes: ['cenc', 'sinf', 'skd', 'keyids'],
      audioCapabilities: capabilities(true, 'mp4a.40.2', options.audioRobustness),
      videoCapabilities: capabilities(false, 'avc1.42E01E', options.videoRobustness),
      sessionTypes: ['temporary'],
    };
    for (const name of system.names) {
      try {
        return await navigator.requestMediaKeySystemAccess(name, [configuration]);
      } catch {
        // Not here; the next one may be.
      }
    }
    return null;
  }

  async #setUp(system: KeySystem, options: DrmSystem, access: MediaKeySystemAccess): Promise<Chosen | null> {
    const { video } = this.#host;
    const before = kept.get(video);
    let mediaKeys = before?.name === access.keySystem ? before.mediaKeys : null;
    if (!mediaKeys) {
      mediaKeys = await access.createMediaKeys();
      const { certificateUrl } = options;
      if (certificateUrl !== undefined) {
        const certificate = await this.#fetch(() => fetch(certificateUrl), `the certificate ${certificateUrl}`);
        if (!certificate) return null;
        await mediaKeys.setServerCertificate(certificate);
      }
      if (this.#closed) return null;
      await video.setMediaKeys(mediaKeys);
      kept.set(video, { name: access.keySystem, mediaKeys });
    }
    const chosen = { system, options, mediaKeys };
    if (options.keys) {
      const kids = Object.keys(options.keys).map((id) => base64url(bytesOf(id)));
      await this.#open(chosen, 'keyids', new TextEncoder().encode(JSON.stringify({ kids })));
    }
    return chosen;
  }

  async #open(chosen: Chosen, type: string, data: Uint8Array<ArrayBuffer>): Promise<void> {
    const name = `${type} ${String.fromCharCode(...data.subarray(0, MAX_INIT_DATA))}`;
    if (this.#closed || data.length === 0 || data.length > MAX_INIT_DATA || this.#sessions.has(name) || this.#sessions.size >= MAX_SESSIONS) return;
    const session = chosen.mediaKeys.createSession();
    this.#sessions.set(name, session);
    session.addEventListener('message', (event) => {
      void this.#message(chosen, session, event);
    });
    session.addEventListener('keystatuseschange', () => {
      this.#statuses(session);
    });
    try {
      await session.generateRequest(type, data);
    } catch (cause) {
      this.#sessions.delete(name);
      // One that names no key of this system is no reason to stop: others may.
      this.#host.warn('key-request', `${chosen.system.label} made no request of the stream's initialization data: ${words(cause)}`);
    }
  }

  async #message({ system, options }: Chosen, session: MediaKeySession, { message, messageType }: MediaKeyMessageEvent): Promise<void> {
    try {
      const licence = options.keys ? clearKeys(options.keys) : await this.#licence(system, options, message, messageType);
      if (licence && !this.#closed) await session.update(licence);
    } catch (cause) {
      this.#fail('licence', `${system.label} did not take the licence: ${words(cause)}`);
    }
  }

  async #licence(system: KeySystem, options: DrmSystem, message: ArrayBuffer, type: MediaKeyMessageType): Promise<BufferSource | null> {
    const ask = this.#host.configuration?.licenseRequest;
    const url = options.licenseUrl ?? (ask ? undefined : this.#urlOf(system));
    if (url === undefined) {
      if (ask) return await ask(system.name, new Uint8Array(message), type);
      this.#fail('drm-missing', `the element's property drm has no licenseUrl for ${system.name}`);
      return null;
    }
    const { body, headers } = challengeOf(system, message);
    return await this.#fetch(() => fetch(url, {
      method: 'POST',
      body,
      headers: { ...headers, ...options.headers },
      credentials: options.withCredentials ? 'include' : 'same-origin',
    }), `the licence ${url}`);
  }

  /** A clear key's URI may be that of its licence. */
  #urlOf(system: KeySystem): string | undefined {
    if (system.name !== 'org.w3.clearkey') return undefined;
    return this.#offers.find(({ key }) => systemOf(key.format) === system && /^https?:/.test(key.uri))?.key.uri;
  }

  /** Asks until there is an answer; a refusal ends playback. */
  async #fetch(ask: () => Promise<Response>, what: string): Promise<ArrayBuffer | null> {
    for (let attempt = 0; !this.#closed; attempt++) {
      let reason: string;
      try {
        const response = await ask();
        if (response.ok) return await response.arrayBuffer();
        reason = `HTTP status ${response.status}`;
        if (response.status < 500 && response.status !== 408 && response.status !== 429) {
          this.#fail('licence', `${what} was refused: ${reason}`);
          return null;
        }
      } catch (cause) {
        reason = words(cause);
      }
      if (attempt === 0) this.#host.warn('licence', `${what} could not be loaded, and is asked for again: ${reason}`);
      await new Promise((resolve) => setTimeout(resolve, BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)]));
    }
    return null;
  }

  #statuses(session: MediaKeySession): void {
    if (this.#closed) return;
    const restricted: string[] = [];
    session.keyStatuses.forEach((status, id) => {
      if (status === 'output-restricted') restricted.push(hex(id));
      else if (status === 'expired') this.#fail('licence-expired', 'the licence has expired: load the stream again to get another');
      else if (status === 'internal-error') this.#fail('licence', "the browser's content decryption module failed, and cannot use the key");
    });
    if (restricted.length > 0) this.#restrict(restricted);
  }

  /** What may not be shown on this display is not played: another variant may have another key. */
  #restrict(ids: string[]): void {
    const variants = this.#host.variants();
    const named = this.#offers.filter(({ variant, key }) => variant >= 0 && keyIdsOf(key).some((id) => ids.includes(id))).map(({ variant }) => variant);
    const height = variants[this.#host.variant()]?.height ?? 0;
    // Where the playlist names no ids, what is at least as high as what plays now has the same fate.
    const lost = named.length > 0 ? named : variants.flatMap((variant, index) => (variant.height >= height ? [index] : []));
    for (const index of lost) this.#excluded.add(index);
    if (variants.every((variant, index) => !variant.playable || this.#excluded.has(index))) {
      this.#fail('output-restricted', 'this stream may not be shown on this display: it needs one with copy protection (HDCP)');
      return;
    }
    this.#host.exclude([...this.#excluded]);
  }

  #fail(code: string, message: string): void {
    if (this.#closed) return;
    this.close();
    this.#host.fail(code, message);
  }
}

/** A licence out of keys by their ids, both in hexadecimal (W3C Encrypted Media Extensions §9.1.4). */
function clearKeys(keys: Record<string, string>): BufferSource {
  const set = Object.entries(keys).map(([id, key]) => ({ kty: 'oct', kid: base64url(bytesOf(id)), k: base64url(bytesOf(key)) }));
  return new TextEncoder().encode(JSON.stringify({ keys: set, type: 'temporary' }));
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

function hex(id: BufferSource): string {
  const bytes = id instanceof ArrayBuffer ? new Uint8Array(id) : new Uint8Array(id.buffer, id.byteOffset, id.byteLength);
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function words(cause: unknown): string {
  return cause instanceof Error || cause instanceof DOMException ? cause.message : String(cause);
}

function ignore(): void {
  // A session that is closed already.
}
