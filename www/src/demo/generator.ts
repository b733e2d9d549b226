// The embed generator: paste an address, see it play, choose, copy.

import { PotluckPlayer } from '../public/index.js';
import { type Found, lookUp } from './addresses.js';
import { type Choice, iframeSnippet, packageSnippet, tagSnippet } from './snippets.js';

const WIDTHS: Record<string, number | null> = { small: 400, medium: 640, large: 960, responsive: null };

const form = find('form', HTMLFormElement);
const player = find('player', PotluckPlayer);
const place = { script: new URL('./potluck.js', location.href).href, embed: new URL('./embed', location.href).href };
let found: Found | null = null;
let asked = 0;

form.addEventListener('submit', (event) => {
  event.preventDefault();
  open(value('address'));
});
form.addEventListener('input', (event) => {
  if ((event.target as HTMLElement).id !== 'address') show();
});
for (const button of document.querySelectorAll<HTMLButtonElement>('[data-address]')) {
  button.addEventListener('click', () => {
    field('address').value = new URL(button.dataset['address'] ?? '', location.href).href;
    open(value('address'));
  });
}
player.addEventListener('error', () => {
  if (player.error) tell(`This does not play: ${player.error.message}`, true);
});
player.addEventListener('loadedmetadata', () => {
  if (found) tell(`Plays: ${found.kind}.`, false);
});
find('copy', HTMLButtonElement).addEventListener('click', () => {
  const code = find('code', HTMLTextAreaElement);
  code.select();
  navigator.clipboard.writeText(code.value).then(() => {
    text('copied', 'Copied');
  }, () => {
    text('copied', 'Selected: press Ctrl+C');
  });
});

const query = new URLSearchParams(location.search).get('url');
if (query) field('address').value = query;
open(value('address'));

/** Plays what an address leads to. */
function open(address: string): void {
  const turn = ++asked;
  tell('Looking…', false);
  lookUp(address || new URL('./?title=sample', location.href).href).then((result) => {
    if (turn !== asked) return;
    found = result;
    for (const name of ['trackers', 'title', 'poster'] as const) field(name).value = result[name];
    tell(`This is ${result.kind}.`, false);
    if (player.src === result.src) player.load();
    player.src = result.src;
    show();
  }).catch((cause: unknown) => {
    if (turn !== asked) return;
    found = null;
    show();
    tell(cause instanceof Error ? cause.message : String(cause), true);
  });
}

/** Player, size and code follow what is chosen. */
function show(): void {
  const choice = chosen();
  const code = find('code', HTMLTextAreaElement);
  text('copied', '');
  find('output', HTMLElement).hidden = choice === null;
  if (!choice) return;
  const attributes: [string, string][] = [['heading', choice.title], ['poster', choice.poster], ['trackers', choice.trackers], ['scheme', choice.scheme], ['consent', choice.consent || 'ask'],
    ['min-viewers', choice.minViewers], ['swarm-token', choice.swarmToken]];
  for (const [name, now] of attributes) {
    // What a PeerTube instance has said stays until somebody says something else.
    if (now === '' && (name === 'heading' || name === 'poster') && found?.kind.includes('PeerTube')) continue;
    if (now === '') player.removeAttribute(name);
    else if (player.getAttribute(name) !== now) player.setAttribute(name, now);
  }
  player.loop = choice.loop;
  if (choice.accent === '') player.style.removeProperty('--potluck-accent');
  else player.style.setProperty('--potluck-accent', choice.accent);
  find('frame', HTMLElement).style.maxWidth = choice.width === null ? '' : `${choice.width}px`;
  switch (value('kind')) {
    case 'iframe':
      code.value = iframeSnippet(choice, place);
      break;
    case 'npm':
      code.value = packageSnippet(choice);
      break;
    default:
      code.value = tagSnippet(choice, place);
  }
  code.rows = Math.min(16, code.value.split('\n').length + 2);
}

function chosen(): Choice | null {
  if (!found) return null;
  return {
    src: found.src,
    trackers: value('trackers').trim(), title: value('title').trim(), poster: value('poster').trim(), start: value('start'), stop: value('stop'), subtitle: value('subtitle').trim(),
    accent: isOn('own-accent') ? value('accent') : '', scheme: value('scheme'), consent: value('consent'),
    minViewers: Number(value('min-viewers')) >= 2 ? value('min-viewers') : '', swarmToken: value('swarm-token').trim(),
    autoplay: isOn('autoplay'), muted: isOn('muted'), loop: isOn('loop'), lazy: isOn('lazy'),
    width: WIDTHS[value('size')] ?? null,
  };
}

function tell(message: string, bad: boolean): void {
  text('told', message);
  find('told', HTMLElement).classList.toggle('bad', bad);
}

function value(name: string): string {
  const input = form.elements.namedItem(name);
  return input instanceof RadioNodeList || input instanceof HTMLInputElement || input instanceof HTMLSelectElement ? input.value : '';
}

function isOn(id: string): boolean {
  return field(id).checked;
}

function field(id: string): HTMLInputElement {
  return find(id, HTMLInputElement);
}

function text(id: string, now: string): void {
  find(id, HTMLElement).textContent = now;
}

function find<T extends HTMLElement>(id: string, type: abstract new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`the page has no element #${id}`);
  return element;
}
