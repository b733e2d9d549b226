// Many WebSocket clients of a tracker: the demo's, npm's bittorrent-tracker, and aquatic_ws if it is asked for, each in a process of its
// own, by turns.
// Started by `cargo xtask bench tracker`, with the options as JSON in the argument.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../browser/lib/ports.mjs';
import { runMain } from './lib/cleanup.mjs';
import { fixed, table } from './lib/figures.mjs';

const NPM = `
  const { default: Server } = await import('bittorrent-tracker/server');
  const server = new Server({ http: true, udp: false, ws: true, stats: false });
  server.on('error', () => {});
  server.on('warning', () => {});
  server.listen(0, '127.0.0.1', () => console.log('listens on ' + server.http.address().port));
`;

await runMain(async ({ programs, aquatic, clients, swarm, rate, seconds }) => {
  const trackers = {
    Potluck: [path.join(programs, 'potluck'), ['--listen', '127.0.0.1:0', '--tracker-sockets', clients + 100, '--tracker-sockets-per-address', clients + 100], /localhost:(\d+)/, '/announce'],
    'bittorrent-tracker': [process.execPath, ['--input-type=module', '--eval', NPM], /listens on (\d+)/, '/'],
  };
  const port = await freePort();
  // It says nothing: it is there when its port is.
  if (aquatic) trackers.aquatic_ws = [aquatic, [port], port, '/'];
  console.log(`    ${clients} clients, swarms of ${swarm}, ${rate} announces a second with 5 offers each, for ${seconds} s`);
  const rows = [['', 'joined', 'seconds to join', 'announces', 'p50 ms', 'p99 ms', 'offers relayed', 'lost', 'KB a client', 'CPU s']];
  for (const [name, [program, args, port, route]] of Object.entries(trackers)) {
    const tracker = spawn(program, args.map(String), { stdio: ['ignore', 'pipe', 'inherit'], cwd: import.meta.dirname });
    try {
      const url = `ws://127.0.0.1:${await (typeof port === 'number' ? listens(port) : said(tracker, port))}${route}`;
      const before = usage(tracker.pid);
      const load = spawn(path.join(programs, 'tracker-load'), [
        url, '--clients', clients, '--swarm', swarm, '--rate', rate, '--seconds', seconds,
      ].map(String), { stdio: ['ignore', 'pipe', 'inherit'] });
      // Read while all are connected: at the end they are gone.
      let most = before;
      const watch = setInterval(() => {
        const now = usage(tracker.pid);
        if (now.kb > most.kb) most = now;
      }, 500);
      let text = '';
      load.stdout.on('data', (chunk) => { text += chunk; });
      await once(load, 'exit');
      clearInterval(watch);
      const after = usage(tracker.pid);
      const report = JSON.parse(text);
      rows.push([
        name, report.joined, fixed(report.joinSeconds, 1), report.announces, report.p50Ms, report.p99Ms, report.relayedOffers,
        report.lost, fixed((most.kb - before.kb) / Math.max(1, report.joined), 1), fixed(after.cpu - before.cpu, 1),
      ].map(String));
    } finally {
      tracker.kill('SIGKILL');
    }
  }
  console.log(table(rows));
});

/** The port, once somebody takes connections there. */
async function listens(port) {
  for (let attempt = 0; attempt < 100; attempt++) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return port;
    } catch {
      await sleep(100);
    } finally {
      socket.destroy();
    }
  }
  throw new Error(`nothing listens on port ${port}`);
}

/** What a process says, once it matches. It is listened to from there on: a process that has more to say would end if nobody did. */
async function said(child, pattern) {
  let text = '';
  return await new Promise((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      text += chunk;
      const found = pattern.exec(text);
      if (found) resolve(found[1]);
    });
    child.stdout.on('end', () => reject(new Error(`the tracker ended: ${text}`)));
  });
}

/** Resident memory in KB, and seconds of CPU, of a process (proc(5)). */
function usage(pid) {
  const kb = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return { kb, cpu: (Number(fields[11]) + Number(fields[12])) / 100 };
}
