// A closed network on this machine: a hub, and behind it one network namespace for each viewer, whose lines have the
// speed of somebody's home. Nothing outside can be reached from it. Needs root, and `ip` and `tc` of iproute2.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { atExit } from './cleanup.mjs';

const PREFIX = 'potluck-bench-';
const NET = '10.99.0';

/** The hub's address, where the origin and the tracker listen. */
export const HUB = `${NET}.1`;

/** Viewers that fit in the network. */
export const MOST_VIEWERS = 200;

/**
 * Says in an error what is missing for `openLab`: root, iproute2, or a kernel that lets namespaces be made.
 */
export function checkLab() {
  if (process.platform !== 'linux') throw new Error('the swarm is measured in network namespaces, which only Linux has');
  for (const tool of ['ip', 'tc']) {
    if (spawnSync(tool, ['-V']).error) throw new Error(`\`${tool}\` is not in PATH: apt-get install iproute2`);
  }
  if (process.getuid() !== 0) throw new Error('network namespaces can only be made by root: run the command with sudo');
}

/**
 * Makes the network; `uplinkMbps` and `downlinkMbps` are of each viewer. It goes away with this process, however that
 * ends; what a process that was killed has left behind is taken away first.
 */
export function openLab({ viewers, uplinkMbps, downlinkMbps }) {
  sweep();
  const lab = new Lab();
  lab.build(viewers, uplinkMbps, downlinkMbps);
  return lab;
}

class Lab {
  #namespaces = [];
  #forget = atExit(() => this.close());

  /** The namespace of the origin and the tracker. */
  hub = `${PREFIX}${process.pid}-hub`;

  /** The namespace of one viewer. */
  viewer(n) {
    return `${PREFIX}${process.pid}-${n}`;
  }

  build(viewers, uplinkMbps, downlinkMbps) {
    this.#add(this.hub);
    run('ip', '-n', this.hub, 'link', 'add', 'bridge', 'type', 'bridge');
    run('ip', '-n', this.hub, 'addr', 'add', `${HUB}/24`, 'dev', 'bridge');
    run('ip', '-n', this.hub, 'link', 'set', 'bridge', 'up');
    for (let n = 0; n < viewers; n++) {
      const home = this.viewer(n);
      const socket = `home${n}`;
      this.#add(home);
      run('ip', '-n', this.hub, 'link', 'add', socket, 'type', 'veth', 'peer', 'name', 'line', 'netns', home);
      run('ip', '-n', this.hub, 'link', 'set', socket, 'master', 'bridge', 'up');
      run('ip', '-n', home, 'addr', 'add', `${NET}.${10 + n}/24`, 'dev', 'line');
      run('ip', '-n', home, 'link', 'set', 'line', 'up');
      // WebRTC offers the address that the default route leaves from.
      run('ip', '-n', home, 'route', 'add', 'default', 'via', HUB);
      // Each side of the cable limits what it sends: the viewer's the uplink, the hub's the downlink.
      limit(home, 'line', uplinkMbps, '64k');
      limit(this.hub, socket, downlinkMbps, '256k');
    }
  }

  /** CPU seconds, of user and kernel, that the processes now in a namespace have used. */
  cpuSeconds(namespace) {
    return pidsIn(namespace).reduce((sum, pid) => sum + cpuOf(pid), 0);
  }

  /** Ends what runs in the namespaces, and takes them away. */
  close() {
    for (const namespace of this.#namespaces.splice(0)) remove(namespace);
    this.#forget();
  }

  #add(namespace) {
    run('ip', 'netns', 'add', namespace);
    this.#namespaces.push(namespace);
    run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
  }
}

function limit(namespace, device, mbps, burst) {
  if (mbps > 0) run('tc', '-n', namespace, 'qdisc', 'add', 'dev', device, 'root', 'tbf', 'rate', `${mbps}mbit`, 'burst', burst, 'latency', '200ms');
}

/** Takes away what a run that was killed has left. Another that is still going is an error: two disturb each other. */
function sweep() {
  const names = output('ip', 'netns', 'list').split('\n').map((line) => line.split(' ')[0]);
  for (const name of names.filter((other) => other.startsWith(PREFIX))) {
    const owner = Number(name.slice(PREFIX.length).split('-')[0]);
    if (alive(owner)) throw new Error(`another measurement is going on: process ${owner}`);
    remove(name);
  }
}

function remove(namespace) {
  for (const pid of pidsIn(namespace)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  spawnSync('ip', ['netns', 'del', namespace]);
}

function pidsIn(namespace) {
  const { stdout } = spawnSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' });
  return (stdout ?? '').split('\n').filter((line) => line !== '').map(Number);
}

/** Clock ticks of `/proc/PID/stat` in a second, on every Linux of today. */
const TICKS = 100;

function cpuOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the name in parentheses, which may hold anything; user and system time are 14th and 15th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS;
  } catch {
    return 0;
  }
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function run(...command) {
  output(...command);
}

function output(program, ...args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (error) throw new Error(`\`${program}\` could not be started: ${error.message}`);
  if (status !== 0) throw new Error(`\`${[program, ...args].join(' ')}\` failed: ${stderr.trim()}`);
  return stdout;
}
