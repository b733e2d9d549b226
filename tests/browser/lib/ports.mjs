// Ports for programs that cannot choose one themselves.

import { createServer } from 'node:net';

/** A port of the loopback address that nobody has. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
