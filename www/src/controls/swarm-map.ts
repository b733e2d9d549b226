// The swarm as this viewer knows it, drawn: the server above, the peers around, and lines as thick as what passes along them.

import type { EngineStats } from '../internal/protocol.js';
import { svg } from './dom.js';
import type { Words } from './words.js';

const WIDTH = 320;
const HEIGHT = 180;
const MIDDLE = { x: WIDTH / 2, y: 112 };
const SERVER = { x: WIDTH / 2, y: 22 };

interface Point {
  x: number;
  y: number;
}

export class SwarmMap {
  readonly drawing = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'swarm-map', role: 'img' });
  readonly #words: Words;
  /** Bytes at the last look, to see what passes now: received and sent, by peer; -1 is the server. */
  #before = new Map<number, [number, number]>();

  constructor(words: Words) {
    this.#words = words;
    this.drawing.setAttribute('aria-label', words.say('swarmMap'));
  }

  show({ peerList, httpBytes }: EngineStats, peers: number): void {
    const flows = new Map<number, [number, number]>([[-1, [httpBytes, 0]]]);
    for (const { id, receivedBytes, sentBytes } of peerList) flows.set(id, [receivedBytes, sentBytes]);
    const lines: SVGElement[] = [];
    const dots: SVGElement[] = [];
    const join = (from: Point, id: number, kind: string): void => {
      const [received, sent] = flows.get(id) ?? [0, 0];
      const [receivedBefore, sentBefore] = this.#before.get(id) ?? [received, sent];
      const [down, up] = [received - receivedBefore, sent - sentBefore];
      lines.push(svg('line', { x1: from.x, y1: from.y, x2: MIDDLE.x, y2: MIDDLE.y, class: 'idle' }));
      if (down > 0) lines.push(svg('line', { x1: from.x, y1: from.y, x2: MIDDLE.x, y2: MIDDLE.y, class: `flow ${kind}`, 'stroke-width': thickness(down) }));
      if (up > 0) lines.push(svg('line', { x1: MIDDLE.x, y1: MIDDLE.y, x2: from.x, y2: from.y, class: 'flow given', 'stroke-width': thickness(up) }));
    };
    join(SERVER, -1, 'server');
    const around = peerList.slice(0, 24);
    around.forEach(({ id }, n) => {
      // Around the viewer, with the server's side left free.
      const angle = Math.PI * (-0.12 + (1.24 * (n + 0.5)) / around.length);
      const place = { x: MIDDLE.x + 128 * Math.cos(angle), y: MIDDLE.y + 54 * Math.sin(angle) };
      join(place, id, 'people');
      dots.push(svg('circle', { cx: place.x, cy: place.y, r: 7, class: 'people' }));
    });
    dots.push(svg('rect', { x: SERVER.x - 9, y: SERVER.y - 9, width: 18, height: 18, rx: 4, class: 'server' }), svg('circle', { cx: MIDDLE.x, cy: MIDDLE.y, r: 11, class: 'you' }));
    const label = (at: Point, text: string): SVGElement => {
      const words = svg('text', { x: at.x, y: at.y });
      words.textContent = text;
      return words;
    };
    dots.push(label({ x: SERVER.x + 16, y: SERVER.y + 4 }, this.#words.say('server')), label({ x: MIDDLE.x + 17, y: MIDDLE.y - 8 }, this.#words.say('you')));
    if (peers > around.length) dots.push(label({ x: 8, y: HEIGHT - 6 }, `+${peers - around.length}`));
    this.drawing.replaceChildren(...lines, ...dots);
    this.#before = flows;
  }
}

/** Of a line along which so many bytes passed in a second. */
function thickness(bytes: number): number {
  return Math.min(8, 1.5 + Math.log2(1 + bytes / 20_000));
}
