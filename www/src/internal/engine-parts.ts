// Parts of the engine that are wasm modules of their own: most viewers need only some of them, or need them later. They work on the
// engine's memory. One that the engine calls before it is there is loaded on the spot, while the engine waits.

import { compileWasm } from './compile-wasm.js';
import { fileUrl } from './files.js';

/** By their numbers in `xtask/src/parts.rs`. */
const FILES = ['potluck-sharing.wasm', 'potluck-more.wasm', 'potluck-recorder.wasm', 'potluck-cache.wasm'] as const;

export const SHARING_PART = 0;
export const MORE_PART = 1;
export const CACHE_PART = 3;

interface Part {
  there: boolean;
  loading: Promise<void> | null;
}

export class EngineParts {
  readonly #parts: Part[] = FILES.map(() => ({ there: false, loading: null }));
  /** The engine's exports, once it is instantiated. */
  readonly #engine: Promise<WebAssembly.Exports>;
  #exports: WebAssembly.Exports | null = null;
  #started: (exports: WebAssembly.Exports) => void = () => undefined;

  constructor() {
    this.#engine = new Promise((resolve) => {
      this.#started = resolve;
    });
    (globalThis as { potluckLoadPart?: (part: number) => void }).potluckLoadPart = (part) => {
      this.#loadNow(part);
    };
  }

  /** The engine is instantiated. */
  started(exports: WebAssembly.Exports): void {
    this.#exports = exports;
    this.#started(exports);
  }

  isThere(part: number): boolean {
    return this.#parts[part]?.there ?? false;
  }

  /** Loads a part ahead of its first call. One that could not be loaded may be asked for again. */
  load(number: number): Promise<void> {
    const part = this.#part(number);
    if (part.there) return Promise.resolve();
    part.loading ??= Promise.all([compileWasm(url(number)), this.#engine]).then(async ([module, p]) => {
      if (!part.there) await WebAssembly.instantiate(module, { p });
      part.there = true;
    }).catch((cause: unknown) => {
      part.loading = null;
      throw cause;
    });
    return part.loading;
  }

  #loadNow(number: number): void {
    const part = this.#part(number);
    if (part.there || !this.#exports) return;
    const request = new XMLHttpRequest();
    request.open('GET', url(number), false);
    request.responseType = 'arraybuffer';
    request.send();
    if (request.status !== 200) throw new Error(`${url(number)} could not be loaded: HTTP status ${request.status}`);
    new WebAssembly.Instance(new WebAssembly.Module(request.response as ArrayBuffer), { p: this.#exports });
    part.there = true;
  }

  #part(number: number): Part {
    const part = this.#parts[number];
    if (!part) throw new Error(`the engine has no part ${number}`);
    return part;
  }
}

function url(number: number): string {
  return fileUrl(FILES[number] ?? '');
}
