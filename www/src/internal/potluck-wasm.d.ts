// What wasm-bindgen's glue (pkg/potluck.js) exports. The build resolves this name to the generated file, so that the type check
// does not depend on a Rust build.

import type { EngineConfig, Job, MediaCommand, ToPage, ToWorker } from './protocol.js';
import type { TextSegment } from './text-protocol.js';

export type EngineMessage = ToPage | MediaCommand | Job | TextSegment;

/** The engine; runs until `free`. */
export class Engine {
  constructor(config: EngineConfig, post: (message: EngineMessage, transfer: Transferable[]) => void);
  handle(message: ToWorker): void;
  free(): void;
}

/** Instantiates the wasm. */
// eslint-disable-next-line no-restricted-syntax -- generated so
export default function init(input: { module_or_path: WebAssembly.Module | string | URL | Response }): Promise<unknown>;
