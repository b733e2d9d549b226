// The tracker that the WebTorrent world uses: npm's bittorrent-tracker, on a port of its own.

import Server from 'bittorrent-tracker/server';

/** `filter` may refuse an info hash, as in its documentation. */
export async function startNpmTracker({ filter = undefined } = {}) {
  const server = new Server({ http: false, udp: false, ws: true, stats: false, trustProxy: false, filter });
  const complaints = [];
  server.on('error', (error) => complaints.push(`error: ${error.message}`));
  server.on('warning', (error) => complaints.push(`warning: ${error.message}`));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `ws://127.0.0.1:${server.ws.address().port}`,
    /** What it had to say about its clients' messages. */
    complaints,
    stop: () => new Promise((resolve) => {
      server.close(resolve);
    }),
  };
}
