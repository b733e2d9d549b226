// Bars, as SVG, written by hand: no library is worth it.

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fixed } from './figures.mjs';

const COLOURS = { potluck: '#e4572e', hlsjs: '#9aa5b1', p2pml: '#4c78a8', 'p2pml-peertube': '#86b3d9' };
const ORDER = Object.keys(COLOURS);
const NAMES_WIDTH = 210;
const BAR_WIDTH = 330;
const BAR_HEIGHT = 18;
const GAP = 6;
const PANEL = NAMES_WIDTH + BAR_WIDTH + 110;

const PANELS = [
  { title: 'copies of each segment that the origin sent (bytes; 1 is the floor)', value: ({ copies }) => copies.byBytes, label: (value) => fixed(value, 2) },
  { title: 'seconds that viewers waited in rebuffers, all together', value: ({ rebufferSeconds }) => rebufferSeconds, label: (value, { rebuffers }) => `${fixed(value, 1)} s (${rebuffers})` },
];

/** Draws all cases that `folder` has results of into `file`; returns `file`. */
export function plot(folder, file) {
  const cases = readdirSync(folder).filter((name) => name.endsWith('.json')).sort().reverse()
    .map((name) => JSON.parse(readFileSync(path.join(folder, name), 'utf8')));
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, draw(cases));
  return file;
}

/** The picture of `cases`, each `{ live, viewers, …, results }`. */
export function draw(cases) {
  const parts = [];
  let y = 24;
  for (const one of cases) {
    const results = [...one.results].sort((a, b) => ORDER.indexOf(a.engine) - ORDER.indexOf(b.engine));
    parts.push(text(12, y, heading(one), 'font-weight="600"'));
    y += 22;
    PANELS.forEach((panel, column) => {
      const x = 12 + column * PANEL;
      parts.push(text(x, y, panel.title, 'fill="#667" font-size="12"'));
      const most = Math.max(...results.map(panel.value), 1);
      results.forEach((result, row) => {
        const top = y + 10 + row * (BAR_HEIGHT + GAP);
        const value = panel.value(result);
        const width = Math.max(1, (value / most) * BAR_WIDTH);
        parts.push(text(x, top + 13, result.name));
        parts.push(`<rect x="${x + NAMES_WIDTH}" y="${top}" width="${fixed(width, 1)}" height="${BAR_HEIGHT}" rx="2" fill="${COLOURS[result.engine]}"/>`);
        parts.push(text(x + NAMES_WIDTH + width + 6, top + 13, panel.label(value, result)));
      });
    });
    y += 10 + results.length * (BAR_HEIGHT + GAP) + 30;
  }
  const width = 12 + PANELS.length * PANEL;
  const height = y - 12;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="system-ui, sans-serif" font-size="13" fill="#223">
<title>Swarms in real browsers: copies per segment from the origin, and rebuffers</title>
<rect width="${width}" height="${height}" fill="#fff"/>
${parts.join('\n')}
</svg>
`;
}

function heading({ live, viewers, staggerMs, uplinkMbps, originLimitMbps }) {
  const limit = originLimitMbps ? `, origin capped at ${originLimitMbps} Mbit/s` : '';
  return `${live ? 'Live' : 'VOD'}, ${viewers} viewers ${staggerMs / 1000} s apart, uplinks of ${uplinkMbps} Mbit/s${limit}`;
}

function text(x, y, words, attributes = '') {
  const safe = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${fixed(x, 1)}" y="${y}" ${attributes}>${safe}</text>`;
}
