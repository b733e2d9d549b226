// Reading a long playlist: Potluck's reader in WebAssembly as it is shipped, hls.js and m3u8-parser, in one process.
// Started by `cargo xtask bench playlists`, with the options as JSON in the argument.

import { readFileSync } from 'node:fs';
import { runMain } from './lib/cleanup.mjs';
import { fixed, median, table } from './lib/figures.mjs';

const URL_OF = 'https://media.example/show/index.m3u8';

await runMain(async ({ wasm, segments, runs }) => {
  const text = playlist(0, segments);
  const { exports } = await WebAssembly.instantiate(readFileSync(wasm)).then(({ instance }) => instance);
  const write = (list) => {
    const bytes = new TextEncoder().encode(list);
    const at = exports.reserve(bytes.length);
    new Uint8Array(exports.memory.buffer, at, bytes.length).set(bytes);
  };
  // hls.js expects a browser's name for what is global.
  globalThis.self = globalThis;
  const { M3U8Parser } = await import('hls.js');
  const { Parser } = await import('m3u8-parser');
  write(text);
  const readers = {
    Potluck: () => exports.parse(1),
    'hls.js': () => M3U8Parser.parseLevelPlaylist(text, URL_OF, 0, 'main', 0, null).fragments.length,
    'm3u8-parser': () => {
      const parser = new Parser();
      parser.push(text);
      parser.end();
      return parser.manifest.segments.length;
    },
  };
  console.log(`    ${segments} segments, ${fixed(text.length / 1e6, 2)} MB, ${runs} runs each, by turns`);
  const times = new Map(Object.keys(readers).map((name) => [name, []]));
  // The first runs also pay for compiling.
  for (let run = -3; run < runs; run++) {
    for (const [name, read] of Object.entries(readers)) {
      const begun = performance.now();
      const found = read();
      const took = performance.now() - begun;
      if (found !== segments) throw new Error(`${name} found ${found} of ${segments} segments`);
      if (run >= 0) times.get(name).push((took * 1e6) / segments);
    }
  }
  const rows = [['ns a segment', 'median', 'least', 'most']];
  for (const [name, all] of times) rows.push([name, fixed(median(all)), fixed(Math.min(...all)), fixed(Math.max(...all))]);
  console.log(table(rows));
  exports.parse(1);
  console.log(`    Potluck, heap a segment beyond its text: ${fixed(exports.heap() / segments, 1)} bytes`);

  // A live list of the same length that lost its first segment and got another.
  const reloads = [];
  for (let run = 1; run <= runs; run++) {
    write(playlist(run, segments));
    const begun = performance.now();
    const added = exports.reload();
    reloads.push((performance.now() - begun) * 1000);
    if (added !== 1) throw new Error(`a reload added ${added} segments`);
  }
  console.log(`    Potluck, a reload that adds a segment: ${fixed(median(reloads))} µs`);
});

/** A rich list: a date for each segment, a key for every 150, absolute URLs. */
function playlist(first, count) {
  const lines = ['#EXTM3U', '#EXT-X-VERSION:6', '#EXT-X-TARGETDURATION:4', `#EXT-X-MEDIA-SEQUENCE:${first}`];
  for (let sequence = first; sequence < first + count; sequence++) {
    if (sequence % 150 === 0 || sequence === first) {
      lines.push(`#EXT-X-KEY:METHOD=AES-128,URI="https://keys.example/title/k${Math.floor(sequence / 150)}.bin",IV=0x${sequence.toString(16).padStart(32, '0')}`);
    }
    lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(Date.UTC(2026, 0, 1) + sequence * 4000).toISOString()}`);
    lines.push('#EXTINF:4.000,', `https://cdn.media.example/title/v5/1080p/segment-${String(sequence).padStart(8, '0')}.ts`);
  }
  return `${lines.join('\n')}\n`;
}
