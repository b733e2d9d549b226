// A TURN server: coturn, on this machine's loopback.

import { spawn, spawnSync } from 'node:child_process';
import { freePort } from './ports.mjs';
import { until } from './wait.mjs';

/** What it relays comes from this address, so that a relayed candidate cannot be mistaken for a viewer's own. */
export const RELAY = '127.0.0.7';

/** Why its tests are skipped; false where it is installed. */
export const skip = spawnSync('turnserver', ['--version']).error ? 'coturn is not installed: apt-get install coturn' : false;

/** Starts it. `iceServers` is what pages name; `allocations()` counts those that were made. */
export async function startTurn() {
  const port = await freePort();
  const said = [];
  const child = spawn('turnserver', [
    '-n', '--listening-ip', '127.0.0.1', '--listening-port', String(port), '--relay-ip', RELAY, '--allow-loopback-peers',
    '--lt-cred-mech', '--user', 'viewer:secret', '--realm', 'test', '--no-tls', '--no-dtls', '--no-cli', '--no-rfc5780', '--verbose',
    '--userdb', '/dev/null', '--pidfile', '/dev/null', '--log-file', 'stdout', '--simple-log',
  ], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => said.push(String(chunk)));
  child.once('error', (cause) => said.push(String(cause)));
  await until('coturn listens', () => {
    if (child.exitCode !== null) throw new Error(`turnserver ended with ${child.exitCode}: ${said.join('')}`);
    return said.join('').includes(`127.0.0.1:${port}`);
  }, { describe: () => said.join('') });
  return {
    iceServers: [{ urls: `turn:127.0.0.1:${port}`, username: 'viewer', credential: 'secret' }],
    allocations: () => said.join('').match(/ALLOCATE processed, success/g)?.length ?? 0,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
