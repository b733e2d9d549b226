// One swarm, in real browsers: each viewer a Chromium behind a line of its own, one origin that counts, one tracker.
// Started by `cargo xtask bench swarm`, with the options as JSON in the argument.

import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from './lib/chromium.mjs';
import { runMain } from './lib/cleanup.mjs';
import { copies, fixed, median, sum, table } from './lib/figures.mjs';
import { film, filmIn } from './lib/film.mjs';
import { HUB, MOST_VIEWERS, checkLab, openLab } from './lib/lab.mjs';
import { plot } from './lib/plot.mjs';

const PORT = 8000;
const ORIGIN = `http://${HUB}:${PORT}`;
const TRACKER = `ws://${HUB}:${PORT + 1}`;
/** Segments in the live playlist. */
const WINDOW = 6;
/** A segment published so late may not have reached everybody before the end: it is left out of the settled figure. */
const SETTLE_MS = 8000;
const PROGRESS_SECONDS = 10;

/** How each engine is called in tables, and its page. */
const ENGINES = {
  potluck: { name: 'Potluck', page: 'potluck.html', query: '' },
  hlsjs: { name: 'hls.js', page: 'hlsjs.html', query: '' },
  p2pml: { name: 'p2p-media-loader', page: 'p2pml.html', query: '' },
  'p2pml-peertube': { name: 'p2p-media-loader, as PeerTube', page: 'p2pml.html', query: '&tuning=peertube' },
};

await runMain(async (options) => {
  checkLab();
  const engines = options.engines ?? Object.keys(ENGINES).filter((engine) => options.live || engine !== 'p2pml-peertube');
  for (const engine of engines) {
    if (!ENGINES[engine]) throw new Error(`there is no engine \`${engine}\`: ${Object.keys(ENGINES).join(', ')}`);
    if (engine === 'p2pml-peertube' && !options.live) throw new Error('p2pml-peertube is tuned for live streams: add --live');
  }
  if (options.viewers < 1 || options.viewers > MOST_VIEWERS) throw new Error(`--viewers is from 1 to ${MOST_VIEWERS}`);

  const runSeconds = ((options.viewers - 1) * options.stagger) / 1000 + options.seconds;
  // Ahead of the first viewer there has to be something to load until the end.
  const folder = film(options.target, runSeconds + 36);
  const { bitrate, segmentSeconds } = filmIn(folder);
  const about = {
    case: caseName(options), viewers: options.viewers, live: options.live, uplinkMbps: options.uplink, downlinkMbps: options.downlink,
    originLimitMbps: options.originLimit ?? null, staggerMs: options.stagger, seconds: options.seconds, bitrate,
  };
  console.log(`\n    ${describe(about)}`);
  console.log(`    each engine takes ${Math.round(runSeconds + 4 + options.viewers)} s`);

  const results = [];
  for (const engine of engines) {
    console.log(`\n==> ${ENGINES[engine].name}`);
    results.push(await measure(engine, options, folder, segmentSeconds));
    console.log(`\n${summary(results)}`);
  }
  const file = keep(options, about, results);
  console.log(`\n${JSON.stringify({ ...about, results: results.map(({ each, ...figures }) => figures) })}`);
  console.log(`\n    with each viewer: ${file}`);
  if (options.plot) console.log(`    drawn: ${plot(path.join(options.target, 'bench/swarm'), options.plot)}`);
});

/** One engine's swarm, from its first viewer to its end. */
async function measure(engine, options, folder, segmentSeconds) {
  const lab = openLab({ viewers: options.viewers, uplinkMbps: options.uplink, downlinkMbps: options.downlink });
  const origin = await startOrigin(lab, { film: folder, port: PORT, window: WINDOW, limitMbps: options.originLimit });
  // Starting browsers costs more than playing: all are there before the first viewer comes.
  const browsers = [];
  for (let n = 0; n < options.viewers; n++) browsers.push(await chromium({ namespace: lab.viewer(n), secure: ORIGIN }));
  const loadBefore = os.loadavg()[0];
  const cpuBefore = homesCpu(lab, options.viewers);

  const { page: file, query } = ENGINES[engine];
  const src = `${ORIGIN}/media/${options.live ? 'live' : 'vod'}-master.m3u8`;
  const url = `${ORIGIN}/pages/${file}?src=${encodeURIComponent(src)}&tracker=${encodeURIComponent(TRACKER)}&swarm=bench-${process.pid}-${Date.now()}${query}`;
  const pages = [];
  const began = Date.now();
  let lastJoinMs = 0;
  origin.begin(began);
  const end = began + (options.viewers - 1) * options.stagger + options.seconds * 1000;
  const progress = setInterval(() => {
    origin.counts().then(({ segments }) => {
      const sent = sum(segments.map(({ bytes }) => bytes));
      console.log(`    ${fixed((Date.now() - began) / 1000)} of ${fixed((end - began) / 1000)} s, ${pages.length} viewers, ${fixed(sent / 1e6, 1)} MB from the origin`);
    }, () => clearInterval(progress));
  }, PROGRESS_SECONDS * 1000);
  try {
    for (let n = 0; n < options.viewers; n++) {
      await sleep(began + n * options.stagger - Date.now());
      lastJoinMs = Date.now() - began;
      pages.push(await open(browsers[n], url));
    }
    await sleep(end - Date.now());
  } finally {
    clearInterval(progress);
  }
  // First of all: looking at the pages takes time in which they play on.
  const { segments, playlistRequests } = await origin.counts();
  const cpuSeconds = homesCpu(lab, options.viewers) - cpuBefore;
  const each = await Promise.all(pages.map(report));
  await Promise.all(browsers.map((browser) => browser.close()));
  origin.stop();
  lab.close();
  return figures({ engine, options, segmentSeconds, began, lastJoinMs, endMs: end - began, segments, playlistRequests, cpuSeconds, loadBefore, each });
}

function figures({ engine, options, segmentSeconds, began, lastJoinMs, endMs, segments, playlistRequests, cpuSeconds, loadBefore, each }) {
  const minutes = sum(each.map(({ played }) => played)) / 60;
  const peerBytes = sum(each.map((viewer) => viewer.peerBytes));
  const httpBytes = sum(each.map((viewer) => viewer.httpBytes));
  const rebuffers = each.flatMap((viewer) => viewer.rebuffers);
  // The film began a window before the channel: what is on the screen was filmed then.
  const latency = ({ shown }) => (shown.at - began) / 1000 + WINDOW * segmentSeconds - shown.film;
  const settled = segments.filter(({ publishedMs }) => publishedMs > lastJoinMs && publishedMs < endMs - SETTLE_MS);
  return {
    engine,
    name: ENGINES[engine].name,
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    copies: copies(segments),
    copiesSettled: options.live ? copies(settled) : null,
    offload: peerBytes + httpBytes > 0 ? peerBytes / (peerBytes + httpBytes) : null,
    originBytes: sum(segments.map(({ bytes }) => bytes)),
    httpBytes,
    peerBytes,
    rebuffers: rebuffers.length,
    rebufferSeconds: sum(rebuffers.map(({ ms }) => ms)) / 1000,
    firstFrameMs: median(each.map((viewer) => viewer.firstFrameMs)),
    firstFrameWorstMs: each.every((viewer) => viewer.firstFrameMs !== null) ? Math.max(...each.map((viewer) => viewer.firstFrameMs)) : null,
    liveLatencySeconds: options.live ? median(each.map(latency)) : null,
    mainThreadMsPerMinute: sum(each.map(({ taskSeconds }) => taskSeconds)) * 1000 / minutes,
    cpuSecondsPerMinute: cpuSeconds / minutes,
    playedMinutes: minutes,
    playlistRequests,
    loadBefore,
    failures: each.map(({ failure }) => failure).filter((failure) => failure !== null),
    each,
  };
}

async function open(browser, url) {
  const page = await browser.newPage();
  await page.goto(url, { waitUntil: 'domcontentloaded' });
  return page;
}

async function report(page) {
  const { TaskDuration } = await page.metrics();
  return { taskSeconds: TaskDuration, ...(await page.evaluate(() => window.bench.report())) };
}

function homesCpu(lab, viewers) {
  return sum(Array.from({ length: viewers }, (_, n) => lab.cpuSeconds(lab.viewer(n))));
}

/** The origin's process: `begin(ms)`, `counts()`, `stop()`. */
async function startOrigin(lab, options) {
  const script = fileURLToPath(new URL('lib/origin.mjs', import.meta.url));
  const child = spawn('ip', ['netns', 'exec', lab.hub, process.execPath, script, JSON.stringify(options)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const asked = [];
  let gone = false;
  child.once('exit', () => {
    gone = true;
    for (const { reject } of asked.splice(0)) reject(new Error('the origin has ended: its messages above say why'));
  });
  await new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`the origin could not be started: ${error.message}`)));
    child.once('exit', (code) => reject(new Error(`the origin ended with ${code}`)));
    child.on('message', (message) => {
      if (message.ready) resolve();
      if (message.counts) asked.shift()?.resolve(message.counts);
    });
  });
  return {
    begin: (ms) => child.send({ begin: ms }),
    counts: () => new Promise((resolve, reject) => {
      if (gone) return reject(new Error('the origin has ended: its messages above say why'));
      asked.push({ resolve, reject });
      child.send({ counts: true });
    }),
    stop: () => child.disconnect(),
  };
}

function caseName({ live, viewers, uplink, stagger, originLimit }) {
  return `${live ? 'live' : 'vod'}-${viewers}-viewers-${uplink}-up-${stagger}-apart${originLimit ? `-origin-${originLimit}` : ''}`;
}

function describe(about) {
  const limit = about.originLimitMbps ? `, the origin's line ${about.originLimitMbps} Mbit/s` : '';
  return `${about.live ? 'live' : 'VOD'}, ${about.viewers} viewers ${about.staggerMs / 1000} s apart, ${about.uplinkMbps} Mbit/s up and ${about.downlinkMbps} down each${limit}, ${about.seconds} s after the last has joined; the stream has ${fixed(about.bitrate / 1e6, 2)} Mbit/s`;
}

function summary(results) {
  const rows = [['', 'copies', 'by bytes', 'settled', 'offload', 'rebuffers', 'first frame', 'latency', 'main thread', 'CPU']];
  for (const result of results) {
    rows.push([
      result.name,
      fixed(result.copies.byRequests, 2),
      fixed(result.copies.byBytes, 2),
      fixed(result.copiesSettled?.byBytes, 2),
      fixed(result.offload, 3),
      `${result.rebuffers} (${fixed(result.rebufferSeconds, 1)} s)`,
      `${fixed(result.firstFrameMs)} ms`,
      result.liveLatencySeconds === null ? '–' : `${fixed(result.liveLatencySeconds, 1)} s`,
      `${fixed(result.mainThreadMsPerMinute)} ms/min`,
      `${fixed(result.cpuSecondsPerMinute, 1)} s/min`,
    ]);
  }
  const failures = results.flatMap(({ name, failures: all }) => all.map((failure) => `    ${name}: ${failure.split('\n')[0]}`));
  return [table(rows), ...failures].join('\n');
}

/** Puts the results beside those that other engines had in the same case; returns the file. */
function keep(options, about, results) {
  const folder = path.join(options.target, 'bench/swarm');
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${about.case}.json`);
  let before = [];
  try {
    before = JSON.parse(readFileSync(file, 'utf8')).results;
  } catch {
    // The first of its case.
  }
  const kept = before.filter(({ engine }) => !results.some((result) => result.engine === engine));
  writeFileSync(file, `${JSON.stringify({ ...about, results: [...results, ...kept] }, null, 1)}\n`);
  return file;
}
