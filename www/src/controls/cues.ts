// Chapters and thumbnails: text tracks, of the stream or the page.

import type { Control } from './control.js';

type Video = Control['stage']['video'];

function tracks(video: Video, wanted: (track: TextTrack) => boolean): VTTCue[] {
  const track = [...video.textTracks].find(wanted);
  if (!track) return [];
  // A track that is off has no cues; hidden ones are read and not shown.
  if (track.mode === 'disabled') track.mode = 'hidden';
  return [...(track.cues ?? [])] as VTTCue[];
}

/** Cues of the first track of kind `chapters`. */
export function chapters(video: Video): VTTCue[] {
  return tracks(video, (track) => track.kind === 'chapters');
}

/** Title of the chapter at this second. */
export function titleAt(video: Video, at: number): string {
  return chapters(video).find((cue) => cue.startTime <= at && at < cue.endTime)?.text ?? '';
}

/** CSS that shows the thumbnail for this second: of the metadata track labelled `thumbnails`, whose cues are `URL#xywh=x,y,w,h`. */
export function thumbnailAt(video: Video, at: number): Partial<CSSStyleDeclaration> | null {
  const cues = tracks(video, (track) => track.kind === 'metadata' && track.label === 'thumbnails');
  const cue = cues.filter((one) => one.startTime <= at).at(-1);
  if (!cue) return null;
  const [, address = '', x = '0', y = '0', width, height] = /^([^#]*)(?:#xywh=(?:pixel:)?(\d+),(\d+),(\d+),(\d+))?/.exec(cue.text.trim()) ?? [];
  let url: URL;
  try {
    url = new URL(address, [...video.querySelectorAll('track')].find((track) => track.label === 'thumbnails')?.src ?? document.baseURI);
  } catch {
    return null;
  }
  if (!['http:', 'https:', 'blob:', 'data:'].includes(url.protocol)) return null;
  return {
    width: `${width ?? 160}px`,
    height: `${height ?? 90}px`,
    backgroundImage: `url("${url.href.replaceAll('"', '%22')}")`,
    backgroundPosition: `-${x}px -${y}px`,
    backgroundSize: width ? 'auto' : 'cover',
  };
}
