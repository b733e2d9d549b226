// Work on bytes that the engine leaves to others: decryption of whole segments to the browser, that of samples and transmuxing to wasm
// modules that only streams which need them load.

import type { Transmuxer } from 'potluck-transmux';
import type { decrypt } from 'potluck-crypto';
import { describe } from './compile-wasm.js';
import { fileUrl } from './files.js';
import type { CacheJob, Job, JobAnswer, Track } from './protocol.js';

type DecryptJob = Extract<Job, { type: 'decrypt' }>;
type TransmuxJob = Extract<Job, { type: 'transmux' }>;
type VerifyJob = Extract<Job, { type: 'verify' }>;
type CacheModule = typeof import('./segment-cache.js');
type SignatureModule = typeof import('./signatures.js');
type TransmuxModule = typeof import('potluck-transmux');
type CryptoModule = typeof import('potluck-crypto');

/** A module that could not be loaded is asked for again after so many ms. */
const RETRY_MS = 2000;

export function isJob(message: { type: string }): message is Job {
  return message.type === 'decrypt' || message.type === 'transmux' || message.type === 'verify' || message.type === 'cache';
}

/** Does jobs, and answers each exactly once. */
export class Workshop {
  readonly #answer: (message: JobAnswer) => void;
  readonly #fail: (code: string, message: string) => void;
  readonly #transmuxers = new Map<Track, Transmuxer>();
  #module: Promise<TransmuxModule> | null = null;
  #decryptor: Promise<typeof decrypt> | null = null;
  /** Segments of a track are transmuxed one after the other. */
  #queue: Promise<void> = Promise.resolve();

  /** `fail` tells the page that it cannot play this stream at all. */
  constructor(answer: (message: JobAnswer) => void, fail: (code: string, message: string) => void) {
    this.#answer = answer;
    this.#fail = fail;
  }

  handle(job: Job): void {
    if (job.type === 'decrypt') void this.#decrypt(job);
    else if (job.type === 'verify') void this.#verify(job);
    else if (job.type === 'cache') void this.#cache(job);
    else this.#queue = this.#queue.then(() => this.#transmux(job));
  }

  async #decrypt(task: DecryptJob): Promise<void> {
    const { job, cipher, key, iv, init, data } = task;
    let plain: Uint8Array | null = null;
    try {
      // Only pages from https:// or localhost have WebCrypto, and it knows nothing of samples.
      plain = cipher === 'samples' || !globalThis.isSecureContext
        ? ((await this.#loadDecryptor())(cipher, key, iv, init, data) ?? null)
        : await whole(task);
    } catch (cause) {
      this.#fail('unsupported-encryption', `this stream is encrypted in a way that is not supported: ${describe(cause)}`);
      return;
    }
    // Null for damaged bytes or the wrong key: the engine fetches both again.
    this.#answer({ type: 'decrypted', job, data: plain });
  }

  async #verify({ job, key, signature, message }: VerifyJob): Promise<void> {
    let valid = false;
    try {
      const module = (await import(fileUrl('potluck-signatures.js'))) as SignatureModule;
      valid = await module.verify(key, signature, message);
    } catch {
      // Neither the browser nor the module can tell: then nothing vouches for the segment.
    }
    this.#answer({ type: 'signature-verified', job, valid });
  }

  async #cache(job: CacheJob): Promise<void> {
    // What cannot be looked for is asked of others, before long.
    await import(fileUrl('potluck-cache.js')).then(({ handle }: CacheModule) => handle(job, this.#answer)).catch(() => undefined);
  }

  async #transmux({ job, track, reset, begins, ends, last, data }: TransmuxJob): Promise<void> {
    const answer: Extract<JobAnswer, { type: 'transmuxed' }> = { type: 'transmuxed', job, init: null, codecs: '', media: null, start: 0, error: '' };
    try {
      const module = await this.#load();
      let transmuxer = this.#transmuxers.get(track);
      if (!transmuxer) this.#transmuxers.set(track, (transmuxer = new module.Transmuxer(takesBareMp3())));
      transmuxer.transmux(data, reset, begins, ends, last);
      answer.init = transmuxer.init() ?? null;
      answer.codecs = transmuxer.codecs();
      answer.media = transmuxer.media();
      answer.start = transmuxer.start();
    } catch (cause) {
      answer.error = describe(cause);
      answer.media = null;
    }
    this.#answer(answer);
  }

  /** Waits for the network if need be: a stream that cannot be decrypted cannot go on. */
  #loadDecryptor(): Promise<typeof decrypt> {
    const attempt = (): Promise<typeof decrypt> => load<CryptoModule>('potluck-crypto').then((module) => module.decrypt, async () => {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      return await attempt();
    });
    return (this.#decryptor ??= attempt());
  }

  #load(): Promise<TransmuxModule> {
    this.#module ??= load<TransmuxModule>('potluck-transmux').catch((cause: unknown) => {
      // The next segment tries again: the network may be back.
      this.#module = null;
      throw cause;
    });
    return this.#module;
  }
}

/** Chromium takes MP3 as it is, and not in MP4; Firefox, whose workers have no MediaSource, takes it in MP4. */
function takesBareMp3(): boolean {
  return 'MediaSource' in globalThis && !MediaSource.isTypeSupported('audio/mp4; codecs="mp3"') && MediaSource.isTypeSupported('audio/mpeg');
}

async function load<M extends TransmuxModule | CryptoModule>(name: string): Promise<M> {
  const module = (await import(fileUrl(`${name}.js`))) as M;
  await module.default({ module_or_path: fileUrl(`${name}.wasm`) });
  return module;
}

/** A whole segment, by WebCrypto. */
async function whole({ cipher, key, iv, data }: DecryptJob): Promise<Uint8Array | null> {
  const algorithm = cipher === 'aes-ctr' ? { name: 'AES-CTR', counter: iv, length: 64 } : { name: 'AES-CBC', iv };
  try {
    const imported = await crypto.subtle.importKey('raw', key, algorithm.name, false, ['decrypt']);
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, imported, data));
  } catch {
    return null;
  }
}
