// From the page's script to the first picture, and what a minute of playing costs: two or more players by turns, one
// viewer at a time, on the demo server's film and its live channel.
// Started by `cargo xtask bench first-frame`, with the options as JSON in the argument.

import { createServer } from 'node:http';
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from './lib/chromium.mjs';
import { runMain } from './lib/cleanup.mjs';
import { startDemo } from './lib/demo.mjs';
import { fixed, median, table } from './lib/figures.mjs';
import { PAGE_ROOTS, fileAt, typeOf } from './lib/static.mjs';

/** By the names of `--engines`; the last one that is named is what the others are compared with. */
const PLAYERS = {
  'potluck': { name: 'Potluck', page: 'potluck.html' },
  'potluck-player': { name: 'Potluck with controls', page: 'potluck.html', query: { tag: 'potluck-player' } },
  'hlsjs': { name: 'hls.js', page: 'hlsjs.html' },
};
let engines = [];
const PATIENCE_MS = 20_000;
/** Before playing is measured, starting is over. */
const WARM_SECONDS = 5;

await runMain(async ({ server, runs, playSeconds, playRuns, engines: names }) => {
  engines = names.map((name) => PLAYERS[name] ?? unknown(name));
  const demo = await startDemo(server);
  const pages = await servePages();
  const browser = await chromium();
  console.log(`    ${await browser.version()}, ${os.cpus().length} cores, load ${fixed(os.loadavg()[0], 2)}`);
  const results = [];
  for (const stream of [{ name: 'film', path: '/media/sample/master.m3u8' }, { name: 'live', path: '/media/live/master.m3u8' }]) {
    const open = (engine) => openViewer(browser, `${pages}/${engine.page}?${new URLSearchParams({
      ...engine.query, src: demo.url + stream.path, tracker: demo.tracker, swarm: `bench-${process.pid}-${performance.now()}`,
    })}`);
    console.log(`\n==> ${stream.name}: first frame, ${runs} runs each, by turns`);
    // The first of all also pays for what the browser does once in its life.
    for (const engine of engines) await firstFrame(open, engine);
    const frames = await byTurns(runs, (engine) => firstFrame(open, engine));
    console.log(`==> ${stream.name}: ${playSeconds} s of playing, ${playRuns} runs each, by turns`);
    const costs = await byTurns(playRuns, (engine) => cost(browser, open, engine, playSeconds));
    for (const engine of engines) {
      const ms = frames.get(engine);
      const plays = costs.get(engine);
      results.push({
        stream: stream.name,
        engine: engine.name,
        firstFrameMs: { median: median(ms), min: Math.min(...ms), max: Math.max(...ms), all: ms.map((one) => Math.round(one)) },
        mainThreadMsPerMinute: median(plays.map(({ mainThread }) => mainThread)),
        mainThreadCpuMsPerMinute: median(plays.map(({ mainThreadCpu }) => mainThreadCpu)),
        cpuSecondsPerMinute: median(plays.map(({ cpu }) => cpu)),
      });
    }
  }
  await browser.close();
  print(results);
  console.log(`\n${JSON.stringify(results)}`);
});

/** Calls `measure` for one engine after the other, `runs` times; by engine, what it returned. */
async function byTurns(runs, measure) {
  const values = new Map(engines.map((engine) => [engine, []]));
  for (let run = 0; run < runs; run++) {
    for (const engine of engines) values.get(engine).push(await measure(engine));
    process.stdout.write(`\r    ${run + 1} of ${runs}`);
  }
  process.stdout.write('\n');
  return values;
}

async function firstFrame(open, engine) {
  const viewer = await open(engine);
  await viewer.close();
  return viewer.firstFrameMs;
}

/**
 * What one played minute costs the page's main thread (ms: how long its tasks took, and what of that it was running), and the whole
 * browser (CPU seconds).
 */
async function cost(browser, open, engine, seconds) {
  const viewer = await open(engine);
  await sleep(WARM_SECONDS * 1000);
  const session = await viewer.page.createCDPSession();
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const look = async () => {
    const { TaskDuration } = await viewer.page.metrics();
    const { metrics } = await session.send('Performance.getMetrics');
    const running = metrics.find(({ name }) => name === 'TaskDuration').value;
    return { task: TaskDuration, running, cpu: await cpuOf(browser), played: await viewer.page.evaluate(() => window.bench.played()) };
  };
  const before = await look();
  await sleep(seconds * 1000);
  const after = await look();
  await viewer.close();
  const minutes = (after.played - before.played) / 60;
  if (minutes * 60 < seconds / 2) throw new Error(`${engine.name} played ${fixed(minutes * 60, 1)} of ${seconds} s only`);
  return { mainThread: ((after.task - before.task) * 1000) / minutes, mainThreadCpu: ((after.running - before.running) * 1000) / minutes, cpu: (after.cpu - before.cpu) / minutes };
}

/** A page in a context of its own, with nothing cached, once its first picture is there. */
async function openViewer(browser, url) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.goto(url, { waitUntil: 'domcontentloaded' });
  const handle = await page.waitForFunction(() => window.bench?.firstFrameMs() ?? window.failure, { timeout: PATIENCE_MS, polling: 100 });
  const firstFrameMs = await handle.jsonValue();
  if (typeof firstFrameMs !== 'number') throw new Error(`${url} failed: ${firstFrameMs}`);
  return { page, firstFrameMs, close: () => context.close() };
}

async function cpuOf(browser) {
  const session = await browser.target().createCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  return processInfo.reduce((total, { cpuTime }) => total + cpuTime, 0);
}

/** The pages and both engines' scripts from one server, so that neither has a shorter way. */
async function servePages() {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://pages');
    fileAt(PAGE_ROOTS, pathname).then((body) => {
      if (!body) return response.writeHead(404).end();
      response.writeHead(200, { 'content-type': typeOf(pathname), 'cache-control': 'no-store', 'content-length': body.length }).end(body);
    }, (error) => response.destroy(error));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${server.address().port}/pages`;
}

function unknown(name) {
  throw new Error(`no player is named ${name}: --engines takes ${Object.keys(PLAYERS).join(', ')}`);
}

function print(results) {
  const last = engines.at(-1).name;
  const rows = [['', 'first frame, median', 'min', 'max', `to ${last}`, 'main thread', 'of it running', 'CPU']];
  for (const { stream, engine, firstFrameMs, mainThreadMsPerMinute, mainThreadCpuMsPerMinute, cpuSecondsPerMinute } of results) {
    const other = results.find((result) => result.stream === stream && result.engine === last);
    rows.push([
      `${stream}, ${engine}`,
      `${fixed(firstFrameMs.median)} ms`, `${fixed(firstFrameMs.min)} ms`, `${fixed(firstFrameMs.max)} ms`,
      fixed(firstFrameMs.median / other.firstFrameMs.median, 2),
      `${fixed(mainThreadMsPerMinute)} ms/min`, `${fixed(mainThreadCpuMsPerMinute)} ms/min`, `${fixed(cpuSecondsPerMinute, 1)} s/min`,
    ]);
  }
  console.log(`\n${table(rows)}`);
}
