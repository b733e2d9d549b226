// PeerTube's embed protocol, so that code written for a PeerTube embed drives this one: requests, answers and notices as JSON text over
// postMessage, each method named `scope::method`, after a greeting in which both sides say `__ready`.

import type { PotluckVideo } from '../public/potluck-video.js';

interface Message {
  id?: unknown;
  method?: unknown;
  params?: unknown;
}

/** Between two reports of the position, in ms. */
const REPORT_MS = 500;
const RATES = [0.5, 0.75, 1, 1.25, 1.5, 2];

/** Answers from now on, to the page around this one. */
export function answerPeerTube(video: PotluckVideo, scope: string): void {
  if (parent === window || scope.includes('::')) return;
  let target: string | null = null;
  const post = (message: object): void => {
    parent.postMessage(JSON.stringify(message), target ?? '*');
  };
  const notify = (name: string, params?: unknown): void => {
    post({ method: `${scope}::${name}`, ...(params === undefined ? {} : { params }) });
  };
  const methods = peerTubeMethods(video);
  addEventListener('message', ({ source, origin, data }: MessageEvent) => {
    if (source !== parent || typeof data !== 'string') return;
    const message = read(data);
    const method = typeof message?.method === 'string' && message.method.startsWith(`${scope}::`) ? message.method.slice(scope.length + 2) : null;
    if (!message || method === null) return;
    target = origin === 'null' ? '*' : origin;
    if (method === '__ready') {
      if ((message.params as { type?: unknown } | null)?.type === 'publish-request') notify('__ready', { type: 'publish-reply', publish: [] });
      report(video, notify);
      return;
    }
    const { id } = message;
    if (id === undefined) return;
    const act = methods[method];
    if (!act) {
      post({ id, error: 'method_not_found', message: `there is no method ${method}` });
      return;
    }
    Promise.resolve().then(() => act(message.params)).then((result) => {
      post({ id, result: result ?? null });
    }).catch((cause: unknown) => {
      post({ id, error: 'runtime_error', message: cause instanceof Error ? cause.message : String(cause) });
    });
  });
  notify('__ready', { type: 'publish-request', publish: [] });
}

function read(text: string): Message | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : null;
  } catch {
    // Another page's text.
    return null;
  }
}

function peerTubeMethods(video: PotluckVideo): Record<string, (params: unknown) => unknown> {
  return {
    isReady: () => isReady(video),
    play: () => video.play(),
    pause: () => { video.pause(); },
    isPlaying: () => !video.paused,
    seek: (position) => { video.currentTime = number(position, 'seek'); },
    getCurrentTime: () => video.currentTime,
    setVolume: (volume) => {
      video.volume = Math.min(1, Math.max(0, number(volume, 'setVolume')));
      video.muted = video.volume === 0;
    },
    getVolume: () => video.muted ? 0 : video.volume,
    getPlaybackRates: () => RATES,
    getPlaybackRate: () => video.playbackRate,
    setPlaybackRate: (rate) => { video.playbackRate = number(rate, 'setPlaybackRate'); },
    getResolutions: () => resolutions(video),
    setResolution: (id) => { video.videoRenditions.selectedIndex = number(id, 'setResolution'); },
    getCaptions: () => captions(video).map((track) => ({ id: track.language, label: track.label, src: '', mode: track.mode })),
    setCaption: (id) => {
      for (const track of captions(video)) track.mode = track.language === id ? 'showing' : 'disabled';
    },
    // One video is all there is.
    playNextVideo: () => undefined,
    playPreviousVideo: () => undefined,
    getCurrentPosition: () => 1,
    setVideoPassword: () => undefined,
    getImageDataUrl: () => picture(video),
  };
}

function number(value: unknown, method: string): number {
  const found = Number(value);
  if (!Number.isFinite(found)) throw new Error(`${method} takes a number`);
  return found;
}

function captions(video: PotluckVideo): TextTrack[] {
  return [...video.textTracks].filter(({ kind }) => kind === 'subtitles' || kind === 'captions');
}

/** Automatic has the id -1, as there. */
function resolutions(video: PotluckVideo): object[] {
  const { selectedIndex } = video.videoRenditions;
  const list = [...video.videoRenditions].map(({ height, width }, id) => ({ id, label: `${height ?? 0}p`, height: height ?? 0, width: width ?? 0, active: id === selectedIndex }));
  return [...list, { id: -1, label: 'Auto', height: 0, active: selectedIndex < 0 }];
}

/** The picture as it is; it may not be read where the browser's rules about origins or DRM forbid it. */
function picture(video: PotluckVideo): string {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext('2d')?.drawImage(video.nativeEl, 0, 0);
  return canvas.toDataURL('image/jpeg');
}

function isReady(video: PotluckVideo): boolean {
  return video.readyState > 0 || video.error !== null;
}

const reporting = new WeakSet<PotluckVideo>();

/** Tells of the player's life, once somebody listens. */
function report(video: PotluckVideo, notify: (name: string, params?: unknown) => void): void {
  if (reporting.has(video)) return;
  reporting.add(video);
  const status = (): string => video.ended ? 'ended' : video.paused ? video.currentTime === 0 ? 'unstarted' : 'paused' : 'playing';
  let known = '';
  const change = (): void => {
    if (status() === known) return;
    known = status();
    notify('playbackStatusChange', known);
  };
  const on = (types: string[], act: () => void): void => {
    for (const type of types) video.addEventListener(type, act);
  };
  on(['play'], () => { notify('play'); });
  on(['pause'], () => { notify('pause'); });
  on(['play', 'pause', 'ended'], change);
  on(['volumechange'], () => { notify('volumeChange', video.muted ? 0 : video.volume); });
  on(['resize'], () => { notify('resolutionUpdate', resolutions(video)); });
  on(['loadedmetadata'], () => {
    notify('ready');
    notify('resolutionUpdate', resolutions(video));
  });
  if (isReady(video)) notify('ready');
  setInterval(() => {
    if (video.isConnected && isReady(video)) notify('playbackStatusUpdate', { position: video.currentTime, volume: video.volume, duration: video.duration, playbackState: status() });
  }, REPORT_MS);
}
