// What wasm-bindgen's glue (pkg/transmux.js) exports.

declare module 'potluck-transmux' {
  /** Turns a track's segments into fragmented MP4, one after the other. */
  export class Transmuxer {
    /** `bareMp3`: the browser takes no MP3 in MP4, but does so by itself. */
    constructor(bareMp3: boolean);
    /** Takes a segment or the next part of one; `reset`: it does not follow the one before; `begins`, `ends`: the segment does so here; `last`: no
     * segment follows. Throws what is wrong with it. */
    transmux(data: Uint8Array, reset: boolean, begins: boolean, ends: boolean, last: boolean): void;
    /** The init section that the last call's fragments need; undefined: the same as before. */
    init(): Uint8Array | undefined;
    /** Codecs of the init section, separated by commas; or the type of what is no MP4. */
    codecs(): string;
    /** What the last call completed. */
    media(): Uint8Array;
    /** Their earliest presentation time, in seconds of the stream's own timeline. */
    start(): number;
    free(): void;
  }
  // eslint-disable-next-line no-restricted-syntax -- generated so
  export default function init(input: { module_or_path: URL | string }): Promise<unknown>;
}
