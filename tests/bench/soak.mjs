// A live channel for an hour: viewers come and go, the tracker restarts, and the origin breaks every minute. What the viewer that
// stays keeps of it, and what it saw. Started by `cargo xtask bench soak`, with the options as JSON in the argument.

import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from '../browser/lib/browsers.mjs';
import { startDemo } from '../browser/lib/demo.mjs';
import { openViewer } from '../browser/lib/viewer.mjs';
import { atExit, runMain } from './lib/cleanup.mjs';
import { fixed, median, table } from './lib/figures.mjs';

/** What the origin does to media, one after the other, a minute each; and for how many seconds: less than is buffered. */
const FAULTS = ['status:503', 'hang', 'truncate', 'close'];
const FAULT_SECONDS = 4;
/** How long the tracker is away. */
const TRACKER_AWAY_MS = 8000;
/** A guest stays so long, and is replaced by the next. */
const GUEST_MS = 20_000;
/** What is kept to share: little, so that it is full within the first minutes, and what grows after that is a leak. */
const STORE_BYTES = 6e6;
/** Growth from the first third to the last that is noise: of each figure, in its unit, and as a part of it. */
const NOISE = { heapMb: 2, workerMb: 2, wasmMb: 4, nodes: 400, part: 0.1 };

const HEADING = ['minute', 'played s', 'page MB', 'worker MB', 'wasm MB', 'store MB', 'nodes', 'peers', 'made', 'from peers', 'latency s', 'waits'];

/** Before the worker's script: keeps the engine's memory where it can be looked at. */
const KEEP_MEMORY = `
  globalThis.wasmMemories = [];
  for (const name of ['instantiate', 'instantiateStreaming']) {
    const instantiate = WebAssembly[name];
    WebAssembly[name] = async (...what) => {
      const made = await instantiate.apply(WebAssembly, what);
      for (const one of Object.values((made.instance ?? made).exports)) {
        if (one instanceof WebAssembly.Memory) globalThis.wasmMemories.push(one);
      }
      return made;
    };
  }
`;

await runMain(async ({ minutes }) => {
  process.env.POTLUCK_WWW = copyOfPlayer();
  const demo = await startDemo({ faults: true });
  atExit(() => void demo.stop());
  const browser = await chromium();
  atExit(() => browser.process()?.kill('SIGKILL'));
  const open = () => openViewer(browser, demo, { src: demo.live, tuning: { storeBytes: STORE_BYTES }, before: countConnections });
  const host = await open();
  await host.plays(1, { seconds: 60 });
  const meter = await memoryOf(host.page);
  const second = await open();
  const state = { over: false, guests: 0, lost: [] };
  const company = churn(open, state);

  console.log(`    ${minutes} minutes; a guest every ${GUEST_MS / 1000} s, the origin breaks for ${FAULT_SECONDS} s and the tracker is away for ${TRACKER_AWAY_MS / 1000} s each minute\n`);
  const rows = [];
  for (let minute = 1; minute <= minutes; minute++) {
    const began = Date.now();
    await sleep(10_000);
    await demo.break('.m4s', FAULTS[minute % FAULTS.length], FAULT_SECONDS);
    await sleep(15_000);
    await demo.trackerUp(false);
    await sleep(TRACKER_AWAY_MS);
    await demo.trackerUp(true);
    await sleep(Math.max(0, 60_000 - (Date.now() - began)));
    const row = { minute, ...await meter(), ...await seen(host) };
    rows.push(row);
    if (minute === 1) console.log(table([HEADING, cells(row)]));
    else console.log(table([HEADING, cells(row)]).split('\n')[1]);
  }
  state.over = true;
  await company;

  const [after, beside] = await Promise.all([host.state(), second.state()]);
  const waits = { host: after.meter.interruptions, second: beside.meter.interruptions };
  const growth = grown(rows);
  const problems = [
    ...growth.filter(({ leaks }) => leaks).map(({ what, from, to }) => `${what} grew from ${fixed(from, 1)} to ${fixed(to, 1)}`),
    ...Object.entries(waits).flatMap(([who, those]) => those.map((wait) => `${who} waited: ${JSON.stringify(wait)}`)),
    ...[after, beside].filter(({ error }) => error !== null).map(({ error }) => `error: ${error.message}`),
    ...state.lost.map((reason) => `a guest: ${reason}`),
  ];
  console.log(`\n    ${state.guests} guests; medians of the first and the last third:`);
  console.log(table([['', 'first', 'last'], ...growth.map(({ what, from, to }) => [what, fixed(from, 1), fixed(to, 1)])]));
  console.log(`    warnings: ${JSON.stringify(count(after.warnings))}`);
  console.log(problems.length === 0 ? '\n    flat, and nobody waited' : `\n    not as it should be:\n      ${problems.join('\n      ')}`);
  await browser.close();
  await demo.stop();
  if (problems.length > 0) throw new Error(`${problems.length} of the soak's demands are not met`);
});

/** One guest after the other, until it is over. */
async function churn(open, state) {
  while (!state.over) {
    try {
      const guest = await open();
      state.guests++;
      for (let n = 0; n < GUEST_MS / 500 && !state.over; n++) await sleep(500);
      const { meter, error } = await guest.state();
      if (error !== null) state.lost.push(error.message);
      if (meter.played === 0 && !state.over) state.lost.push(`saw nothing in ${GUEST_MS / 1000} s`);
      await guest.close();
    } catch (error) {
      state.lost.push(error.message);
      await sleep(1000);
    }
  }
}

/** Runs in the page before anything else: counts connections. */
function countConnections() {
  window.made = 0;
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...options) {
      super(...options);
      window.made++;
    }
  };
}

/** A function that collects garbage in the page and its workers, and says what is left. */
async function memoryOf(page) {
  const session = await page.createCDPSession();
  const heap = async (of) => {
    await of.send('HeapProfiler.enable');
    await of.send('HeapProfiler.collectGarbage');
    return (await of.send('Runtime.getHeapUsage')).usedSize / 1e6;
  };
  return async () => {
    const sizes = { heapMb: await heap(session), workerMb: 0, wasmMb: 0, nodes: (await session.send('Memory.getDOMCounters')).nodes };
    for (const { client } of page.workers()) {
      sizes.workerMb += await heap(client);
      sizes.wasmMb += await wasmBytes(client) / 1e6;
    }
    return sizes;
  };
}

/** The built player in a folder of its own, with workers whose memory can be looked at. */
function copyOfPlayer() {
  const built = process.env.POTLUCK_WWW ?? fileURLToPath(new URL('../../www/dist', import.meta.url));
  const folder = mkdtempSync(path.join(tmpdir(), 'potluck-soak-'));
  atExit(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(built, folder, { recursive: true });
  for (const name of readdirSync(folder).filter((file) => file.endsWith('-worker.js'))) {
    const worker = path.join(folder, name);
    writeFileSync(worker, `${KEEP_MEMORY}${readFileSync(worker, 'utf8')}`);
  }
  return folder;
}

/** Bytes of the engine's memory. */
async function wasmBytes(client) {
  const expression = 'wasmMemories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0)';
  const { result } = await client.send('Runtime.evaluate', { expression, returnByValue: true });
  return result.value;
}

async function seen(viewer) {
  const { stats, meter } = await viewer.state();
  const made = await viewer.with(() => window.made);
  return {
    played: meter.played, storeMb: stats.storeBytes / 1e6, peers: stats.peers, made, waits: meter.interruptions.length,
    share: stats.peerBytes / (stats.peerBytes + stats.httpBytes), latency: stats.liveLatency,
  };
}

function cells({ minute, played, heapMb, workerMb, wasmMb, storeMb, nodes, peers, made, share, latency, waits }) {
  return [
    String(minute), fixed(played), fixed(heapMb, 2), fixed(workerMb, 2), fixed(wasmMb, 1), fixed(storeMb, 1), String(nodes), String(peers),
    String(made), `${fixed(100 * share)} %`, fixed(latency, 1), String(waits),
  ].map((cell) => cell.padStart(8));
}

/** How each figure has grown from the first third to the last. The first minutes fill caches. */
function grown(rows) {
  const third = Math.max(1, Math.floor(rows.length / 3));
  return ['heapMb', 'workerMb', 'wasmMb', 'nodes'].map((what) => {
    const [from, to] = [rows.slice(0, third), rows.slice(-third)].map((some) => median(some.map((row) => row[what])));
    return { what, from, to, leaks: to - from > NOISE[what] && to > from * (1 + NOISE.part) };
  });
}

function count(words) {
  const counts = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}
