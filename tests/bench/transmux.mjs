// MPEG-TS to fragmented MP4: Potluck's module, hls.js's transmuxer and mux.js by turns, in one process of Node.
// Started by `cargo xtask bench transmux`, with the options as JSON in the argument.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';
import { runMain } from './lib/cleanup.mjs';
import { fixed, median, sum, table } from './lib/figures.mjs';

const require = createRequire(import.meta.url);
const SECONDS = 60;

await runMain(async ({ www, runs }) => {
  const segments = film();
  const bytes = sum(segments.map(({ length }) => length));
  console.log(`    Node ${process.version}, ${os.cpus().length} cores, load ${fixed(os.loadavg()[0], 2)}`);
  console.log(`    ${SECONDS} s of 720p, H.264 and AAC: ${fixed(bytes / 1e6, 1)} MB in ${segments.length} segments`);
  const engines = [await potluck(www), await hlsjs(), muxjs()];
  const times = new Map(engines.map((engine) => [engine, []]));
  // On a machine with other work the processor's time says more than the clock; garbage collection on other threads counts too.
  const processor = new Map(engines.map((engine) => [engine, []]));
  const counts = new Map();
  for (let run = 0; run < runs; run++) {
    for (const engine of engines) {
      const used = process.cpuUsage();
      const began = performance.now();
      const out = engine.run(segments);
      times.get(engine).push(performance.now() - began);
      const { user, system } = process.cpuUsage(used);
      processor.get(engine).push((user + system) / 1e3);
      counts.set(engine, samples(out));
    }
    process.stdout.write(`\r    ${run + 1} of ${runs}`);
  }
  const speed = (ms) => bytes / 1e3 / ms;
  const results = engines.map((engine) => {
    const ms = times.get(engine);
    return { engine: engine.name, first: speed(ms[0]), best: speed(Math.min(...ms)), median: speed(median(ms)), processor: speed(Math.min(...processor.get(engine))), samples: counts.get(engine) };
  });
  console.log(`\n${table([['MB/s', 'cold', 'best', 'median', 'best by processor time', 'samples of each track'], ...results.map((result) => (
    [result.engine, fixed(result.first), fixed(result.best), fixed(result.median), fixed(result.processor), result.samples.join(' + ')]
  ))])}\n\n${JSON.stringify(results)}`);
});

/** About 40 MB in segments of 6 s. */
function film() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'potluck-transmux-'));
  try {
    const args = [
      '-f', 'lavfi', '-i', `testsrc2=s=1280x720:r=30:d=${SECONDS},noise=alls=12:allf=t`, '-f', 'lavfi', '-i', `anoisesrc=d=${SECONDS}:a=0.3:r=44100`,
      '-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-b:v', '5M', '-minrate', '5M', '-maxrate', '5M', '-bufsize', '2M', '-x264-params', 'nal-hrd=cbr',
      '-g', '60', '-keyint_min', '60', '-sc_threshold', '0', '-pix_fmt', 'yuv420p', '-c:a', 'aac', '-ac', '2', '-b:a', '128k',
      '-f', 'hls', '-hls_time', '6', '-hls_list_size', '0', '-hls_segment_filename', '%03d.ts', 'list.m3u8',
    ];
    execFileSync('ffmpeg', ['-hide_banner', '-loglevel', 'error', ...args], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
    return readdirSync(folder).filter((name) => name.endsWith('.ts')).sort().map((name) => new Uint8Array(readFileSync(path.join(folder, name))));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As the page's worker uses it: bytes go into the module's memory and come out again. */
async function potluck(www) {
  const { default: load, Transmuxer } = await import(pathToFileURL(path.join(www, 'potluck-transmux.js')).href);
  await load({ module_or_path: readFileSync(path.join(www, 'potluck-transmux.wasm')) });
  return {
    name: 'Potluck',
    run: (segments) => {
      const transmuxer = new Transmuxer(false);
      const out = segments.map((data, at) => {
        transmuxer.transmux(data, at === 0, true, true, at === segments.length - 1);
        return transmuxer.media();
      });
      transmuxer.free();
      return out;
    },
  };
}

/** hls.js's worker, which holds nothing but its transmuxer, with its messages passed by calls. */
async function hlsjs() {
  const { default: Hls } = await import('hls.js');
  const script = new vm.Script(readFileSync(require.resolve('hls.js/dist/hls.worker.js'), 'utf8'));
  let receive = null;
  let results = [];
  globalThis.self = globalThis;
  globalThis.addEventListener = (_, listener) => {
    receive = (data) => listener({ data: { instanceNo: 1, ...data } });
  };
  globalThis.postMessage = ({ event, data }) => {
    if (event === 'transmuxComplete') results.push(data.remuxResult);
    else if (event === 'hlsError') throw new Error(`hls.js: ${data.reason}`);
  };
  script.runInThisContext();
  const config = JSON.stringify({ ...Hls.DefaultConfig, debug: false });
  const times = () => ({ start: 0, executeStart: 0, executeEnd: 0, end: 0 });
  return {
    name: `hls.js ${Hls.version}`,
    run: (segments) => {
      results = [];
      receive({ cmd: 'init', id: 'main', typeSupported: { mpeg: true, mp3: true, ac3: true }, config });
      receive({ cmd: 'configure', config: { audioCodec: 'mp4a.40.2', videoCodec: 'avc1.42001f', duration: 6, defaultInitPts: null } });
      segments.forEach((bytes, sn) => {
        const chunkMeta = {
          level: 0, sn, id: 0, part: -1, size: bytes.length, partial: false, iframe: false, transmuxing: times(),
          buffering: { audio: times(), video: times(), audiovideo: times() },
        };
        const state = { discontinuity: sn === 0, contiguous: sn > 0, accurateTimeOffset: true, trackSwitch: sn === 0, timeOffset: sn * 6, initSegmentChange: sn === 0 };
        // It keeps the buffer it is given; in a browser that is moved to it.
        receive({ cmd: 'demux', data: bytes.buffer, decryptdata: null, chunkMeta, state });
        receive({ cmd: 'flush', chunkMeta });
      });
      return results.flatMap(({ video, audio }) => [video, audio]).filter(Boolean).map(({ data1, data2 }) => [data1, data2]).flat().filter(Boolean);
    },
  };
}

function muxjs() {
  const mux = require('mux.js');
  return {
    name: `mux.js ${require('mux.js/package.json').version}`,
    run: (segments) => {
      const out = [];
      const transmuxer = new mux.mp4.Transmuxer({ keepOriginalTimestamps: true });
      transmuxer.on('data', ({ data }) => out.push(data));
      for (const segment of segments) {
        transmuxer.push(segment);
        transmuxer.flush();
      }
      return out;
    },
  };
}

/** How many samples the fragments' runs have, by track. */
function samples(out) {
  const counts = new Map();
  for (const data of out) {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    let track = 0;
    const walk = (from, to) => {
      for (let at = from; at + 8 <= to; at += view.getUint32(at)) {
        const kind = String.fromCharCode(...data.subarray(at + 4, at + 8));
        if (kind === 'moof' || kind === 'traf') walk(at + 8, at + view.getUint32(at));
        if (kind === 'tfhd') track = view.getUint32(at + 12);
        if (kind === 'trun') counts.set(track, (counts.get(track) ?? 0) + view.getUint32(at + 12));
      }
    };
    walk(0, data.length);
  }
  return [...counts].sort(([one], [other]) => one - other).map(([, count]) => count);
}
