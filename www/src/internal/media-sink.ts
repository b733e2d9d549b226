// Media Source Extensions behind the commands of protocol.ts. The same class runs in the worker and on the page.

import { describe } from './compile-wasm.js';
import type { MediaAnswer, MediaCommand, MediaFailure, Track } from './protocol.js';

type TrackCommand = Extract<MediaCommand, { type: 'media-append' | 'media-reset-parser' | 'media-change-type' | 'media-remove' }>;
type MediaSourceClass = typeof MediaSource;

const COMMANDS: ReadonlySet<string> = new Set<MediaCommand['type']>([
  'check-codecs', 'media-open', 'media-duration', 'media-live-seekable', 'media-append', 'media-reset-parser', 'media-change-type',
  'media-remove', 'media-end-of-stream',
]);

/** Whether a media sink answers this message. */
export function isMediaCommand(message: { type: string }): message is MediaCommand {
  return COMMANDS.has(message.type);
}

/** `MediaSource`, or `ManagedMediaSource` where there is no other, or null. */
export function mediaSourceClass(): MediaSourceClass | null {
  const scope = globalThis as { MediaSource?: MediaSourceClass; ManagedMediaSource?: MediaSourceClass };
  return scope.MediaSource ?? scope.ManagedMediaSource ?? null;
}

/** Whether the element must give up remote playback for its media source to open (iPhone). */
export function needsManagedSource(): boolean {
  return !('MediaSource' in globalThis) && 'ManagedMediaSource' in globalThis;
}

/** Takes commands, answers each in the order of its track. */
export class MediaSink {
  readonly #answer: (answer: MediaAnswer) => void;
  readonly #attach: (source: MediaSource) => void;
  #open: OpenSource | null = null;

  /** `attach` is to bring the media source to the element: by its handle, or by an object URL. */
  constructor(answer: (answer: MediaAnswer) => void, attach: (source: MediaSource) => void) {
    this.#answer = answer;
    this.#attach = attach;
  }

  /** Never throws: what goes wrong is an answer. */
  handle(command: MediaCommand): void {
    switch (command.type) {
      case 'check-codecs': {
        const source = mediaSourceClass();
        const supported = command.mimeTypes.map((type) => source?.isTypeSupported(type) ?? false);
        this.#answer({ type: 'codec-support', supported });
        return;
      }
      case 'media-open':
        this.#openSource(command.tracks);
        return;
      case 'media-duration':
        this.#open?.setDuration(command.duration);
        return;
      case 'media-live-seekable':
        this.#open?.setLiveSeekable(command.start, command.end);
        return;
      case 'media-end-of-stream':
        this.#open?.endOfStream();
        return;
      default:
        if (this.#open) this.#open.enqueue(command);
        else this.#fail(command.track, 'closed', 'no media source is open');
    }
  }

  /** Lets go of the media source; commands that wait are not answered. */
  close(): void {
    this.#open?.dispose();
    this.#open = null;
  }

  #openSource(tracks: { track: Track; mimeType: string }[]): void {
    this.close();
    const Source = mediaSourceClass();
    if (!Source) {
      for (const { track } of tracks) this.#fail(track, 'unsupported', 'this browser has no Media Source Extensions');
      return;
    }
    const source = new Source();
    this.#open = new OpenSource(source, tracks, this.#answer);
    this.#attach(source);
  }

  #fail(track: Track, failure: MediaFailure, message: string): void {
    this.#answer({ type: 'media-failed', track, failure, message });
  }
}

/** One media source, from its creation until the next. */
class OpenSource {
  readonly #source: MediaSource;
  readonly #answer: (answer: MediaAnswer) => void;
  readonly #tracks = new Map<Track, TrackBuffer>();
  #state: 'opening' | 'open' | 'closed' | 'disposed' = 'opening';
  #duration: number | null = null;
  #liveSeekable: [number, number] | null = null;
  #ending = false;

  constructor(source: MediaSource, tracks: { track: Track; mimeType: string }[], answer: (answer: MediaAnswer) => void) {
    this.#source = source;
    this.#answer = (message) => {
      if (this.#state !== 'disposed') answer(message);
    };
    for (const { track, mimeType } of tracks) {
      this.#tracks.set(track, new TrackBuffer(track, mimeType, source, this.#answer, () => {
        this.#settle();
      }));
    }
    source.addEventListener('sourceopen', () => {
      this.#opened();
    });
    source.addEventListener('sourceclose', () => {
      this.#closed();
    });
  }

  enqueue(command: TrackCommand): void {
    // Bytes after the end reopen the source by themselves; an end that still waits would cut them off.
    if (command.type === 'media-append') this.#ending = false;
    // A removal reopens the source too, and the end holds all the same.
    else if (command.type === 'media-remove' && this.#source.readyState === 'ended') this.#ending = true;
    const buffer = this.#tracks.get(command.track);
    if (buffer && this.#state !== 'closed') {
      buffer.enqueue(command);
    } else {
      const message = buffer ? 'the media source was closed' : `the media source was opened without a ${command.track} track`;
      this.#answer({ type: 'media-failed', track: command.track, failure: 'closed', message });
    }
  }

  setDuration(duration: number): void {
    this.#duration = duration;
    this.#settle();
  }

  setLiveSeekable(start: number, end: number): void {
    this.#liveSeekable = [Math.max(0, start), Math.max(0, start, end)];
    this.#settle();
  }

  endOfStream(): void {
    this.#ending = true;
    this.#settle();
  }

  dispose(): void {
    this.#state = 'disposed';
    for (const buffer of this.#tracks.values()) buffer.close();
  }

  #opened(): void {
    // The source says `open` again after an append that followed its end.
    if (this.#state !== 'opening') return;
    this.#state = 'open';
    // All buffers are made before any takes bytes: browsers refuse new ones afterwards.
    for (const buffer of this.#tracks.values()) buffer.create();
    for (const buffer of this.#tracks.values()) buffer.ready();
    this.#settle();
  }

  #closed(): void {
    if (this.#state === 'disposed' || this.#state === 'opening') return;
    this.#state = 'closed';
    for (const buffer of this.#tracks.values()) buffer.fail('closed', 'the media source was closed');
  }

  /** What concerns the whole source and has to wait until no buffer is updating. */
  #settle(): void {
    if (this.#state !== 'open' || this.#source.readyState === 'closed') return;
    const buffers = [...this.#tracks.values()];
    const range = this.#liveSeekable;
    if (range && this.#source.readyState === 'open') {
      this.#liveSeekable = null;
      if ('setLiveSeekableRange' in this.#source) attempt(() => {
        this.#source.setLiveSeekableRange(...range);
      });
    }
    if (buffers.some((buffer) => buffer.updating)) return;
    if (this.#duration !== null && this.#source.readyState === 'open') {
      // Below what is buffered, browsers refuse it.
      const duration = Math.max(this.#duration, ...buffers.map((buffer) => buffer.end));
      this.#duration = null;
      if (!Object.is(this.#source.duration, duration)) attempt(() => {
        this.#source.duration = duration;
      });
    }
    if (this.#ending && buffers.every((buffer) => buffer.idle)) {
      this.#ending = false;
      if (this.#source.readyState === 'open') attempt(() => {
        this.#source.endOfStream();
      });
    }
  }
}

/** One source buffer and the commands that wait for it. */
class TrackBuffer {
  readonly #track: Track;
  readonly #mimeType: string;
  readonly #source: MediaSource;
  readonly #answer: (answer: MediaAnswer) => void;
  readonly #onIdle: () => void;
  #buffer: SourceBuffer | null = null;
  #queue: TrackCommand[] = [];
  #inProgress: TrackCommand | null = null;
  #failed = false;
  #unusable = false;

  constructor(track: Track, mimeType: string, source: MediaSource, answer: (answer: MediaAnswer) => void, onIdle: () => void) {
    this.#track = track;
    this.#mimeType = mimeType;
    this.#source = source;
    this.#answer = answer;
    this.#onIdle = onIdle;
  }

  /** Neither a command in progress nor one that waits. */
  get idle(): boolean {
    return !this.#inProgress && this.#queue.length === 0;
  }

  get updating(): boolean {
    return this.#buffer?.updating ?? false;
  }

  /** End of what is buffered, in seconds. */
  get end(): number {
    return this.#ranges().at(-1) ?? 0;
  }

  create(): void {
    try {
      const buffer = this.#source.addSourceBuffer(this.#mimeType);
      buffer.addEventListener('error', () => {
        this.#failed = true;
      });
      buffer.addEventListener('updateend', () => {
        this.#updated();
      });
      this.#buffer = buffer;
    } catch (cause) {
      this.#unusable = true;
      this.#fail('unsupported', `${this.#mimeType}: ${describe(cause)}`);
    }
  }

  ready(): void {
    if (this.#unusable) {
      this.fail('unsupported', `there is no source buffer for ${this.#mimeType}`);
      return;
    }
    this.#done();
    this.#next();
  }

  enqueue(command: TrackCommand): void {
    this.#queue.push(command);
    if (this.#unusable) this.fail('unsupported', `there is no source buffer for ${this.#mimeType}`);
    else this.#next();
  }

  /** Fails all that waits. */
  fail(failure: MediaFailure, message: string): void {
    const failed = this.#queue.length + (this.#inProgress ? 1 : 0);
    this.close();
    for (let n = 0; n < failed; n++) this.#fail(failure, message);
  }

  close(): void {
    this.#queue = [];
    this.#inProgress = null;
    this.#buffer = null;
  }

  #next(): void {
    while (this.#buffer && !this.#inProgress && !this.#buffer.updating) {
      const command = this.#queue.shift();
      if (!command) break;
      this.#inProgress = command;
      this.#failed = false;
      try {
        this.#run(this.#buffer, command);
      } catch (cause) {
        this.#inProgress = null;
        this.#fail(this.#cause(cause), describe(cause));
      }
    }
  }

  /** What ends at once answers here; the rest at `updateend`. */
  #run(buffer: SourceBuffer, command: TrackCommand): void {
    switch (command.type) {
      case 'media-append':
        if (command.timestampOffset !== null && command.timestampOffset !== buffer.timestampOffset) {
          setTimestampOffset(buffer, command.timestampOffset);
        }
        buffer.appendBuffer(command.data as Uint8Array<ArrayBuffer>);
        return;
      case 'media-remove':
        if (command.end > command.start) buffer.remove(Math.max(0, command.start), command.end);
        else this.#end();
        return;
      case 'media-reset-parser':
        // Once the stream has ended there is no half-appended segment, and abort() would throw.
        if (this.#source.readyState === 'open') buffer.abort();
        this.#end();
        return;
      case 'media-change-type':
        // WebKitGTK has none. Another profile of the same codec plays all the same; what does not is a decoding error, after which the
        // source is opened again with what is to be played.
        (buffer as Partial<SourceBuffer>).changeType?.(command.mimeType);
        this.#end();
    }
  }

  #end(): void {
    this.#inProgress = null;
    this.#done();
  }

  #updated(): void {
    if (!this.#inProgress) return;
    this.#inProgress = null;
    if (this.#failed) this.#fail('decode', 'the browser could not decode what was appended');
    else this.#done();
    this.#next();
    this.#onIdle();
  }

  #cause(cause: unknown): MediaFailure {
    const name = cause instanceof DOMException ? cause.name : '';
    if (name === 'QuotaExceededError') return 'quota-exceeded';
    if (name === 'NotSupportedError' || cause instanceof TypeError) return 'unsupported';
    const buffers = [...this.#source.sourceBuffers];
    return this.#source.readyState === 'closed' || !this.#buffer || !buffers.includes(this.#buffer) ? 'closed' : 'decode';
  }

  #done(): void {
    this.#answer({ type: 'media-done', track: this.#track, buffered: this.#ranges() });
  }

  #fail(failure: MediaFailure, message: string): void {
    this.#answer({ type: 'media-failed', track: this.#track, failure, message });
  }

  #ranges(): number[] {
    try {
      const buffered = this.#buffer?.buffered;
      return Array.from({ length: (buffered?.length ?? 0) * 2 }, (_, n) =>
        n % 2 === 0 ? (buffered?.start(n / 2) ?? 0) : (buffered?.end((n - 1) / 2) ?? 0));
    } catch {
      // The buffer was removed from its source under us.
      return [];
    }
  }
}

function setTimestampOffset(buffer: SourceBuffer, offset: number): void {
  try {
    buffer.timestampOffset = offset;
  } catch {
    // In the middle of a segment; a new offset means that its rest will not come.
    buffer.abort();
    buffer.timestampOffset = offset;
  }
}

/** For commands without an answer: a browser that refuses one plays on with what it has. */
function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // A number out of range, or a source that closed in between; the next command meets the same and answers.
  }
}
