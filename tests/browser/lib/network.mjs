// A network of a test's own, in which packets can be counted: two machines (network namespaces) and a wire between them. Made with
// `unshare`, `nsenter`, `mount` and `ip`, by root or by anybody whom the kernel lets make user namespaces.

import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const INSIDE = 'POTLUCK_OWN_NETWORK';
const SPACES = ['--net', '--mount', ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'])];
/** Addresses of the machine that the test runs on, and of the other. */
export const HERE = '10.77.0.1';
export const ELSEWHERE = '10.77.0.2';

/**
 * Runs the test file `url` once more, in a network of its own, and ends with it; there, returns the network. Null where no such network can
 * be made: the tests that need it are to be skipped, with `NOTICE`.
 */
export async function ownNetwork(url) {
  if (process.env[INSIDE]) return await Network.make();
  if (!possible()) return null;
  const child = spawn('unshare', [...SPACES, process.execPath, ...process.execArgv, fileURLToPath(url)], {
    stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' },
  });
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => child.kill(signal));
  const code = await new Promise((resolve) => child.once('exit', (status) => resolve(status ?? 1)));
  process.exit(code);
}

export const NOTICE = 'no network of its own can be made here: that needs unshare, nsenter, mount, ip, and leave to make namespaces';

/** Tries all that `Network.make` needs: containers forbid some of it. */
function possible() {
  const attempt = 'ip link set lo up && mount --bind /dev/null /etc/resolv.conf && unshare --net true && ip link add wire type veth peer name there';
  return spawnSync('unshare', [...SPACES, 'sh', '-c', attempt], { stdio: 'ignore' }).status === 0;
}

class Network {
  #other;
  #folder = mkdtempSync(path.join(tmpdir(), 'potluck-network-'));

  static async make() {
    const network = new Network();
    // Lasts as long as this process has its standard input open.
    const other = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
    await new Promise((resolve, reject) => {
      other.stdout.once('data', resolve);
      other.once('error', reject);
      other.once('exit', () => reject(new Error('unshare ended by itself')));
    });
    for (const handle of [other, other.stdin, other.stdout]) handle.unref();
    network.#other = other;
    process.once('exit', () => network.stop());
    const inside = `nsenter --net=/proc/${other.pid}/ns/net`;
    // What browsers ask for by themselves is not asked of a name server on this machine: to this one there is no way.
    const names = path.join(network.#folder, 'resolv.conf');
    writeFileSync(names, 'nameserver 192.0.2.1\n');
    // By their route to this address browsers find their own; none of them sends it anything.
    run(`mount --bind '${names}' /etc/resolv.conf
      ip link set lo up
      ip link add wire type veth peer name wire netns ${other.pid}
      ip addr add ${HERE}/24 dev wire && ip link set wire up
      ${inside} sh -c 'ip link set lo up && ip addr add ${ELSEWHERE}/24 dev wire && ip link set wire up && ip route add 8.8.8.8 via ${HERE}'
      ip route add 8.8.8.8 via ${ELSEWHERE}`);
    return network;
  }

  /** A program like `file` that runs on the other machine. */
  elsewhere(file) {
    const script = path.join(this.#folder, path.basename(file));
    writeFileSync(script, `#!/bin/sh\nexec nsenter --net=/proc/${this.#other.pid}/ns/net '${file}' "$@"\n`);
    chmodSync(script, 0o755);
    return script;
  }

  /** UDP datagrams that programs on this machine have sent since it exists, to whomever. */
  datagrams() {
    const table = (file) => readFileSync(`/proc/self/net/${file}`, 'utf8');
    const [names, values] = table('snmp').split('\n').filter((line) => line.startsWith('Udp:')).map((line) => line.split(' '));
    const six = /^Udp6OutDatagrams\s+(\d+)/m.exec(table('snmp6'))?.[1] ?? 0;
    return Number(values[names.indexOf('OutDatagrams')]) + Number(six);
  }

  stop() {
    this.#other.stdin.destroy();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function run(script) {
  const { status, stderr } = spawnSync('sh', ['-e', '-c', script], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the network could not be made: ${stderr}`);
}
