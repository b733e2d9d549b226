// Figures, computed from what the origin counted and what the elements say.

/** Segments that the origin was asked for, without init sections: `{ path, requests, bytes, size }`. */
export function segmentsOf(originStats, folder = '/media/') {
  return Object.entries(originStats.origin.paths)
    .filter(([path]) => path.startsWith(folder) && !path.endsWith('.m3u8') && !path.endsWith('init.mp4'))
    .map(([path, counts]) => ({ path, ...counts }));
}

/** K: how many copies of each segment the origin sent, by bytes, over the segments that it was asked for. */
export function originCopies(originStats, folder) {
  const segments = segmentsOf(originStats, folder);
  const sum = (field) => segments.reduce((total, segment) => total + segment[field], 0);
  return sum('bytes') / sum('size');
}

/** Part of a viewer's media bytes that came from other viewers. */
export function offload({ stats }) {
  return stats.peerBytes / (stats.peerBytes + stats.httpBytes);
}

/** As `93.5 %`. */
export function percent(part) {
  return `${(100 * part).toFixed(1)} %`;
}

/** For assertion messages. */
export function inWords(value) {
  return JSON.stringify(value, null, 1);
}
