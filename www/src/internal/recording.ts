// A recording of what the engine is told: for bug reports, and loaded only when one is begun. The engine writes it (its part
// `potluck-recorder.wasm`) and sends it piece by piece; here the pieces are kept outside of the page's memory, as blobs.

import type { ToPage } from './protocol.js';

/** How long the engine's last piece is waited for, in ms: it may have stopped. */
const LAST_PIECE_MS = 5000;

/** What is recorded of one element, until it is ended. */
export class Recording {
  readonly #tell: (on: boolean) => void;
  readonly #pieces: Blob[] = [];
  #bytes = 0;
  #ended: () => void = () => undefined;
  #file: Promise<Blob> | null = null;

  /** `tell` has the engine begin or end. */
  constructor(tell: (on: boolean) => void) {
    this.#tell = tell;
  }

  /** Bytes so far, before compression; what the engine holds back is not counted. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A piece has come. */
  add({ data, last }: Extract<ToPage, { type: 'recording' }>): void {
    this.#pieces.push(new Blob([data]));
    this.#bytes += data.length;
    if (last) this.#ended();
  }

  /** Ends the recording; the file to send, compressed (gzip). Playback goes on. */
  end(): Promise<Blob> {
    this.#file ??= new Promise<void>((resolve) => {
      this.#ended = resolve;
      setTimeout(resolve, LAST_PIECE_MS);
      this.#tell(false);
    }).then(() => {
      if (this.#bytes === 0) throw new Error('nothing was recorded: the engine does not run');
      const packed = new Blob(this.#pieces).stream().pipeThrough(new CompressionStream('gzip'));
      return new Response(packed, { headers: { 'content-type': 'application/gzip' } }).blob();
    });
    return this.#file;
  }
}
