import type { EngineStats } from '../internal/protocol.js';

type Segment = EngineStats['segments'][number];

/** Draws each segment as a bar, coloured by where its bytes came from, and the playhead over them. */
export function drawSegments(into: HTMLElement, segments: readonly Segment[], position: number): void {
  while (into.children.length > segments.length + 1) into.firstElementChild?.remove();
  let playhead = into.querySelector('hr');
  if (!playhead) {
    playhead = document.createElement('hr');
    into.append(playhead);
  }
  while (into.children.length < segments.length + 1) into.prepend(document.createElement('i'));
  segments.forEach((segment, index) => {
    const bar = into.children[index];
    if (!(bar instanceof HTMLElement)) return;
    const bytes = segment.httpBytes + segment.peerBytes;
    bar.style.flexGrow = String(Math.max(0.1, segment.duration));
    bar.style.setProperty('--from-people', `${bytes === 0 ? 0 : Math.round((100 * segment.peerBytes) / bytes)}%`);
    bar.style.setProperty('--held', bytes === 0 ? '0' : segment.complete ? '1' : '.45');
    bar.title = `segment ${segment.sequence}, ${Math.round(segment.start)} s: ${formatBytes(segment.peerBytes)} from people, ${formatBytes(segment.httpBytes)} from the server`;
  });
  const first = segments[0];
  const last = segments.at(-1);
  const end = last ? last.start + last.duration : 0;
  const inside = first !== undefined && position >= first.start && position <= end;
  playhead.hidden = !inside;
  if (inside) playhead.style.left = `${(100 * (position - first.start)) / Math.max(0.1, end - first.start)}%`;
}

/** `1.4 MB`; powers of 1000. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** `1.4 Mbit/s`. */
export function formatRate(bitsPerSecond: number): string {
  if (bitsPerSecond >= 1e6) return `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`;
  return `${Math.round(bitsPerSecond / 1e3)} kbit/s`;
}
