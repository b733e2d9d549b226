// What key systems call themselves, and what they put into playlists.

import type { DrmConfiguration } from './drm-options.js';
import { unescapeText } from './entities.js';
import type { ModuleKey } from './protocol.js';

export interface KeySystem {
  /** In the element's property `drm`. */
  name: Exclude<keyof DrmConfiguration, 'licenseRequest'>;
  /** For people. */
  label: string;
  /** For `requestMediaKeySystemAccess`, the best first. */
  names: string[];
  /** Its system id, in hexadecimal (https://dashif.org/identifiers/content_protection/). */
  id: string;
  /** Other values of `KEYFORMAT` than `urn:uuid:` and the id. */
  formats: string[];
}

/** The ones that this player knows; clear keys last. */
export const SYSTEMS: readonly KeySystem[] = [
  { name: 'com.widevine.alpha', label: 'Widevine', names: ['com.widevine.alpha'], id: 'edef8ba979d64acea3c827dcd51d21ed', formats: ['com.widevine'] },
  {
    name: 'com.microsoft.playready', label: 'PlayReady', names: ['com.microsoft.playready.recommendation', 'com.microsoft.playready'],
    id: '9a04f07998404286ab92e65be0885f95', formats: ['com.microsoft.playready'],
  },
  {
    name: 'com.apple.fps', label: 'FairPlay', names: ['com.apple.fps', 'com.apple.fps.1_0'],
    id: '94ce86fb07ff4f43adb893d2fa968ca2', formats: ['com.apple.streamingkeydelivery'],
  },
  {
    name: 'org.w3.clearkey', label: 'ClearKey', names: ['org.w3.clearkey'],
    id: '1077efecc0b24d02ace33c1e52e2fb4b', formats: ['org.w3.clearkey', 'urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e'],
  },
];

/** The key system of a `KEYFORMAT`. */
export function systemOf(format: string): KeySystem | null {
  const name = format.toLowerCase();
  const id = name.replace(/^urn:uuid:/, '').replace(/-/g, '');
  return SYSTEMS.find((system) => system.id === id || system.formats.includes(name)) ?? null;
}

/** The `pssh` box that a key's `data:` URI has, or that is made of its content; null for other URIs. */
export function initDataOf(system: KeySystem, uri: string): Uint8Array<ArrayBuffer> | null {
  const data = dataOf(uri);
  if (!data || data.length === 0) return null;
  if (isPssh(data)) return data;
  // FairPlay's data is not for the browser, and PlayReady's comes without its box.
  if (system.name !== 'com.microsoft.playready') return null;
  const box = new Uint8Array(32 + data.length);
  const view = new DataView(box.buffer);
  view.setUint32(0, box.length);
  box.set([0x70, 0x73, 0x73, 0x68], 4);
  box.set(bytesOf(system.id), 12);
  view.setUint32(28, data.length);
  box.set(data, 32);
  return box;
}

/** Ids of a key, in lower-case hexadecimal, as far as the playlist tells them. */
export function keyIdsOf({ keyId, uri }: ModuleKey): string[] {
  const ids = [keyId.replace(/^0x/i, '').replace(/-/g, '').toLowerCase()].filter((id) => id.length === 32);
  const data = dataOf(uri);
  if (!data || !isPssh(data)) return ids;
  const view = new DataView(data.buffer);
  const hex = (from: number): string => [...data.subarray(from, from + 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  if (data[8] === 1 && data.length >= 32) {
    // Version 1 lists them (W3C "cenc" Initialization Data Format §4).
    for (let at = 32; at + 16 <= data.length && ids.length < view.getUint32(28); at += 16) ids.push(hex(at));
  } else if (hex(12) === SYSTEMS[0]?.id) {
    // Widevine's: field 2 of a protocol buffer, as far as its fields are such.
    for (let at = 32; at + 2 <= data.length;) {
      const [tag = 0, length = 0] = data.subarray(at, at + 2);
      if (tag === 0x12 && length === 16) ids.push(hex(at + 2));
      if ((tag & 7) === 0) at += 2;
      else if ((tag & 7) === 2 && length < 0x80) at += 2 + length;
      else break;
    }
  }
  return ids;
}

/** What a licence server is sent. PlayReady's message is an envelope with the challenge and its headers. */
export function challengeOf(system: KeySystem, message: ArrayBuffer): { body: BodyInit; headers: Record<string, string> } {
  if (system.name === 'org.w3.clearkey') return { body: message, headers: { 'content-type': 'application/json' } };
  if (system.name !== 'com.microsoft.playready') return { body: message, headers: { 'content-type': 'application/octet-stream' } };
  const text = new TextDecoder('utf-16le').decode(message);
  const headers: Record<string, string> = { 'content-type': 'text/xml; charset=utf-8' };
  if (!text.includes('PlayReadyKeyMessage')) return { body: message, headers };
  const inside = (xml: string, tag: string): string[] => [...xml.matchAll(new RegExp(`<${tag}(?:\\s[^>]*)?>([^]*?)</${tag}>`, 'g'))].map(([, content = '']) => content);
  for (const header of inside(text, 'HttpHeader')) {
    const [name, value = ''] = [inside(header, 'name')[0], inside(header, 'value')[0]];
    if (name) headers[unescapeText(name).toLowerCase()] = unescapeText(value);
  }
  const challenge = inside(text, 'Challenge')[0]?.trim();
  return { body: challenge ? fromBase64(challenge) : message, headers };
}

/** Bytes in hexadecimal; dashes are skipped. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replace(/^0x/i, '').replace(/[^0-9a-f]/gi, '');
  return Uint8Array.from({ length: digits.length >> 1 }, (_, n) => parseInt(digits.slice(2 * n, 2 * n + 2), 16));
}

function isPssh(data: Uint8Array): boolean {
  return data.length >= 32 && data[4] === 0x70 && data[5] === 0x73 && data[6] === 0x73 && data[7] === 0x68;
}

function dataOf(uri: string): Uint8Array<ArrayBuffer> | null {
  const found = /^data:[^,]*;base64,(.*)$/is.exec(uri);
  try {
    return found ? fromBase64(decodeURIComponent(found[1] ?? '')) : null;
  } catch {
    return null;
  }
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replace(/\s/g, '')), (character) => character.charCodeAt(0));
}
