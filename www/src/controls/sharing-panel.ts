// <potluck-sharing-panel>: who shares with whom, how much, and the viewer's own say in it.

import { Control, define } from './control.js';
import { el } from './dom.js';
import { drawBuffer } from './buffer-map.js';
import { LIMITS, chooseLimit, chooseSharing } from './sharing-choice.js';
import { fillSheet } from './sheet.js';
import { SwarmMap } from './swarm-map.js';
import type { Key } from './words.js';

const STATES: Record<string, Key> = {
  'off': 'stateOff', 'no-tracker': 'stateNoTracker', 'webrtc-unavailable': 'stateNoWebrtc', 'tracker-unreachable': 'stateUnreachable',
  'tracker-refused': 'stateRefused', 'connecting': 'stateConnecting', 'alone': 'stateAlone', 'few': 'stateFew', 'connected': 'stateConnected',
};

export class SharingPanel extends Control {
  protected override build(): void {
    const { video, words } = this.stage;
    const body = fillSheet(this, this.stage, 'sharing');

    const toggle = el('input', { type: 'checkbox', role: 'switch', part: 'switch' });
    const share = el('label', { class: 'line' }, el('span', {}, words.say('share')), toggle);
    const why = el('p', { class: 'note' }, words.say('shareWhy'));
    const state = el('p', { class: 'note', role: 'status' });

    const people = el('b');
    const server = el('b');
    const split = el('div', { class: 'split', 'aria-hidden': 'true' }, el('i'));
    const legend = el('p', { class: 'legend' }, el('span', { class: 'people' }, people, ' ', words.say('fromPeople')), el('span', { class: 'server' }, server, ' ', words.say('fromServer')));
    const given = el('p');

    const limit = el('select', { part: 'select' }, ...LIMITS.map((rate) => el('option', { value: String(rate) },
      rate === 0 ? words.say('noLimit') : rate < 1000 ? words.say('kbit', { rate }) : words.say('mbit', { rate: rate / 1000 }))));
    const limitLine = el('label', { class: 'line' }, el('span', {}, words.say('uploadLimit')), limit);

    const buffer = el('canvas', { class: 'buffer-map', role: 'img', 'aria-label': words.say('bufferMap') });
    const swarm = new SwarmMap(words);
    body.append(share, why, state, split, legend, given, limitLine, buffer, swarm.drawing);

    toggle.addEventListener('change', () => {
      chooseSharing(this.stage, toggle.checked);
    });
    limit.addEventListener('change', () => {
      chooseLimit(video, Number(limit.value));
    });

    const show = (): void => {
      if (this.hidden) return;
      const { stats } = video;
      const { peerBytes, httpBytes, uploadedBytes, peers, peerState } = stats;
      toggle.checked = !['off', 'ask'].includes(video.consent) && video.p2p !== 'off';
      // A page that shares nothing leaves nothing to choose.
      toggle.disabled = video.p2p === 'off';
      state.textContent = words.say(STATES[peerState] ?? 'stateConnecting');
      people.textContent = `${words.percent(peerBytes / Math.max(1, peerBytes + httpBytes))} · ${words.bytes(peerBytes)}`;
      server.textContent = words.bytes(httpBytes);
      split.style.setProperty('--_people', `${(100 * peerBytes) / Math.max(1, peerBytes + httpBytes)}%`);
      const count = stats.peerList.filter(({ sentBytes }) => sentBytes > 0).length;
      given.textContent = uploadedBytes === 0 ? words.say('givenNothing')
        : words.say('given', { bytes: words.bytes(uploadedBytes), count: count === 1 ? words.say('viewer') : words.say('viewers', { count: Math.max(count, 1) }) });
      const nearest = LIMITS.find((rate) => rate === (video.uploadLimit ?? 0));
      if (nearest !== undefined) limit.value = String(nearest);
      drawBuffer(buffer, stats.segments, video.currentTime);
      swarm.show(stats, peers);
    };
    this.follow(['statschange'], show);
    new MutationObserver(show).observe(this, { attributeFilter: ['hidden'] });
  }
}

define('potluck-sharing-panel', SharingPanel);
