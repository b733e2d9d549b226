// A time line of what is held around the playhead, coloured by where it came from.

import type { EngineStats } from '../internal/protocol.js';

/** Seconds shown before and behind the playhead. */
const BEHIND = 30;
const AHEAD = 90;

export function drawBuffer(canvas: HTMLCanvasElement, segments: EngineStats['segments'], position: number): void {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio];
  if (width === 0 || height === 0) return;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext('2d');
  if (!context) return;
  context.clearRect(0, 0, width, height);
  const style = getComputedStyle(canvas);
  const [people, server, ink] = ['--_people-color', '--_server-color', '--_ink'].map((name) => style.getPropertyValue(name).trim() || '#888') as [string, string, string];
  const x = (at: number): number => ((at - position + BEHIND) / (BEHIND + AHEAD)) * width;
  for (const { start, duration, httpBytes, peerBytes, complete } of segments) {
    const bytes = httpBytes + peerBytes;
    const [left, right] = [x(start) + ratio / 2, x(start + duration) - ratio / 2];
    if (bytes === 0 || right < 0 || left > width) continue;
    context.globalAlpha = complete ? 1 : 0.5;
    const border = height * (1 - peerBytes / bytes);
    context.fillStyle = server;
    context.fillRect(left, 0, right - left, border);
    context.fillStyle = people;
    context.fillRect(left, border, right - left, height - border);
  }
  context.globalAlpha = 1;
  context.fillStyle = ink;
  context.fillRect(x(position) - ratio, 0, 2 * ratio, height);
}
