// The element's own attributes, read with tolerance: what cannot be used is left out and named in a warning.

import type { P2pMode } from './protocol.js';
import type { PotluckWarning } from './player-error.js';

/** What the attributes say. */
export interface Options {
  /** What the engine is to do: the attribute, as far as the viewer consents. */
  p2p: P2pMode;
  /** What the attribute says, `on` when it cannot be read. */
  p2pAttribute: P2pAttribute;
  /** Only through TURN servers. */
  relayOnly: boolean;
  uploadLimitBps: number | null;
  /** Bytes given to others in all. */
  uploadBudget: number | null;
  /** Whether to give while the page is hidden. */
  uploadHidden: boolean;
  trackers: string[];
  swarm: string | null;
  swarmToken: string | null;
  minViewers: number;
  /** Bytes that the cache across sessions may take. */
  cacheBytes: number | null;
  hashes: string | null;
  publisherKey: string | null;
  iceServers: RTCIceServer[];
  /** Renditions larger than the element's pixels are not chosen by themselves. */
  sizeCap: boolean;
  warnings: PotluckWarning[];
}

/** Names of the attributes that `readOptions` reads. */
export const OPTION_ATTRIBUTES = ['trackers', 'swarm', 'swarm-token', 'min-viewers', 'ice-servers', 'p2p', 'upload-limit', 'upload-budget', 'upload-hidden', 'consent', 'cache', 'hashes', 'publisher-key', 'size-cap'] as const;

export type OptionAttribute = (typeof OPTION_ATTRIBUTES)[number];

/** Values of `p2p`. */
export type P2pAttribute = P2pMode | 'relay';

const P2P_VALUES: readonly P2pAttribute[] = ['on', 'off', 'download-only', 'relay'];

export function readOptions(attribute: (name: OptionAttribute) => string | null): Options {
  const warnings: PotluckWarning[] = [];
  const warn = (code: string, message: string): void => {
    warnings.push({ code, message });
  };

  const isOn = (name: OptionAttribute): boolean => attribute(name)?.trim().toLowerCase() !== 'off';
  const readAmount = (name: OptionAttribute, unit: string, factor: number): number | null => {
    const text = attribute(name)?.trim() ?? '';
    if (text === '') return null;
    const amount = Math.round(Number(text) * factor);
    if (Number.isFinite(amount) && amount >= 0) return amount;
    warn(`${name}-value`, `${name}="${text}" is not a number of ${unit}; it does not count`);
    return null;
  };

  const asked = attribute('p2p')?.trim().toLowerCase() ?? '';
  const known = P2P_VALUES.find((value) => value === asked);
  const p2p = known ?? 'on';
  if (!known && asked !== '') warn('p2p-value', `p2p="${asked}" is not known: it has to be on, off, download-only or relay; taken as on`);
  const iceServers = readIceServers(attribute('ice-servers'), warn);
  const relayOnly = p2p === 'relay';
  if (relayOnly && iceServers.length === 0) warn('relay-without-server', 'p2p="relay" finds no peers without a TURN server in ice-servers');
  const consent = readConsent(attribute('consent'), warn);
  const wish = p2p === 'relay' ? 'on' : p2p;
  const publisherKey = attribute('publisher-key')?.trim() || null;
  const wrongKey = publisherKey !== null && !/^[0-9a-f]{64}$/i.test(publisherKey);
  if (wrongKey) warn('publisher-key-value', 'publisher-key has to be 64 hexadecimal digits, as `potluck keygen` prints them; until it is, nothing is shared');

  return {
    p2p: wrongKey || consent === 'off' || consent === 'ask' ? 'off' : consent === 'download-only' && wish === 'on' ? 'download-only' : wish,
    p2pAttribute: p2p,
    relayOnly,
    uploadLimitBps: readAmount('upload-limit', 'kbit/s', 1e3),
    uploadBudget: readAmount('upload-budget', 'MB', 1e6),
    uploadHidden: isOn('upload-hidden'),
    trackers: (attribute('trackers') ?? '').split(/\s+/).filter((entry) => entry !== ''),
    swarm: attribute('swarm')?.trim() || null,
    // An empty one is not none: a token will come.
    swarmToken: attribute('swarm-token')?.trim() ?? null,
    minViewers: Number(attribute('min-viewers')),
    cacheBytes: readAmount('cache', 'MB', 1e6),
    hashes: readUrl(attribute('hashes'), warn),
    publisherKey: wrongKey ? null : publisherKey,
    iceServers,
    sizeCap: isOn('size-cap'),
    warnings,
  };
}

/** `ask`: not before somebody has said `granted`, `download-only` or `off`. */
export type Consent = 'granted' | 'download-only' | 'off' | 'ask';

const CONSENT_VALUES: readonly Consent[] = ['granted', 'download-only', 'off', 'ask'];

/** What cannot be read is taken for a question: nobody is exposed by a typing error. */
function readConsent(text: string | null, warn: Warn): Consent {
  const asked = text?.trim().toLowerCase() ?? '';
  if (asked === '') return 'granted';
  const known = CONSENT_VALUES.find((value) => value === asked);
  if (!known) warn('consent-value', `consent="${asked}" is not known: it has to be granted, download-only, off or ask; taken as ask`);
  return known ?? 'ask';
}

type Warn = (code: string, message: string) => void;

function readUrl(text: string | null, warn: Warn): string | null {
  if (text === null || text.trim() === '') return null;
  try {
    return new URL(text, document.baseURI).href;
  } catch {
    warn('hashes-url', `hashes="${text}" is no URL; hashes of segments are taken from the playlists alone`);
    return null;
  }
}

function readIceServers(text: string | null, warn: Warn): RTCIceServer[] {
  if (text === null || text.trim() === '') return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    warn('ice-servers-json', 'ice-servers is not JSON; connections are made without servers');
    return [];
  }
  const entries: unknown[] = Array.isArray(value) ? value : [value];
  const servers = entries.filter(isIceServer);
  if (servers.length < entries.length) {
    warn('ice-servers-entry', 'an entry of ice-servers is left out: each has to be an object whose urls begin with stun: or turn:, with username and credential for turn:');
  }
  return servers;
}

function isIceServer(entry: unknown): entry is RTCIceServer {
  if (typeof entry !== 'object' || entry === null || !('urls' in entry)) return false;
  const urls: unknown[] = Array.isArray(entry.urls) ? entry.urls : [entry.urls];
  if (urls.length === 0 || !urls.every((url) => typeof url === 'string' && /^(stuns?|turns?):\S+$/i.test(url))) return false;
  // RTCPeerConnection throws for a TURN server without these, and one bad entry would cost every connection.
  const turn = urls.some((url) => /^turn/i.test(url as string));
  return !turn || ('username' in entry && typeof entry.username === 'string' && 'credential' in entry && typeof entry.credential === 'string');
}
