// What each player showed on each line: bitrate over time, and below it the buffer.

const WIDTH = 900;
const PANEL = 130;
const BUFFER = 50;
const LEFT = 60;
const SECONDS = 330;
const COLOURS = { line: '#d5dae1', ours: '#e4572e', theirs: '#4c78a8' };

/** The picture of `results`, each `{ trace, samples, theirs }`. */
export function draw(traces, ladder, results) {
  const parts = [];
  const height = 40 + results.length * (PANEL + BUFFER + 60);
  let y = 40;
  for (const { trace, samples, theirs } of results) {
    const { kbps, model } = traces.find(({ name }) => name === trace);
    parts.push(text(LEFT, y - 8, trace, 'font-weight="600"'), text(LEFT + 100, y - 8, model.slice(0, 120), 'fill="#667" font-size="10"'));
    const most = 1.15 * Math.max(...ladder) / 1000;
    const rate = (value) => y + PANEL - (Math.min(value, most) / most) * PANEL;
    parts.push(path(kbps.flatMap((value, second) => [[second, rate(value)], [second + 1, rate(value)]]), COLOURS.line, 1.5));
    for (const bps of ladder) parts.push(text(4, rate(bps / 1000) + 4, `${bps / 1e6} M`, 'font-size="9" fill="#99a"'));
    const deepest = Math.max(60, ...[...samples, ...theirs].map(({ ahead }) => ahead));
    const base = y + PANEL + 14 + BUFFER;
    for (const [list, colour] of [[theirs, COLOURS.theirs], [samples, COLOURS.ours]]) {
      const shown = list.filter(({ variant }) => variant !== null);
      parts.push(path(shown.map(({ at, variant }) => [at, rate(ladder[variant] / 1000)]), colour, 2));
      parts.push(path(list.map(({ at, ahead }) => [at, base - (ahead / deepest) * BUFFER]), colour, 1));
    }
    parts.push(text(4, base - BUFFER + 8, `${Math.round(deepest)} s`, 'font-size="9" fill="#99a"'));
    parts.push(`<line x1="${LEFT}" y1="${base}" x2="${WIDTH}" y2="${base}" stroke="#99a" stroke-width="0.5"/>`);
    y = base + 46;
  }
  const legend = [['the line', '#99a'], ['Potluck', COLOURS.ours], ['hls.js', COLOURS.theirs]];
  const names = legend.map(([name, colour], index) => text(LEFT + index * 90, 16, name, `fill="${colour}" font-weight="600"`));
  names.push(text(LEFT + 300, 16, 'bitrate on screen, and seconds buffered below it', 'fill="#667"'));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH + 20}" height="${height}" font-family="system-ui, sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${names.concat(parts).join('\n')}
</svg>
`;
}

function path(points, colour, width) {
  const x = (second) => (LEFT + (Math.min(second, SECONDS) / SECONDS) * (WIDTH - LEFT)).toFixed(1);
  // Points between two equal ones add nothing.
  const kept = points.filter(([, y], index) => index === 0 || index === points.length - 1 || y !== points[index - 1][1] || y !== points[index + 1][1]);
  const list = kept.map(([second, y], index) => `${index === 0 ? 'M' : 'L'}${x(second)} ${y.toFixed(1)}`).join('');
  return `<path d="${list}" fill="none" stroke="${colour}" stroke-width="${width}"/>`;
}

function text(x, y, what, attributes = '') {
  const safe = what.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x}" y="${y.toFixed(1)}" ${attributes}>${safe}</text>`;
}
