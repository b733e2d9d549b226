// What the page and the worker say to each other: the whole contract in one file.
// The Rust side (player-wasm) reads and writes the same objects, except where a comment names the TypeScript that answers.

import type { TextEvent, TextRequest } from './text-protocol.js';

/** Which source buffer. */
export type Track = 'main' | 'audio';

/** Options of the engine; absent ones take the core's defaults. */
export interface EngineConfig {
  p2p: P2pMode;
  /** bit/s; null: no limit. */
  uploadLimitBps: number | null;
  trackers: string[];
  /** Names the swarm; null: the playlist's URL without query and hash. */
  swarm: string | null;
  /** Names the swarm instead (docs/swarm-tokens.md); empty: nothing is shared until there is one. */
  swarmToken: string | null;
  /** Viewers that the swarm has to have, this one included; NaN: more than there are. */
  minViewers: number;
  /** What the viewer reads, the best first (RFC 5646). */
  languages: readonly string[];
  /** Bytes that verified segments may take in the cache across sessions; null: there is none. */
  cacheBytes: number | null;
  /** Absolute URL of a file with the segments' hashes; null: what the playlists name. */
  hashes: string | null;
  /** 64 hexadecimal digits: only hashes signed with this key count. */
  publisherKey: string | null;
  /** Overrides of the core's `Config`, by its field names in camelCase (tests and tuning only). */
  tuning?: Record<string, number>;
}

export type P2pMode = 'on' | 'off' | 'download-only';

/** Page → worker. */
export type ToWorker =
  /** First message. Answered by `ready` or `failed` (worker.ts). */
  | { type: 'start'; wasmUrl: string; config: EngineConfig }
  /** Load a playlist (absolute URL), forgetting what was loaded before. `startPosition` in seconds. `response` is the worker's: to the request for
   * `url`, where it was sent before the engine ran. */
  | { type: 'load'; url: string; startPosition: number | null; response?: Promise<Response> }
  | { type: 'unload' }
  /** Index into `variants`; -1 chooses by itself. */
  | { type: 'select-variant'; index: number }
  /** Index into `audio-renditions`. */
  | { type: 'select-audio'; index: number }
  /** The subtitles whose segments are wanted: indices into `text-sources`. */
  | { type: 'select-text'; sources: number[] }
  /** For the text desk in the worker. */
  | TextRequest
  /** Their keys may not be used with this display: others are played. Indices into `variants`. */
  | { type: 'exclude-variants'; indices: number[] }
  | { type: 'p2p'; mode: P2pMode }
  | { type: 'upload-limit'; bps: number | null }
  /** What may be given from now on. */
  | { type: 'upload-budget'; bytes: number | null }
  | { type: 'swarm-token'; token: string | null }
  | { type: 'online'; online: boolean }
  /** What there is use for: the element's size in device pixels (0: no limit), a screen with a high dynamic range, few bytes. Sent when it changes. */
  | { type: 'display'; width: number; height: number; hdr: boolean; saveData: boolean }
  /** How well each of `variants` is decoded: 0 not smoothly, 1 smoothly or not known, 2 smoothly and at little power. */
  | { type: 'decoding-levels'; levels: number[] }
  /** `getVideoPlaybackQuality`. */
  | { type: 'frames'; total: number; dropped: number }
  /** At least four times a second while playing, and at once on play, pause, seeking, seeked, ratechange, waiting. */
  | { type: 'playhead'; position: number; rate: number; paused: boolean; seeking: boolean; readyState: number }
  | { type: 'webrtc-unavailable' }
  /** All candidates gathered (or 2 s passed). */
  | { type: 'offer-ready'; connection: number; sdp: string }
  | { type: 'answer-ready'; connection: number; sdp: string }
  /** The data channel itself, transferred in the task that made it, so possibly not open yet. */
  | { type: 'peer-channel'; connection: number; channel: RTCDataChannel }
  /** Where a channel cannot be transferred, the page relays its events. */
  | { type: 'relay-open'; connection: number }
  | { type: 'relay-message'; connection: number; data: ArrayBuffer }
  /** `bufferedAmount` after sending, and when it fell below the low mark. */
  | { type: 'relay-buffered'; connection: number; amount: number }
  /** The RTCPeerConnection failed, or could not be made, or the relayed channel closed. */
  | { type: 'peer-closed'; connection: number }
  /** Record from the next load on; or send the rest and end. */
  | { type: 'record'; on: boolean }
  /** Answers of the page's media sink, when the media source lives on the page. */
  | MediaAnswer
  /** Answers of the workshop (workshop.ts, in the worker). */
  | JobAnswer;

/** Answers of a media sink (media-sink.ts), to the engine. */
export type MediaAnswer =
  | { type: 'codec-support'; supported: boolean[] }
  /** `buffered`: start, end, start, end … in seconds. */
  | { type: 'media-done'; track: Track; buffered: number[] }
  | { type: 'media-failed'; track: Track; failure: MediaFailure; message: string };

/** Engine → workshop (workshop.ts, in the worker): work on bytes that the engine leaves to the browser or to a module of its own. */
export type Job =
  /** AES in CBC mode with PKCS #7 padding, or in CTR mode with a counter of 64 bits; `key` has 16 or 32 bytes. Or samples: SAMPLE-AES in
   * transport streams and raw audio, Common Encryption in fragmented MP4, whose init section as it came is `init`. Answered by `decrypted`. */
  | { type: 'decrypt'; job: number; cipher: 'aes-cbc' | 'aes-ctr' | 'samples'; key: Uint8Array<ArrayBuffer>; iv: Uint8Array<ArrayBuffer>;
    init: Uint8Array<ArrayBuffer>; data: Uint8Array<ArrayBuffer> }
  /** A segment, MPEG-2 TS or raw audio, or the next part of one, into fragmented MP4. The segments of a track come in order; `reset`: this one
   * does not follow the one before; `begins`, `ends`: the segment does so with these bytes; `last`: no segment follows. Answered by
   * `transmuxed`. */
  | { type: 'transmux'; job: number; track: Track; reset: boolean; begins: boolean; ends: boolean; last: boolean; data: Uint8Array<ArrayBuffer> }
  /** An Ed25519 signature. Answered by `signature-verified`. */
  | { type: 'verify'; job: number; key: Uint8Array<ArrayBuffer>; signature: Uint8Array<ArrayBuffer>; message: Uint8Array<ArrayBuffer> }
  | CacheJob;

/** The cache across sessions (segment-cache.ts): look for a segment, answered by `decrypted`; or keep one, while all take no more than `limit`. */
export type CacheJob =
  | { type: 'cache'; hash: Uint8Array; job: number }
  | { type: 'cache'; hash: Uint8Array; data: Uint8Array<ArrayBuffer>; limit: number };

/** Workshop → engine. */
export type JobAnswer =
  /** Of `decrypt`, and of `cache` with a job. `data` null: the bytes do not decrypt with this key; or the cache does not have them. */
  | { type: 'decrypted'; job: number; data: Uint8Array | null }
  /** `media` null: it failed, `error` says why; it may be empty. `init` null: the same as before. `start` in seconds of the stream's own
   * timeline. */
  | { type: 'transmuxed'; job: number; init: Uint8Array | null; codecs: string; media: Uint8Array | null; start: number; error: string }
  | { type: 'signature-verified'; job: number; valid: boolean };

export type MediaFailure = 'quota-exceeded' | 'unsupported' | 'decode' | 'closed';

/** Engine → media sink (media-sink.ts, in the worker where MediaSource can live there, else on the page). */
export type MediaCommand =
  /** Which of these MIME types play? Answered by `codec-support`. */
  | { type: 'check-codecs'; mimeTypes: string[] }
  /** Open a new media source with these buffers; one `media-done` per track when they are ready. */
  | { type: 'media-open'; tracks: { track: Track; mimeType: string }[] }
  | { type: 'media-duration'; duration: number }
  | { type: 'media-live-seekable'; start: number; end: number }
  /** Answered by `media-done` or `media-failed`. `timestampOffset` null: leave it. */
  | { type: 'media-append'; track: Track; data: Uint8Array; timestampOffset: number | null }
  /** `SourceBuffer.abort()`; answered by `media-done`. */
  | { type: 'media-reset-parser'; track: Track }
  /** Answered by `media-done` or `media-failed`. */
  | { type: 'media-change-type'; track: Track; mimeType: string }
  /** Seconds. Answered by `media-done`. */
  | { type: 'media-remove'; track: Track; start: number; end: number }
  | { type: 'media-end-of-stream' };

/** Worker → page. */
export type ToPage =
  /** The engine runs. `mediaInWorker`: a `media-source` message will come for each load (worker.ts). */
  | { type: 'ready'; mediaInWorker: boolean }
  /** A `load` is begun: what follows is of its title (worker.ts). */
  | { type: 'loading' }
  /** The worker or the wasm could not start (worker.ts). */
  | { type: 'failed'; message: string }
  /** For `video.srcObject` (media-sink.ts in the worker). */
  | { type: 'media-source'; handle: MediaSourceHandle }
  /** Only when the media source lives on the page. */
  | MediaCommand
  | { type: 'create-offer'; connection: number }
  | { type: 'create-answer'; connection: number; sdp: string }
  | { type: 'accept-answer'; connection: number; sdp: string }
  | { type: 'close-peer'; connection: number }
  /** Only for relayed channels. */
  | { type: 'relay-send'; connection: number; data: ArrayBuffer }
  | { type: 'seek'; position: number }
  | { type: 'rate'; rate: number }
  | { type: 'variants'; variants: VariantInfo[] }
  | { type: 'audio-renditions'; renditions: AudioInfo[] }
  | TextEvent
  | { type: 'variant-selected'; index: number; automatic: boolean }
  | { type: 'audio-selected'; index: number }
  | ({ type: 'timeline' } & TimelineInfo)
  /** null: playback goes on. */
  | { type: 'waiting'; reason: WaitingReason | null }
  /** Keys that only a content decryption module can have (drm.ts). `variant`: index into `variants`; -1: several, or audio. */
  | { type: 'module-keys'; variant: number; keys: ModuleKey[] }
  | { type: 'error'; code: string; message: string; fatal: boolean }
  /** A piece of a recording (player-core/src/recording), and whether it was the last. */
  | { type: 'recording'; data: Uint8Array<ArrayBuffer>; last: boolean }
  /** Once a second while something is loaded. */
  | { type: 'stats'; stats: EngineStats };

export type WaitingReason = 'buffering' | 'origin-unavailable' | 'offline' | 'playlist-stale';

export interface VariantInfo {
  id: number;
  /** bit/s, 0 when unknown. */
  bitrate: number;
  width: number;
  height: number;
  frameRate: number;
  codecs: string;
  playable: boolean;
}

/** `EXT-X-KEY` or `EXT-X-SESSION-KEY`. */
export interface ModuleKey {
  /** `METHOD`. */
  method: string;
  /** `KEYFORMAT`. */
  format: string;
  /** Absolute; often a `data:` URL with a `pssh` box. */
  uri: string;
  /** `KEYID` in hexadecimal, mostly empty. */
  keyId: string;
}

export interface AudioInfo {
  name: string;
  language: string;
  default: boolean;
}

/** Seconds; see `TimelineInfo` in player-core/src/io.rs. */
export interface TimelineInfo {
  live: boolean;
  duration: number;
  seekableStart: number;
  seekableEnd: number;
  livePosition: number;
  targetDuration: number;
  targetLiveWindow: number;
}

/** Counters since load; `Stats` in player-core/src/stats.rs, in camelCase. */
export interface EngineStats {
  httpBytes: number;
  peerBytes: number;
  /** From the cache across sessions. */
  cacheBytes: number;
  uploadedBytes: number;
  duplicateBytes: number;
  rejectedBytes: number;
  controlBytes: number;
  playlistBytes: number;
  httpRequests: number;
  /** Connected peers. */
  peers: number;
  /** `badBlocks`: wrong blocks that it sent. */
  peerList: { id: number; receivedBytes: number; sentBytes: number; rttMs: number; badBlocks: number }[];
  /** Media bytes given to and taken from peers, in all. `peerList` has those of each. */
  karma: { given: number; taken: number };
  /** Peers that are banned for wrong bytes, by the last eight characters of their ids. */
  bannedPeers: string[];
  /** What vouches for bytes of peers at the segment that is played next. */
  verified: 'list' | 'signed' | 'segment' | 'spot-checks' | 'awaited';
  /** Bytes of the origin that were fetched to check those of peers; part of `httpBytes`. */
  checkBytes: number;
  /** Why there are no peers: off, no-tracker, webrtc-unavailable, tracker-unreachable, tracker-refused, connecting, alone, few, connected. */
  peerState: string;
  /** Whether people are given what they ask for: on; or why not: off, download-only, budget, metered, battery, hidden (peers.ts). */
  uploadState: string;
  trackerFailure: string | null;
  swarmSize: number;
  /** Seconds; NaN when not live. */
  liveLatency: number;
  /** bit/s. */
  bandwidth: number;
  /** Index into the variants. */
  rendition: number;
  /** Seconds. */
  bufferAhead: number;
  storeBytes: number;
  rebuffers: number;
  rebufferSeconds: number;
  /** The pathway in use (content steering, redundant streams); empty when there is no choice. */
  pathway: string;
  /** The last 64 things done about faults, and why: seconds since the engine started, the playhead, names as in www/API.md. */
  trace: { at: number; position: number; cause: string; action: string }[];
  segments: { rendition: number; sequence: number; start: number; duration: number; httpBytes: number; peerBytes: number; complete: boolean }[];
}
