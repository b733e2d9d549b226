// One viewer: a page in a browser context of its own, with one element that plays.

import { install } from './page-meter.mjs';
import { until } from './wait.mjs';

/**
 * Opens a viewer.
 *
 * - `page`: the page to play on; default: one of the demo server's without a player of its own.
 * - `before`: a function that runs in the page before anything else, or several.
 * - `src`, and all that `Viewer.add` takes: the element. Without `src` there is only the page.
 */
export async function openViewer(browser, demo, options = {}) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const viewer = new Viewer(context, page);
  for (const script of [options.before ?? []].flat()) await page.evaluateOnNewDocument(script);
  await page.goto(options.page ?? `${demo.url}/embed.html`, { waitUntil: 'load' });
  if (options.src !== undefined) await viewer.add({ trackers: demo?.tracker ?? '', ...options });
  return viewer;
}

export class Viewer {
  #context;

  /** `frame` is where the element lives: the page itself, or an iframe in it. */
  constructor(context, page, frame = page.mainFrame()) {
    this.#context = context;
    this.page = page;
    this.frame = frame;
    /** Errors on the console and uncaught ones. */
    this.problems = [];
    page.on('console', (message) => {
      if (message.type() === 'error') this.problems.push(`${message.text()} ${message.location()?.url ?? ''}`.trim());
    });
    page.on('pageerror', (error) => this.problems.push(`uncaught: ${error?.message ?? error}`));
  }

  /** Puts a new <potluck-video> on the page, in place of what was there; it plays by itself. `script` is where `potluck.js` is. */
  async add({ src, trackers = '', attributes = {}, properties = {}, tuning = {}, start = 0, script = '/potluck.js' }) {
    await this.#call(async (options) => {
      await import(new URL(options.script, location.href).href);
      const element = document.createElement('potluck-video');
      element.style.cssText = 'display: block; width: 640px; height: 360px';
      const attributes = { muted: '', autoplay: '', playsinline: '', ...options.attributes };
      if (options.trackers !== '') attributes.trackers = options.trackers;
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      element.tuning = options.tuning;
      Object.assign(element, options.properties);
      if (options.start > 0) element.currentTime = options.start;
      document.body.replaceChildren(element);
      if (options.src !== '') element.setAttribute('src', options.src);
    }, { src, trackers, attributes, properties, tuning, start, script });
    await this.adopt(() => document.querySelector('potluck-video'));
  }

  /** From now on this viewer is about the element that `find` finds in the page. */
  async adopt(find) {
    await this.frame.evaluate(`window.element = (${find})(); window.meter?.stop(); window.meter = (${install})(window.element); null`);
  }

  /** Calls `action` in the page with the element and `argument`. */
  async with(action, argument = null) {
    return await this.#call(`(argument) => (${action})(window.element, argument)`, argument);
  }

  /** What the element and the meter say; NaN and infinities come as null. */
  async state() {
    return await this.with((element) => {
      const { segments, ...stats } = element.stats;
      const quality = element.nativeEl.getVideoPlaybackQuality();
      const { buffered } = element.nativeEl;
      return JSON.parse(JSON.stringify({
        position: element.currentTime,
        duration: element.duration,
        rate: element.playbackRate,
        paused: element.paused,
        ended: element.ended,
        readyState: element.readyState,
        height: element.videoHeight,
        frames: quality.totalVideoFrames - quality.droppedVideoFrames,
        buffered: Array.from({ length: buffered.length }, (_, n) => [buffered.start(n), buffered.end(n)]),
        waitingReason: element.waitingReason,
        error: element.error && { name: element.error.name, code: element.error.code, message: element.error.message },
        warnings: element.warnings.map(({ code }) => code),
        stats: { ...stats, complete: segments.filter((segment) => segment.complete).length },
        meter: window.meter.report(),
      }));
    });
  }

  /** Looks at the state until `condition` holds for it; returns that state. */
  async until(what, condition, options = {}) {
    let last = null;
    await until(what, async () => {
      last = await this.state();
      return condition(last);
    }, { describe: () => ({ ...last, problems: this.problems }), ...options });
    return last;
  }

  /** Waits until `seconds` more of the title have been played, with pictures. */
  async plays(seconds = 1, options = {}) {
    const before = await this.state();
    return await this.until(`${seconds} s were played`, (state) => (
      !state.paused && state.meter.played >= before.meter.played + seconds && state.frames > before.frames
    ), options);
  }

  /** Closes the tab. */
  async close() {
    await this.#context.close();
  }

  async #call(action, argument) {
    return await this.frame.evaluate(`(${action})(${JSON.stringify(argument)})`);
  }
}
