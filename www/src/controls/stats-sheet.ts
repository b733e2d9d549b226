// <potluck-stats-sheet>: statistics for nerds, to look at and to copy.

import { Control, define } from './control.js';
import { el } from './dom.js';
import type { Recording } from '../internal/recording.js';
import { fillSheet } from './sheet.js';

export class StatsSheet extends Control {
  protected override build(): void {
    const { video, words } = this.stage;
    const body = fillSheet(this, this.stage, 'statistics');
    const list = el('dl');
    const copy = el('button', { type: 'button', class: 'action' }, words.say('copy'));
    const record = el('button', { type: 'button', class: 'action record' }, words.say('record'));
    body.append(list, copy, record, el('p', { class: 'note' }, words.say('recordWhy')));
    this.#offerRecording(record);
    copy.addEventListener('click', () => {
      copyText(JSON.stringify(snapshot(video), null, 2)).then(() => {
        copy.textContent = words.say('copied');
        setTimeout(() => {
          copy.textContent = words.say('copy');
        }, 2000);
      }).catch(() => {
        // Where the clipboard is closed the text can be marked and copied by hand.
        list.replaceChildren(el('pre', { tabindex: '0' }, JSON.stringify(snapshot(video), null, 2)));
      });
    });
    const show = (): void => {
      if (this.hidden || list.firstElementChild?.localName === 'pre') return;
      const values = Object.entries(snapshot(video)).filter(([, value]) => typeof value !== 'object' || value === null);
      list.replaceChildren(...values.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, said(value))]));
    };
    this.follow(['statschange'], show);
    new MutationObserver(show).observe(this, { attributeFilter: ['hidden'] });
  }

  /** A button that begins a recording, and then keeps it as a file. */
  #offerRecording(button: HTMLElement): void {
    const { video, words } = this.stage;
    let recording: Recording | null = null;
    const show = (): void => {
      button.textContent = recording ? `${words.say('saveRecording')} (${words.bytes(recording.bytes)})` : words.say('record');
    };
    button.addEventListener('click', () => {
      const ended = recording;
      recording = null;
      const done = ended ? ended.end().then((file) => {
        download(file, 'potluck-recording.gz');
      }) : video.record().then((begun) => {
        recording = begun;
      });
      void done.catch((cause: unknown) => {
        button.title = String(cause);
      }).then(show);
    });
    this.follow(['statschange'], show);
  }
}

/** The browser's own way to keep a file. */
function download(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  el('a', { href: url, download: name }).click();
  // Browsers ask where to put it first, and read it then.
  setTimeout(() => {
    URL.revokeObjectURL(url);
  }, 60_000);
}

/** What is there to say about a video: its statistics, and what the element itself knows. No address is among it. */
export function snapshot(video: Control['stage']['video']): Record<string, unknown> {
  const quality = video.nativeEl.getVideoPlaybackQuality();
  return {
    streamType: video.streamType,
    size: `${video.videoWidth}x${video.videoHeight}`,
    currentTime: video.currentTime,
    readyState: video.readyState,
    frames: quality.totalVideoFrames,
    droppedFrames: quality.droppedVideoFrames,
    waitingReason: video.waitingReason,
    error: video.error && { code: video.error.code, message: video.error.message },
    warnings: video.warnings,
    ...video.stats,
  };
}

function said(value: unknown): string {
  return typeof value === 'number' && !Number.isInteger(value) ? value.toFixed(2) : String(value);
}

/** Pages in an iframe may lack the permission: then it is refused. */
export async function copyText(text: string): Promise<void> {
  await navigator.clipboard.writeText(text);
}

define('potluck-stats-sheet', StatsSheet);
