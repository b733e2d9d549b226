// The part of the engine that shares, a wasm module of its own: a viewer who shares with nobody does not download it. It works on the
// engine's memory, and the engine calls none of it before it is told that sharing is on.

import { compileWasm, describe } from './compile-wasm.js';
import type { EngineConfig, P2pMode } from './protocol.js';

/** Holds sharing back until its module is there. */
export class SharingModule {
  readonly #engine: Promise<WebAssembly.Exports>;
  readonly #tell: (mode: P2pMode) => void;
  readonly #fail: (message: string) => void;
  readonly #found: boolean;
  #mode: P2pMode;
  #state: 'absent' | 'loading' | 'there' = 'absent';

  /** `engine`: the engine's exports, once it is instantiated. `tell` is called once the engine may share, `fail` when it cannot. */
  constructor(config: EngineConfig, engine: Promise<WebAssembly.Exports>, tell: (mode: P2pMode) => void, fail: (message: string) => void) {
    this.#engine = engine;
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
    return this.#state === 'there' || !this.#found ? mode : 'off';
  }

  #load(): void {
    if (this.#mode === 'off' || !this.#found || this.#state !== 'absent') return;
    this.#state = 'loading';
    Promise.all([compileWasm(new URL('potluck-sharing.wasm', import.meta.url).href), this.#engine])
      .then(([module, p]) => WebAssembly.instantiate(module, { p }))
      .then(() => {
        this.#state = 'there';
        this.#tell(this.#mode);
      })
      .catch((cause: unknown) => {
        // The next wish to share tries again.
        this.#state = 'absent';
        this.#fail(`this viewer does not share: ${describe(cause)}`);
      });
  }
}
