// A small web server of the tests' own: pages of another origin, and playlists that no good server sends.

import { readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';

/** Routes to all files of a folder, by their names. */
export function filesIn(folder) {
  return Object.fromEntries(readdirSync(folder).map((name) => [`/${name}`, { body: readFileSync(path.join(folder, name)) }]));
}

/**
 * Serves `routes`: by path, a text, or a function `(request, response) => void`, or `{ status, type, body, cut }`;
 * `cut`: the connection ends after so many bytes of the body.
 */
export async function startStage(routes) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://stage');
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader('cache-control', 'no-store');
    const route = routes[pathname];
    if (route === undefined) {
      response.writeHead(404).end();
    } else if (typeof route === 'function') {
      route(request, response);
    } else {
      send(response, typeof route === 'string' ? { body: route } : route, pathname);
    }
  });
  await new Promise((resolve) => server.listen(0, 'localhost', resolve));
  const { port } = server.address();
  return {
    /** By this name its pages are of another site than the demo server's, which is 127.0.0.1. */
    url: `http://localhost:${port}`,
    routes,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function send(response, { status = 200, type, body = '', cut = null }, pathname) {
  const bytes = Buffer.from(body);
  response.writeHead(status, { 'content-type': type ?? typeOf(pathname), 'content-length': bytes.length });
  if (cut === null) {
    response.end(bytes);
  } else {
    response.write(bytes.subarray(0, cut), () => setTimeout(() => response.destroy(), 50));
  }
}

function typeOf(pathname) {
  if (pathname.endsWith('.m3u8')) return 'application/vnd.apple.mpegurl';
  if (pathname.endsWith('.html') || pathname === '/') return 'text/html';
  if (pathname.endsWith('.js')) return 'text/javascript';
  if (pathname.endsWith('.wasm')) return 'application/wasm';
  return 'application/octet-stream';
}
