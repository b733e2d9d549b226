// Numbers, and how they are printed.

/** The middle of `values`; what is no number counts as later than all. Null when there are none. */
export function median(values) {
  if (values.length === 0) return null;
  const sorted = values.map((value) => (Number.isFinite(value) ? value : Infinity)).sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const value = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return Number.isFinite(value) ? value : null;
}

export function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

/**
 * How often the origin sent each of `segments` (`{ requests, bytes, size }`), over those that it was asked for at all:
 * `{ byRequests, byBytes, segments }`.
 */
export function copies(segments) {
  const asked = segments.filter(({ requests }) => requests > 0);
  if (asked.length === 0) return { byRequests: null, byBytes: null, segments: 0 };
  return {
    byRequests: sum(asked.map(({ requests }) => requests)) / asked.length,
    byBytes: sum(asked.map(({ bytes }) => bytes)) / sum(asked.map(({ size }) => size)),
    segments: asked.length,
  };
}

/** With so many decimals; a dash for what was not measured. */
export function fixed(value, decimals = 0) {
  return typeof value === 'number' && Number.isFinite(value) ? value.toFixed(decimals) : '–';
}

/** Rows of cells as a table: the first row is the heading, the first column is left-aligned. */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => `    ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column] + 2))).join('')}`).join('\n');
}
