// The tracker that the WebTorrent world uses: npm's bittorrent-tracker, on a port of its own.

import Server from 'bittorrent-tracker/server';

/** `filter` may refuse an info hash, as in its documentation; `host` is where it listens. */
export async function startNpmTracker({ filter = undefined, host = '127.0.0.1' } = {}) {
  const server = new Server({ http: false, udp: false, ws: true, stats: false, trustProxy: false, filter });
  const complaints = [];
  server.on('error', (error) => complaints.push(`error: ${error.message}`));
  server.on('warning', (error) => complaints.push(`warning: ${error.message}`));
  const visits = [];
  const heard = [];
  server.ws.on('connection', (socket, request) => {
    visits.push(request.socket.remoteAddress);
    socket.on('message', (message) => heard.push(JSON.parse(String(message))));
  });
  await new Promise((resolve) => server.listen(0, host, resolve));
  const { port } = server.ws.address();
  return {
    port,
    url: `ws://${host}:${port}`,
    /** Addresses of those who connected, one for each connection. */
    visits,
    /** Everything that viewers told it. */
    heard,
    /** What it had to say about its clients' messages. */
    complaints,
    stop: () => new Promise((resolve) => {
      server.close(resolve);
    }),
  };
}
