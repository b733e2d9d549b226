// The demo's front page: titles to choose from, the player, and what the swarm does, live.

import { PotluckPlayer } from '../public/index.js';
import { drawSegments, formatBytes, formatRate } from './segment-map.js';

interface Title {
  id: string;
  title: string;
  src: string;
  live: boolean;
}

/** Why there are no peers, in words for people. */
const PEER_STATES: Record<string, string> = {
  'off': 'sharing is off',
  'no-tracker': 'no tracker is set',
  'webrtc-unavailable': 'this browser has no WebRTC',
  'tracker-unreachable': 'the tracker does not answer',
  'tracker-refused': 'the tracker refused',
  'connecting': 'looking for people…',
  'alone': 'nobody else is here yet',
  'few': 'too few are here yet',
  'connected': 'connected',
};

const player = findPlayer();
const query = new URLSearchParams(location.search);
let titles: Title[] = [];
let current: Title | null = null;
let given = { bytes: 0, at: performance.now() };

const tracker = new URL('/announce', location.href);
tracker.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
player.trackers = query.get('trackers') ?? tracker.href;
for (const name of ['p2p', 'swarm', 'ice-servers', 'upload-limit']) {
  const value = query.get(name);
  if (value !== null) player.setAttribute(name, value);
}

player.addEventListener('statschange', showStats);
player.addEventListener('timeupdate', showSegments);
player.addEventListener('resize', showStats);
player.addEventListener('potluckwarning', (event) => {
  note(event.detail.message, false);
});
addEventListener('popstate', () => {
  choose(new URLSearchParams(location.search).get('title'));
});

loadTitles().catch((cause: unknown) => {
  note(`The list of titles could not be loaded: ${cause instanceof Error ? cause.message : String(cause)}`, true);
});

async function loadTitles(): Promise<void> {
  const response = await fetch('/api/titles');
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  titles = (await response.json()) as Title[];
  choose(query.get('title'));
}

function choose(id: string | null): void {
  const title = titles.find((candidate) => candidate.id === id) ?? titles[0];
  if (!title) {
    note('This server has no titles.', true);
    return;
  }
  if (title.id !== current?.id) {
    current = title;
    byId('note').hidden = true;
    given = { bytes: 0, at: performance.now() };
    player.heading = title.title;
    player.src = title.src;
  }
  document.title = `${title.title} · Potluck`;
  (byId('another') as HTMLAnchorElement).href = link(title);
  byId('titles').replaceChildren(...titles.map(chip));
}

function chip(title: Title): HTMLAnchorElement {
  const anchor = document.createElement('a');
  anchor.href = link(title);
  if (title === current) anchor.setAttribute('aria-current', 'true');
  if (title.live) anchor.append(Object.assign(document.createElement('b'), { textContent: 'LIVE' }));
  anchor.append(Object.assign(document.createElement('span'), { textContent: title.title }));
  anchor.addEventListener('click', (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState(null, '', anchor.href);
    choose(title.id);
  });
  return anchor;
}

/** This page with this title, and the other settings as they are. */
function link(title: Title): string {
  const url = new URL(location.href);
  url.searchParams.set('title', title.id);
  return url.href;
}

function showStats(): void {
  const { stats } = player;
  const bytes = stats.peerBytes + stats.httpBytes;
  text('offload', bytes === 0 ? '–' : `${Math.round((100 * stats.peerBytes) / bytes)} %`);
  byId('split-people').style.flexGrow = String(stats.peerBytes);
  byId('split-server').style.flexGrow = String(stats.httpBytes);
  text('from-people', `${formatBytes(stats.peerBytes)} from people`);
  text('from-server', `${formatBytes(stats.httpBytes)} from the server`);

  text('peers', String(stats.peers));
  text('peer-state', stats.trackerFailure ?? PEER_STATES[stats.peerState] ?? stats.peerState);
  text('given', formatBytes(stats.uploadedBytes));
  const now = performance.now();
  const rate = (8000 * Math.max(0, stats.uploadedBytes - given.bytes)) / Math.max(1, now - given.at);
  text('given-rate', rate > 0 ? formatRate(rate) : '');
  given = { bytes: stats.uploadedBytes, at: now };

  text('buffer', `${stats.bufferAhead.toFixed(0)} s`);
  text('rebuffers', stats.rebuffers === 0 ? 'no interruption' : `${stats.rebuffers} interruptions, ${stats.rebufferSeconds.toFixed(1)} s`);
  const live = player.streamType === 'live';
  const size = player.videoHeight > 0 ? `${player.videoHeight}p` : '–';
  text('latency-name', live ? 'Behind live' : 'Quality');
  text('latency', live ? (Number.isFinite(stats.liveLatency) ? `${stats.liveLatency.toFixed(1)} s` : '–') : size);
  text('quality', `${live && player.videoHeight > 0 ? `${size}, ` : ''}server ${formatRate(stats.bandwidth)}`);

  byId('nobody').hidden = stats.peerList.length > 0;
  byId('people').replaceChildren(...stats.peerList.map(({ id, receivedBytes, sentBytes, rttMs }) => {
    const row = document.createElement('tr');
    for (const cell of [`#${id}`, formatBytes(receivedBytes), formatBytes(sentBytes), rttMs > 0 ? `${Math.round(rttMs)} ms` : '–']) row.insertCell().textContent = cell;
    return row;
  }));
  showSegments();
}

function showSegments(): void {
  const { segments } = player.stats;
  byId('segments-text').hidden = segments.length > 0;
  drawSegments(byId('segments'), segments, player.currentTime);
}

function note(message: string, bad: boolean): void {
  const element = byId('note');
  element.textContent = message;
  element.classList.toggle('bad', bad);
  element.hidden = false;
}

function text(id: string, value: string): void {
  const element = byId(id);
  if (element.textContent !== value) element.textContent = value;
}

function findPlayer(): PotluckPlayer {
  const element = byId('player');
  if (!(element instanceof PotluckPlayer)) throw new Error('another script has taken the name potluck-player');
  return element;
}

function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element #${id}`);
  return element;
}
