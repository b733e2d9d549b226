// The worker's entry: starts the wasm, hands messages between the page and the engine, and keeps the media source here where the
// browser allows that.

import init, { Engine, type EngineMessage } from 'potluck-wasm';
import { compileWasm, describe } from './compile-wasm.js';
import { CACHE_PART, EngineParts, MORE_PART, SHARING_PART } from './engine-parts.js';
import { MediaSink, isMediaCommand, mediaSourceClass } from './media-sink.js';
import { SharingModule } from './sharing-module.js';
import { TextTap } from './text-tap.js';
import { Workshop, isJob } from './workshop.js';
import type { EngineConfig, MediaAnswer, MediaCommand, ToPage, ToWorker } from './protocol.js';

/** `start`, with the wasm compiled by the page already where that worked. */
export type StartMessage = Extract<ToWorker, { type: 'start' }> & { module?: WebAssembly.Module; files?: NonNullable<typeof globalThis.potluckFiles> };

interface WorkerScope {
  postMessage(message: ToPage, transfer: Transferable[]): void;
  addEventListener(type: 'message', listener: (event: MessageEvent<ToWorker>) => void): void;
  addEventListener(type: 'unhandledrejection', listener: (event: PromiseRejectionEvent) => void): void;
}

const scope = globalThis as unknown as WorkerScope;
const mediaInWorker = mediaSourceClass()?.canConstructInDedicatedWorker === true;

let engine: Engine | null = null;
/** What came before the engine ran. */
let waiting: ToWorker[] = [];
let sink: MediaSink | null = null;
let sharing: SharingModule | null = null;
const parts = new EngineParts();
const tap = new TextTap(post);
const workshop = new Workshop(
  (message) => engine?.handle(message),
  (code, message) => {
    post({ type: 'error', code, message, fatal: true });
  },
);

scope.addEventListener('message', ({ data }) => {
  if (data.type === 'start') {
    start(data).catch((cause: unknown) => {
      post({ type: 'failed', message: describe(cause) });
    });
  } else {
    toEngine(data);
  }
});

// A panic inside a promise does not reach the page's `error` event on its own.
scope.addEventListener('unhandledrejection', (event) => {
  event.preventDefault();
  post({ type: 'failed', message: `the engine stopped: ${describe(event.reason)}` });
});

async function start(message: StartMessage): Promise<void> {
  const { config } = message;
  globalThis.potluckFiles = message.files;
  sharing = new SharingModule(config, parts, (mode) => engine?.handle({ type: 'p2p', mode }), (why) => {
    post({ type: 'error', code: 'sharing-unavailable', message: why, fatal: false });
  });
  const wasm = (await init({ module_or_path: message.module ?? (await compileWasm(message.wasmUrl)) })) as WebAssembly.Exports;
  parts.started(wasm);
  // Whoever shares has a cache: what is in it is not to be fetched while the parts of the engine come that know. Without them it has none.
  if (config.cacheBytes) await Promise.all([parts.load(CACHE_PART), sharing.allowed(config.p2p) !== config.p2p && parts.load(SHARING_PART)]).catch(() => {
    config.cacheBytes = null;
  });
  run({ ...config, p2p: sharing.allowed(config.p2p) });
}

function run(config: EngineConfig): void {
  if (mediaInWorker) sink = new MediaSink(answer, attach);
  engine = new Engine(config, fromEngine);
  post({ type: 'ready', mediaInWorker });
  const before = waiting;
  waiting = [];
  before.forEach(toEngine);
}

function toEngine(message: ToWorker): void {
  if (message.type === 'unload') sink?.close();
  if (tap.toEngine(message)) return;
  if (!engine) {
    waiting.push(message.type === 'load' ? begun(message) : message);
    return;
  }
  if (message.type === 'load') post({ type: 'loading' });
  engine.handle(message.type === 'p2p' && sharing ? { ...message, mode: sharing.allowed(message.mode) } : message);
}

/** The first request needs no engine: it travels while that is compiled. */
function begun(message: Extract<ToWorker, { type: 'load' }>): ToWorker {
  const response = fetch(message.url);
  // The engine hears of a failure too.
  response.catch(() => undefined);
  return { ...message, response };
}

function fromEngine(message: EngineMessage, transfer: Transferable[]): void {
  // Behind the start, and ahead of its first call: what is done when the network fails cannot be loaded then. Where it cannot be had
  // now, it is asked for again.
  if (message.type === 'timeline') parts.load(MORE_PART).catch(() => undefined);
  if (tap.fromEngine(message)) return;
  if (isJob(message)) workshop.handle(message);
  else if (sink && isMediaCommand(message)) sink.handle(owned(message, transfer));
  else post(message, transfer);
}

/** The sink keeps bytes until their turn, so they may not be a view of memory that the engine writes to again. */
function owned(message: MediaCommand, transfer: Transferable[]): MediaCommand {
  if (message.type !== 'media-append' || transfer.includes(message.data.buffer as ArrayBuffer)) return message;
  return { ...message, data: message.data.slice() };
}

/** Answers wait for the next microtask: the engine may be in the middle of the call that gave the command. */
function answer(message: MediaAnswer): void {
  queueMicrotask(() => {
    engine?.handle(message);
  });
}

function attach(source: MediaSource): void {
  const { handle } = source as MediaSource & { handle: MediaSourceHandle };
  post({ type: 'media-source', handle }, [handle]);
}

function post(message: ToPage, transfer: Transferable[] = []): void {
  scope.postMessage(message, transfer);
}
