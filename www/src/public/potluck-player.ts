// <potluck-player>: <potluck-video> with controls. The controls come in a bundle of their own, when the first player is on a page.

import { CustomVideoElement } from 'custom-media-element';
import { consentFor, limitFor } from '../controls/sharing-choice.js';
import { adoptStyle } from '../internal/adopt-style.js';
import { OPTION_ATTRIBUTES } from '../internal/options.js';
import { PEERTUBE_PAGE } from '../internal/peertube-page.js';
import { POTLUCK_EVENTS, PotluckVideo, type PotluckVideoEventMap } from './potluck-video.js';

/** Attributes that go through to the video as they are. */
const VIDEO_ATTRIBUTES = [
  'src', 'poster', 'autoplay', 'muted', 'loop', 'preload', 'playsinline', 'crossorigin', 'disablepictureinpicture', 'disableremoteplayback',
  ...OPTION_ATTRIBUTES,
] as const;

/** A picture that takes longer (ms) is waited for with the controls, which show that. */
const BARE_MS = 500;

const LIFE = new Set(['constructor', 'init', 'handleEvent', 'connectedCallback', 'disconnectedCallback', 'attributeChangedCallback', 'get', 'set', 'call']);

const STYLE = `
  :host { display: block; position: relative; aspect-ratio: 16 / 9; background: #000; color: #fff; overflow: hidden; container-type: inline-size; }
  :host([hidden]) { display: none; }
  potluck-video { display: block; width: 100%; height: 100%; }
`;

/** Servers import this without having elements. */
const Base = (globalThis.HTMLElement as typeof HTMLElement | undefined) ?? (Object as unknown as typeof HTMLElement);

/**
 * `<potluck-video>` with controls: its attributes, properties, methods and events, and these.
 *
 * @tag potluck-player
 * @attr {string} heading - shown over the picture's top edge, and to the browser's media keys
 * @attr {"dark"|"light"|"auto"} scheme - colours of menus and panels; `auto`: as the system
 * @attr {string} src - URL of an HLS playlist, or of a page of a PeerTube instance that shows one video
 * @attr {string} instance - a PeerTube instance, with `video`: in the place of `src`
 * @attr {string} video - id of a video there (UUID or short UUID)
 * @cssprop --potluck-accent - progress and the main buttons
 * @cssprop --potluck-on-accent - text on them
 * @cssprop --potluck-surface - menus and panels
 * @cssprop --potluck-ink - text on them
 * @cssprop --potluck-people - what came from viewers
 * @cssprop --potluck-server - what came from the server
 * @cssprop --potluck-buffered - the buffered part of the time line
 * @cssprop --potluck-font - font of the controls
 * @csspart controls - the layer of controls
 * @csspart bar - the lower edge: time line and buttons
 * @csspart heading - the upper edge
 * @csspart button - each button; also by its name, as `play-button`
 * @csspart seek-bar - the time line
 * @csspart seek-preview - thumbnail, chapter and time over it
 * @csspart volume-range - the volume
 * @csspart time - position and duration
 * @csspart people - the number of people on the sharing button
 * @csspart menu - settings
 * @csspart menu-item - an entry of a menu
 * @csspart context-menu - the menu of the right mouse button
 * @csspart sheet - a panel: sharing, statistics, keys
 * @csspart spinner - while nothing plays
 * @csspart status - why nothing plays
 * @csspart error - what went wrong, with the way out
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- delegateToVideo() defines what the interface declares
export class PotluckPlayer extends Base {
  static get observedAttributes(): string[] {
    return [...VIDEO_ATTRIBUTES, 'heading', 'instance', 'video'];
  }

  /** The element inside that plays. */
  readonly video: PotluckVideo;
  #dressed = false;
  /** Far from what the viewer sees: nothing is loaded until it is near, unless the page says when. */
  #far: IntersectionObserver | null = null;
  #peertube: Promise<typeof import('../internal/peertube.js')> | null = null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    adoptStyle(root, STYLE);
    this.video = document.createElement('potluck-video');
    this.video.setAttribute('playsinline', '');
    // <track> elements of the page go through to the video.
    this.video.append(document.createElement('slot'));
    root.append(this.video);
    for (const type of [...CustomVideoElement.Events, ...POTLUCK_EVENTS]) {
      this.video.addEventListener(type, (event) => {
        this.dispatchEvent(new CustomEvent(type, { detail: event instanceof CustomEvent ? (event.detail as unknown) : undefined }));
      });
    }
  }

  /** As the page has it: `currentSrc` is what plays. */
  get src(): string {
    return this.getAttribute('src') ?? '';
  }

  set src(url: string) {
    this.setAttribute('src', url);
  }

  /** Shown over the picture's top edge. */
  get heading(): string {
    return this.getAttribute('heading') ?? '';
  }

  set heading(text: string) {
    this.setAttribute('heading', text);
  }

  attributeChangedCallback(name: string, _before: string | null, after: string | null): void {
    if (name === 'heading') {
      const heading = this.shadowRoot?.querySelector('[part~="heading"]');
      if (heading) heading.textContent = after;
      return;
    }
    if (name === 'src' || name === 'instance' || name === 'video') {
      // A page of PeerTube's is no playlist: a script of its own asks the instance for that.
      if (this.#peertube ?? (PEERTUBE_PAGE.test(this.src) || this.hasAttribute('video'))) {
        (this.#peertube ??= import('../internal/peertube.js')).then(({ follow }) => {
          follow(this);
        }).catch((cause: unknown) => {
          this.#peertube = null;
          this.video.fail('peertube-unreachable', String(cause));
        });
        return;
      }
      if (name !== 'src') return;
    }
    // The viewer's own choice comes before the page's wish, from the first moment on.
    const value = name === 'consent' ? consentFor(after) : name === 'upload-limit' ? limitFor(after) : name === 'preload' && this.#far ? after ?? 'none' : after;
    if (this.video.getAttribute(name) === value) return;
    if (value === null) this.video.removeAttribute(name);
    else this.video.setAttribute(name, value);
  }

  connectedCallback(): void {
    for (const name of Object.getOwnPropertyNames(this)) this.#upgrade(name);
    this.#pass('consent');
    this.#pass('upload-limit');
    if (this.#dressed) return;
    this.#dressed = true;
    // What plays by itself is loaded wherever it is.
    if (!this.video.autoplay) this.#waitUntilNear();
    this.#picture().then(() => import('../internal/dressing.js')).then(({ dress }) => dress(this)).catch(() => {
      // Without the bundle the browser's own controls serve.
      this.video.controls = true;
    });
  }

  #waitUntilNear(): void {
    this.#far = new IntersectionObserver((looks) => {
      if (!looks.some(({ isIntersecting }) => isIntersecting)) return;
      this.#far?.disconnect();
      this.#far = null;
      this.#pass('preload');
    }, { rootMargin: '100%' });
    this.#far.observe(this);
    this.#pass('preload');
  }

  /** What plays by itself comes before its controls: building them keeps the page busy while the engine starts. */
  #picture(): Promise<unknown> {
    const { video } = this;
    return !video.autoplay || video.readyState > 1 ? Promise.resolve() : new Promise((resolve) => {
      setTimeout(resolve, BARE_MS);
      for (const type of ['loadeddata', 'error']) video.addEventListener(type, resolve, { once: true });
    });
  }

  /** What an attribute says counts anew. */
  #pass(name: string): void {
    this.attributeChangedCallback(name, null, this.getAttribute(name));
  }

  /** A property that was set before the element was defined hides the accessor. */
  #upgrade(name: string): void {
    if (name === 'video' || !(name in PotluckPlayer.prototype)) return;
    const value: unknown = Reflect.get(this, name);
    Reflect.deleteProperty(this, name);
    Reflect.set(this, name, value);
  }
}

/** Gives the player each property and method of the video; called once, after the video is defined. */
export function delegateToVideo(): void {
  for (let from = PotluckVideo.prototype as object; from !== HTMLElement.prototype; from = Object.getPrototypeOf(from) as object) {
    for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(from))) {
      if (LIFE.has(name) || name in PotluckPlayer.prototype && !(name in HTMLElement.prototype)) continue;
      Object.defineProperty(PotluckPlayer.prototype, name, delegated(name, descriptor));
    }
  }
}

function delegated(name: string, descriptor: PropertyDescriptor): PropertyDescriptor {
  if (typeof descriptor.value === 'function') {
    return {
      configurable: true,
      value(this: PotluckPlayer, ...args: unknown[]): unknown {
        return (Reflect.get(this.video, name) as (...args: unknown[]) => unknown).apply(this.video, args);
      },
    };
  }
  if (!descriptor.get) return { configurable: true, value: descriptor.value as unknown };
  const attribute = VIDEO_ATTRIBUTES.find((candidate) => candidate.replace('-', '') === name.toLowerCase());
  const accessor: PropertyDescriptor = {
    configurable: true,
    get(this: PotluckPlayer): unknown {
      return Reflect.get(this.video, name);
    },
  };
  if (descriptor.set) {
    accessor.set = function set(this: PotluckPlayer, value: unknown): void {
      Reflect.set(this.video, name, value);
      // What the video reflects, the player reflects too.
      if (!attribute || attribute === 'muted') return;
      const text = this.video.getAttribute(attribute);
      if (text === null) this.removeAttribute(attribute);
      else this.setAttribute(attribute, text);
    };
  }
  return accessor;
}

type Delegated = Omit<PotluckVideo, keyof HTMLElement | 'src'>;

// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- as above
export interface PotluckPlayer extends Delegated {
  addEventListener<K extends keyof PotluckVideoEventMap>(type: K, listener: (this: PotluckPlayer, event: PotluckVideoEventMap[K]) => unknown, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'potluck-player': PotluckPlayer;
  }
}
