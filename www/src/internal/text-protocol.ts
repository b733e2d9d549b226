// What is said about text: subtitles, captions, metadata, chapters, thumbnails. Part of protocol.ts.

/** Engine → page, and text desk (text-desk.ts, in the worker) → page (text-tracks.ts). Seconds. */
export type TextEvent =
  /** All that the title has. Comes again, with another `chosen`, when the language that is heard changes. */
  | { type: 'text-sources'; sources: TextSource[] }
  /** All date ranges of the playlist; comes again when there are new ones. */
  | { type: 'text-date-ranges'; ranges: { start: number; end: number; attributes: Record<string, string> }[] }
  /** `source` is an index into the sources; -1: found in the media, the cues' channels say where they belong. */
  | { type: 'text-cues'; source: number; cues: TextCue[] }
  /** All that a playlist of pictures has. */
  | { type: 'text-thumbnails'; thumbnails: Thumbnail[] }
  /** The thumbnail `index`, decoded; null when that cannot be done. */
  | { type: 'text-picture'; index: number; picture: { image: Blob; width: number; height: number } | null };

/** Page → text desk. */
export type TextRequest =
  | { type: 'text-load-thumbnails'; url: string }
  | { type: 'text-load-picture'; index: number };

/** Engine → text desk. */
export interface TextSegment {
  type: 'text-segment';
  source: number;
  start: number;
  end: number;
  /** To be added to the stream's times; NaN when it is not known. */
  offset: number;
  init: Uint8Array;
  data: Uint8Array;
}

export interface TextSource {
  kind: 'subtitles' | 'captions' | 'chapters' | 'images' | 'iframes';
  /** Empty for captions. */
  url: string;
  /** Those of its tag, as written. */
  attributes: Record<string, string>;
  /** To be shown unless the viewer chooses otherwise. */
  chosen: boolean;
}

/** `Cue` in player-text/src/lib.rs. */
export interface TextCue {
  start: number;
  /** Infinity when it is not known. */
  end: number;
  channel: string;
  id: string;
  settings: string;
  text: string;
  data: Uint8Array;
}

export interface Thumbnail {
  start: number;
  end: number;
  /** Absolute URL of its file, and the bytes in it: first and length, a length of 0 means all. */
  url: string;
  range: [number, number];
  /** Left, top, width, height in the image; a width of 0 means all of it. */
  tile: [number, number, number, number];
  /** The same for the init section; an empty URL means none. */
  initUrl: string;
  initRange: [number, number];
}
