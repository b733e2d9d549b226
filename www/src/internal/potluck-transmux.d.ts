// What wasm-bindgen's glue (pkg/transmux.js) exports.

declare module 'potluck-transmux' {
  /** Turns a track's segments into fragmented MP4, one after the other. */
  export class Transmuxer {
    /** Takes a whole segment; `reset`: it does not follow the one before; `last`: none follows it. Throws what is wrong with it. */
    transmux(data: Uint8Array, reset: boolean, last: boolean): void;
    /** The init section that the last segment's fragments need; undefined: the same as before. */
    init(): Uint8Array | undefined;
    /** Codecs of the init section, separated by commas. */
    codecs(): string;
    /** The last segment's fragments. */
    media(): Uint8Array;
    /** Their earliest presentation time, in seconds of the stream's own timeline. */
    start(): number;
    free(): void;
  }
  // eslint-disable-next-line no-restricted-syntax -- generated so
  export default function init(input: { module_or_path: URL }): Promise<unknown>;
}
