// Keeps the lists that menus read (`videoRenditions`, `audioTracks`) in step with the engine, and passes the viewer's choice on.

import type { AudioTrack, AudioTrackList, VideoRenditionList, VideoTrack } from 'media-tracks';
import type { AudioInfo, ToWorker, VariantInfo } from './protocol.js';

/** The part of a media element that media-tracks adds. */
export interface TrackLists {
  readonly videoRenditions: VideoRenditionList;
  readonly audioTracks: AudioTrackList;
  addVideoTrack(kind: string, label?: string, language?: string): VideoTrack;
  addAudioTrack(kind: string, label?: string, language?: string): AudioTrack;
  removeVideoTrack(track: VideoTrack): void;
  removeAudioTrack(track: AudioTrack): void;
}

export class Renditions {
  readonly #lists: TrackLists;
  readonly #send: (message: ToWorker) => void;
  #videoTrack: VideoTrack | null = null;
  #audioTracks: AudioTrack[] = [];
  /** For each entry of `videoRenditions` its index in the engine's variants: what cannot be played is not in the list. */
  #variants: number[] = [];
  /** What the engine was told, or said, last; changes of the lists that come from here are not sent back. */
  #variant = -1;
  #audio = -1;

  constructor(lists: TrackLists, send: (message: ToWorker) => void) {
    this.#lists = lists;
    this.#send = send;
    lists.videoRenditions.addEventListener('change', () => {
      this.#renditionChosen();
    });
    lists.audioTracks.addEventListener('change', () => {
      this.#audioChosen();
    });
  }

  setVariants(variants: VariantInfo[]): void {
    this.#removeVideo();
    const track = this.#lists.addVideoTrack('main');
    track.selected = true;
    this.#videoTrack = track;
    variants.forEach((variant, index) => {
      if (!variant.playable) return;
      const rendition = track.addRendition(
        '', variant.width || undefined, variant.height || undefined, variant.codecs || undefined, variant.bitrate || undefined,
        variant.frameRate || undefined,
      );
      rendition.id = String(variant.id);
      this.#variants.push(index);
    });
  }

  /** The engine's choice shows as -1 (automatic) in the list. */
  setVariant(index: number, automatic: boolean): void {
    this.#variant = automatic ? -1 : index;
    const selected = automatic ? -1 : this.#variants.indexOf(index);
    if (this.#lists.videoRenditions.selectedIndex !== selected) this.#lists.videoRenditions.selectedIndex = selected;
  }

  setAudio(renditions: AudioInfo[]): void {
    this.#removeAudio();
    this.#audioTracks = renditions.map((rendition, index) => {
      const track = this.#lists.addAudioTrack(rendition.default ? 'main' : 'alternative', rendition.name, rendition.language);
      track.id = String(index);
      return track;
    });
  }

  setAudioSelected(index: number): void {
    this.#audio = index;
    this.#audioTracks.forEach((track, n) => {
      track.enabled = n === index;
    });
  }

  clear(): void {
    this.#removeVideo();
    this.#removeAudio();
  }

  #renditionChosen(): void {
    const selected = this.#lists.videoRenditions.selectedIndex;
    const variant = selected < 0 ? -1 : (this.#variants[selected] ?? -1);
    if (variant === this.#variant) return;
    this.#variant = variant;
    this.#send({ type: 'select-variant', index: variant });
  }

  #audioChosen(): void {
    // A menu enables the new track before it disables the old one.
    const index = this.#audioTracks.findIndex((track, n) => track.enabled && n !== this.#audio);
    if (index < 0) return;
    this.#audio = index;
    this.#audioTracks.forEach((track, n) => {
      track.enabled = n === index;
    });
    this.#send({ type: 'select-audio', index });
  }

  #removeVideo(): void {
    if (this.#videoTrack) {
      for (const rendition of [...this.#lists.videoRenditions]) this.#videoTrack.removeRendition(rendition);
      this.#lists.removeVideoTrack(this.#videoTrack);
    }
    this.#videoTrack = null;
    this.#variants = [];
    this.#variant = -1;
  }

  #removeAudio(): void {
    for (const track of this.#audioTracks) this.#lists.removeAudioTrack(track);
    this.#audioTracks = [];
    this.#audio = -1;
  }
}
