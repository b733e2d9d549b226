// What wasm-bindgen's glue (pkg/text.js) exports: player-text/src/wasm.rs.

/** Reads text renditions and taps source buffers; what was found is taken with `numbers`, `text` and `bytes`. */
export class TextReader {
  /** Reads a segment of subtitles; `offset` is NaN when it is not known. Throws what the bytes are instead. */
  segment(init: Uint8Array, data: Uint8Array, start: number, end: number, offset: number): void;
  /** Takes what is appended to source buffer 0 (main) or 1 (audio); `offset` is NaN when it stays. */
  append(track: number, data: Uint8Array, offset: number): void;
  /** Reads a playlist of pictures; true when more will come. */
  thumbnails(playlist: string): boolean;
  /** Takes the first picture out of a fragment; false when there is none. */
  picture(init: Uint8Array, data: Uint8Array): boolean;
  numbers(): Float64Array;
  text(): string;
  bytes(): Uint8Array;
  free(): void;
}

// eslint-disable-next-line no-restricted-syntax -- generated so
export default function init(input: { module_or_path: URL | string }): Promise<unknown>;
