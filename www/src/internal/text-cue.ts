// VTTCues out of times, WebVTT cue settings and text.

import type { TextCue } from './text-protocol.js';

const ALIGNMENTS: ReadonlySet<string> = new Set(['start', 'center', 'end', 'left', 'right']);

/** A cue; one without an end goes on for as long as a number can say. */
export function cueOf({ start, end, id, settings, text }: Pick<TextCue, 'start' | 'end' | 'id' | 'settings' | 'text'>): VTTCue {
  const cue = new VTTCue(Math.max(0, start), Math.min(end, Number.MAX_VALUE), text);
  cue.id = id;
  for (const setting of settings.split(/\s+/)) {
    const [name = '', value = ''] = setting.split(/:(.*)/s);
    const [number = '', anchor = ''] = value.split(',');
    const amount = parseFloat(number);
    try {
      set(cue, name, value, amount, number.endsWith('%'), anchor);
    } catch {
      // A value that the browser does not take: the setting is left out.
    }
  }
  return cue;
}

function set(cue: VTTCue, name: string, value: string, amount: number, percent: boolean, anchor: string): void {
  if (name === 'vertical' && (value === 'rl' || value === 'lr')) {
    cue.vertical = value;
  } else if (name === 'align') {
    const align = value === 'middle' ? 'center' : value;
    if (ALIGNMENTS.has(align)) cue.align = align as AlignSetting;
  } else if (!Number.isFinite(amount)) {
    return;
  } else if (name === 'size') {
    cue.size = amount;
  } else if (name === 'line') {
    cue.snapToLines = !percent;
    cue.line = amount;
    if (anchor !== '') cue.lineAlign = anchor as LineAlignSetting;
  } else if (name === 'position') {
    cue.position = amount;
    if (anchor !== '') cue.positionAlign = anchor as PositionAlignSetting;
  }
}
