// Verified segments across sessions, in the origin private file system: for the worker, and loaded when the page asks for a cache. The
// engine says what is kept and verifies what comes back; a file's name is the hash of what should be in it.

import type { CacheJob, JobAnswer } from './protocol.js';

const FOLDER = 'potluck-cache';
/** Other tabs write here too: after so many writes it is looked again at what is there. */
const LOOK_AGAIN = 16;
/** When the browser gives no more room, so many times the size of a segment is made before the one other attempt. */
const SPARE = 4;

interface Connection {
  type?: string;
  saveData?: boolean;
  metered?: boolean;
}

/** What only workers have. */
interface WorkerFile {
  createSyncAccessHandle(): Promise<{ truncate(size: number): void; write(data: Uint8Array, options: { at: number }): number; close(): void }>;
}

/** Sizes by names, what was written first in front. */
let files = new Map<string, number>();
let writes = 0;
/** Files are written one after the other. */
let queue: Promise<void> = Promise.resolve();

/** Does a job; answers each that looks for a segment. */
export async function handle(job: CacheJob, answer: (message: JobAnswer) => void): Promise<void> {
  const name = Array.from(job.hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if ('job' in job) {
    answer({ type: 'decrypted', job: job.job, data: await recall(name).catch(() => null) });
  } else {
    const { data, limit } = job;
    // Where there is no room, or no way to write, nothing is kept.
    queue = queue.then(() => keep(name, data, limit)).catch(() => undefined);
    await queue;
  }
}

async function recall(name: string): Promise<Uint8Array> {
  const file = await (await (await open(false)).getFileHandle(name)).getFile();
  return new Uint8Array(await file.arrayBuffer());
}

async function keep(name: string, data: Uint8Array<ArrayBuffer>, limit: number): Promise<void> {
  if (isDear()) return;
  const folder = await open(true);
  if (writes++ % LOOK_AGAIN === 0) files = await list(folder);
  files.delete(name);
  await shrink(folder, limit - data.length);
  try {
    await write(folder, name, data);
  } catch (cause) {
    await folder.removeEntry(name);
    if ((cause as DOMException).name !== 'QuotaExceededError') throw cause;
    // The browser gives less than the page allows.
    await shrink(folder, used() - SPARE * data.length);
    await write(folder, name, data).catch(async (again: unknown) => {
      await folder.removeEntry(name);
      throw again;
    });
  }
  files.set(name, data.length);
}

/** On lines that cost or are to be spared nothing is written; what is there may spare them. */
function isDear(): boolean {
  const { type, saveData, metered } = (navigator as { connection?: Connection }).connection ?? {};
  return saveData === true || metered === true || type === 'cellular';
}

async function open(create: boolean): Promise<FileSystemDirectoryHandle> {
  return (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create });
}

/** What is there, the oldest first. */
async function list(folder: FileSystemDirectoryHandle): Promise<Map<string, number>> {
  const found: File[] = [];
  for await (const handle of folder.values()) if (handle.kind === 'file') found.push(await handle.getFile());
  found.sort((one, other) => one.lastModified - other.lastModified);
  return new Map(found.map(({ name, size }) => [name, size]));
}

function used(): number {
  return [...files.values()].reduce((sum, size) => sum + size, 0);
}

/** Removes the oldest until no more than this is used. */
async function shrink(folder: FileSystemDirectoryHandle, limit: number): Promise<void> {
  for (const name of files.keys()) {
    if (used() <= limit) return;
    files.delete(name);
    // Another tab may have been faster, or be reading it.
    await folder.removeEntry(name).catch(() => undefined);
  }
}

async function write(folder: FileSystemDirectoryHandle, name: string, data: Uint8Array<ArrayBuffer>): Promise<void> {
  const file = (await folder.getFileHandle(name, { create: true })) as unknown as WorkerFile;
  const handle = await file.createSyncAccessHandle();
  try {
    handle.truncate(0);
    // eslint-disable-next-line no-restricted-properties -- a file's bytes
    if (handle.write(data, { at: 0 }) < data.length) throw new DOMException('', 'QuotaExceededError');
  } finally {
    handle.close();
  }
}
