// Another site in front of an origin, as many are set up: any page may read what it serves, and of its headers only those that every page
// may see (https://fetch.spec.whatwg.org/#cors-safelisted-response-header-name): `Content-Length`, but not `Content-Range`.

import { createServer, request as forward } from 'node:http';
import { gzipSync } from 'node:zlib';

/** Serves what `origin` does, and under `/mac=…/` as well. `compresses`: segments too, where a browser takes them so. */
export async function startOtherSite(origin, { compresses = false } = {}) {
  const ranges = [];
  const server = createServer((request, response) => {
    if (request.headers.range) ranges.push(request.headers.range);
    const onward = forward(new URL(request.url.replace(/^\/mac=\w+/, ''), origin), { method: request.method, headers: { range: request.headers.range ?? [] } }, (answer) => {
      const headers = { ...answer.headers, 'access-control-allow-origin': '*' };
      delete headers['access-control-expose-headers'];
      if (compresses && request.url.endsWith('.m4s') && /gzip/.test(request.headers['accept-encoding'])) {
        const parts = [];
        answer.on('data', (part) => parts.push(part));
        answer.on('end', () => {
          const body = gzipSync(Buffer.concat(parts));
          response.writeHead(answer.statusCode, { ...headers, 'content-encoding': 'gzip', 'content-length': body.length }).end(body);
        });
        return;
      }
      response.writeHead(answer.statusCode, headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** `Range` of each request that had one. */
    ranges,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
