// A media element and Media Source Extensions as far as hls.js uses them, in virtual time. They read the appended
// fragments, so that what is buffered, and of which variant, is what was really appended.

const TIMESCALE = 90_000;
/** Seconds that have to be buffered ahead before the playhead moves, as in tests/src/simulation/media.rs. */
const START_AHEAD = 0.1;
/** ms between two looks at whether it plays. */
const STEP = 10;

export class Ranges {
  #list;
  constructor(list) {
    this.#list = list;
  }
  get length() {
    return this.#list.length;
  }
  start(index) {
    return this.#list[index][0];
  }
  end(index) {
    return this.#list[index][1];
  }
}

class SourceBuffer extends EventTarget {
  updating = false;
  timestampOffset = 0;
  mode = 'segments';
  appendWindowStart = 0;
  appendWindowEnd = Infinity;
  /** [start, end, variant], apart from each other, ascending. */
  runs = [];
  #variant = 0;

  constructor(clock, media) {
    super();
    this.clock = clock;
    this.media = media;
  }

  get buffered() {
    const list = [];
    for (const [start, end] of this.runs) {
      const last = list.at(-1);
      if (last && start <= last[1] + 0.001) last[1] = Math.max(last[1], end);
      else list.push([start, end]);
    }
    return new Ranges(list);
  }

  appendBuffer(data) {
    const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : data;
    this.#update(() => this.#read(bytes));
  }

  remove(start, end) {
    this.#update(() => this.#cut(start, end));
  }

  abort() {}

  changeType() {}

  #update(what) {
    if (this.updating) throw new DOMException('updating', 'InvalidStateError');
    this.updating = true;
    this.dispatchEvent(new Event('updatestart'));
    this.clock.at(this.clock.now + 1, () => {
      what();
      this.updating = false;
      this.dispatchEvent(new Event('update'));
      this.dispatchEvent(new Event('updateend'));
      this.media.look();
    });
  }

  #cut(from, to) {
    this.runs = this.runs.flatMap(([start, end, variant]) => [
      [start, Math.min(end, from), variant],
      [Math.max(start, to), end, variant],
    ]).filter(([start, end]) => end > start);
  }

  #read(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + 8 <= bytes.length; ) {
      const size = view.getUint32(at);
      const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
      // The init sections of the film's variants have their number in a free box.
      if (type === 'free') this.#variant = view.getUint32(at + 8);
      if (type === 'moof') {
        const ticks = view.getUint32(at + 72) * 2 ** 32 + view.getUint32(at + 76);
        const start = ticks / TIMESCALE + this.timestampOffset;
        const end = start + (view.getUint32(at + 92) * view.getUint32(at + 48)) / TIMESCALE;
        this.#cut(start, end);
        this.runs.push([start, end, this.#variant]);
        this.runs.sort((a, b) => a[0] - b[0]);
      }
      at += Math.max(size, 8);
    }
  }
}

export class MediaSource extends EventTarget {
  static isTypeSupported = () => true;
  readyState = 'closed';
  sourceBuffers = [];
  activeSourceBuffers = this.sourceBuffers;
  #duration = NaN;

  get duration() {
    return this.#duration;
  }
  set duration(seconds) {
    this.#duration = seconds;
    this.media.dispatchEvent(new Event('durationchange'));
  }
  addSourceBuffer() {
    const buffer = new SourceBuffer(this.clock, this.media);
    this.sourceBuffers.push(buffer);
    return buffer;
  }
  removeSourceBuffer() {}
  setLiveSeekableRange() {}
  clearLiveSeekableRange() {}
  endOfStream() {
    this.readyState = 'ended';
    this.#duration = this.sourceBuffers[0].runs.at(-1)?.[1] ?? 0;
    this.dispatchEvent(new Event('sourceended'));
  }
}

export class MediaElement extends EventTarget {
  paused = true;
  ended = false;
  seeking = false;
  playbackRate = 1;
  defaultPlaybackRate = 1;
  preload = 'auto';
  autoplay = true;
  error = null;
  textTracks = Object.assign(new EventTarget(), { length: 0 });
  videoWidth = 0;
  videoHeight = 0;
  clientWidth = 1920;
  clientHeight = 1080;
  children = [];
  /** What was seen, four times a second. */
  samples = [];
  source = null;
  #clock;
  #position = 0;
  #at = 0;
  #playing = false;
  #src = '';

  constructor(clock) {
    super();
    this.#clock = clock;
    const step = () => {
      clock.at(clock.now + STEP, step);
      this.look();
    };
    step();
    const every = (ms, what) => {
      const again = () => {
        clock.at(clock.now + ms, again);
        what();
      };
      clock.at(clock.now + ms, again);
    };
    every(250, () => {
      if (this.#playing) this.dispatchEvent(new Event('timeupdate'));
      const run = this.#runs().find(([start, end]) => start <= this.#position + 0.001 && this.#position < end);
      this.samples.push({ at: clock.now / 1000, ahead: this.#ahead(), variant: this.#playing && run ? run[2] : null });
    });
  }

  get currentTime() {
    return this.#position;
  }
  set currentTime(seconds) {
    this.#position = seconds;
    this.seeking = true;
    this.dispatchEvent(new Event('seeking'));
  }
  get duration() {
    return this.source?.duration ?? NaN;
  }
  get buffered() {
    return this.source?.sourceBuffers[0]?.buffered ?? new Ranges([]);
  }
  get seekable() {
    return new Ranges([[0, this.duration || 0]]);
  }
  get played() {
    return new Ranges(this.#position > 0 ? [[0, this.#position]] : []);
  }
  get readyState() {
    if (this.#runs().length === 0) return 0;
    const ahead = this.#ahead();
    return ahead > 2 ? 4 : ahead > 0.04 ? 3 : 1;
  }
  get src() {
    return this.#src;
  }
  set src(url) {
    this.#src = url;
    const source = MediaElement.sources.get(url);
    if (!source) return;
    this.source = source;
    Object.assign(source, { clock: this.#clock, media: this, readyState: 'open' });
    this.#clock.at(this.#clock.now, () => source.dispatchEvent(new Event('sourceopen')));
  }
  get currentSrc() {
    return this.#src;
  }

  static sources = new Map();

  play() {
    this.paused = false;
    this.dispatchEvent(new Event('play'));
    return Promise.resolve();
  }
  pause() {
    this.paused = true;
  }
  load() {}
  canPlayType() {
    return '';
  }
  addTextTrack() {
    return { cues: [], addCue() {}, removeCue() {} };
  }
  removeAttribute() {}
  setAttribute() {}
  appendChild() {}
  querySelectorAll() {
    return [];
  }

  #runs() {
    return this.source?.sourceBuffers[0]?.runs ?? [];
  }

  #ahead() {
    let end = this.#position;
    for (const [start, to] of this.#runs()) if (start <= end + 0.001 && to > end) end = to;
    return end - this.#position;
  }

  /** Plays what time has passed, and begins or stops. */
  look() {
    const { now } = this.#clock;
    const elapsed = (now - this.#at) / 1000;
    this.#at = now;
    if (this.ended || this.paused) return;
    const atEnd = this.source?.readyState === 'ended';
    const ahead = this.#ahead();
    if (this.#playing) {
      this.#position += Math.min(elapsed * this.playbackRate, ahead);
      if (elapsed * this.playbackRate < ahead) return;
      this.#playing = false;
      this.ended = atEnd && this.#position + 0.05 >= this.duration;
      this.dispatchEvent(new Event(this.ended ? 'ended' : 'waiting'));
    } else if (ahead >= START_AHEAD || (atEnd && ahead > 0)) {
      this.#playing = true;
      if (this.seeking) {
        this.seeking = false;
        this.dispatchEvent(new Event('seeked'));
      }
      this.dispatchEvent(new Event('canplay'));
      this.dispatchEvent(new Event('playing'));
    }
  }
}
