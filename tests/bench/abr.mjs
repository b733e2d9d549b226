// Adaptive bitrate on lines that change, in virtual time: Potluck's core in its simulator, and hls.js whole.
// Started by `cargo xtask bench abr`, with the options as JSON in the argument.

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { draw } from './abr/plot.mjs';
import { runMain } from './lib/cleanup.mjs';
import { fixed, table } from './lib/figures.mjs';

const HLSJS = fileURLToPath(new URL('abr/hlsjs.mjs', import.meta.url));

await runMain(({ program, folder, plot, record }) => {
  const lines = folder ? [folder] : [];
  const spec = run(program, ['spec', ...lines]);
  const { traces, ladder } = JSON.parse(spec);
  const others = traces.map(({ name }) => ({ trace: name, ...JSON.parse(run(process.execPath, [HLSJS, name], spec)) }));
  const results = JSON.parse(run(program, ['compare', ...lines], JSON.stringify(others)));
  const version = others[0].version;
  console.log(`    a film in ${ladder.map((bps) => bps / 1e6).join(', ')} Mbit/s; Potluck | hls.js ${version}\n`);
  const rows = [['', 'Mbit/s', 'switches', 'rebuffer', 'first frame', 'QoE', '|', 'Mbit/s', 'switches', 'rebuffer', 'first frame', 'QoE', '']];
  for (const { trace, ours, hlsjs } of results) rows.push([trace, ...cells(ours), '|', ...cells(hlsjs), verdict(ours, hlsjs)]);
  console.log(table(rows));
  if (plot) {
    mkdirSync(path.dirname(plot), { recursive: true });
    writeFileSync(plot, draw(traces, ladder, results.map((result, index) => ({ ...result, theirs: others[index].samples }))));
    console.log(`\n    drawn into ${plot}`);
  }
  if (record) {
    const figures = Object.fromEntries(results.map(({ trace, hlsjs }) => [trace, hlsjs]));
    writeFileSync(record, `${JSON.stringify({ command: 'cargo xtask bench abr --record', hlsjs: version, figures }, null, 2)}\n`);
    console.log(`    hls.js's figures are in ${record}`);
  }
});

function cells({ meanBps, switches, rebufferSeconds, firstFrame, qoe }) {
  return [fixed(meanBps / 1e6, 2), String(switches), `${fixed(rebufferSeconds, 2)} s`, `${fixed(firstFrame, 2)} s`, fixed(qoe, 2)];
}

function verdict(ours, other) {
  const behind = [
    [ours.meanBps < other.meanBps, 'bitrate'],
    [ours.switches > other.switches, 'switches'],
    [ours.rebufferSeconds > other.rebufferSeconds, 'rebuffer'],
  ].filter(([is]) => is).map(([, what]) => what);
  return behind.length > 0 ? `behind: ${behind.join(', ')}` : 'ahead or equal';
}

function run(program, args, input = '') {
  const { status, stdout, error } = spawnSync(program, args, { input, stdio: ['pipe', 'pipe', 'inherit'], maxBuffer: 1 << 28 });
  if (error || status !== 0) throw new Error(`${path.basename(program)} ${args.join(' ')} ended with ${error?.message ?? status}`);
  return stdout.toString();
}
