// Files over HTTP, as any plain server sends them.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('..', import.meta.url));

/** The project's folder. */
export const ROOT = path.resolve(HERE, '../..');

/** The pages, and what each engine publishes, by the path they are served under. */
export const PAGE_ROOTS = {
  '/pages/': path.join(HERE, 'pages'),
  // A build that is kept elsewhere can be measured while www/dist changes.
  '/potluck/': path.resolve(process.env.POTLUCK_WWW ?? path.join(ROOT, 'www/dist')),
  '/hls.js/': path.join(HERE, 'node_modules/hls.js/dist'),
  '/p2p-media-loader-core/': path.join(HERE, 'node_modules/p2p-media-loader-core/dist'),
  '/p2p-media-loader-hlsjs/': path.join(HERE, 'node_modules/p2p-media-loader-hlsjs/dist'),
};

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.m3u8': 'application/vnd.apple.mpegurl',
  '.mp4': 'video/mp4',
  '.m4s': 'video/iso.segment',
};

/** The `Content-Type` of a file of that name. */
export function typeOf(name) {
  return TYPES[path.extname(name)] ?? 'application/octet-stream';
}

/** The bytes of the file that `roots` has at `pathname`; null when there is none. */
export async function fileAt(roots, pathname) {
  for (const [prefix, folder] of Object.entries(roots)) {
    if (!pathname.startsWith(prefix)) continue;
    const file = path.join(folder, pathname.slice(prefix.length));
    if (!file.startsWith(folder + path.sep)) return null;
    return await readFile(file).catch(() => null);
  }
  return null;
}
