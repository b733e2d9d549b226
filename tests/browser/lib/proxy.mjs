// An HTTP proxy that writes down which hosts a browser asks for, whoever in it does: pages, frames, workers, the browser itself. Names
// that end in `.localhost` are this machine; the others are not to be had.

import { createServer, request as forward } from 'node:http';
import { connect } from 'node:net';

const HERE = /^(?:127\.0\.0\.1|localhost|[a-z-]+\.localhost)$/;

export async function startProxy() {
  const hosts = new Set();
  const server = createServer((request, response) => {
    const { hostname, port } = new URL(request.url);
    hosts.add(hostname);
    if (!HERE.test(hostname)) {
      response.writeHead(502).end();
      return;
    }
    const onward = forward({ host: address(hostname), port: port || 80, path: request.url.replace(/^http:\/\/[^/]+/, ''), method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  // WebSockets, and https.
  server.on('connect', (request, socket, head) => {
    const { hostname, port } = new URL(`http://${request.url}`);
    hosts.add(hostname);
    socket.on('error', () => {});
    if (!HERE.test(hostname)) {
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
      return;
    }
    const onward = connect(Number(port || 80), address(hostname), () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    socket.on('close', () => onward.destroy());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    /** Everybody who was asked for. */
    hosts,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Node's `localhost` may be the sixth version's, on which the tests' servers listen or not. */
function address(hostname) {
  return hostname.endsWith('.localhost') ? '127.0.0.1' : hostname;
}
