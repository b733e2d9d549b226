// Holds sharing back until the part of the engine that shares is there: a viewer who shares with nobody does not download it.

import { describe } from './compile-wasm.js';
import { type EngineParts, SHARING_PART } from './engine-parts.js';
import type { EngineConfig, P2pMode } from './protocol.js';

export class SharingModule {
  readonly #parts: EngineParts;
  readonly #tell: (mode: P2pMode) => void;
  readonly #fail: (message: string) => void;
  readonly #found: boolean;
  #mode: P2pMode;
  #loading = false;

  /** `tell` is called once the engine may share, `fail` when it cannot. */
  constructor(config: EngineConfig, parts: EngineParts, tell: (mode: P2pMode) => void, fail: (message: string) => void) {
    this.#parts = parts;
    this.#tell = tell;
    this.#fail = fail;
    this.#mode = config.p2p;
    // Without a tracker there is nobody to find.
    this.#found = config.trackers.length > 0;
    this.#load();
  }

  /** What the engine may be told of the wish to share in this mode. */
  allowed(mode: P2pMode): P2pMode {
    this.#mode = mode;
    this.#load();
    return this.#parts.isThere(SHARING_PART) || !this.#found ? mode : 'off';
  }

  #load(): void {
    if (this.#mode === 'off' || !this.#found || this.#loading || this.#parts.isThere(SHARING_PART)) return;
    this.#loading = true;
    this.#parts.load(SHARING_PART).then(() => {
      this.#tell(this.#mode);
    }).catch((cause: unknown) => {
      // The next wish to share tries again.
      this.#loading = false;
      this.#fail(`this viewer does not share: ${describe(cause)}`);
    });
  }
}
