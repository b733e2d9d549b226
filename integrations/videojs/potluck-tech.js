// A tech for video.js 8 that plays with <potluck-video>.

import 'potluck-player';

const HLS = /^(application\/(vnd\.apple\.mpegurl|x-mpegurl)|audio\/(x-)?mpegurl)\b/i;
const ATTRIBUTES = ['trackers', 'swarm', 'p2p', 'upload-limit', 'ice-servers', 'hashes', 'publisher-key', 'consent'];
/** What video.js knows of the page's <video>, and the element has to know too. */
const KEPT = ['poster', 'preload', 'loop', 'playsinline', 'crossorigin', 'muted', 'autoplay'];

/** Registers the tech `potluck` once. */
export function registerPotluck(videojs) {
  if (videojs.getTech('Potluck')) return;
  const Html5 = videojs.getTech('Html5');

  class Potluck extends Html5 {
    createEl() {
      const { tag, potluck = {}, techId, playerId } = this.options_;
      const element = document.createElement('potluck-video');
      for (const name of KEPT) {
        const value = tag?.getAttribute(name) ?? this.options_[name];
        if (value === true || (value === '' && name !== 'poster')) element.setAttribute(name, '');
        else if (typeof value === 'string' && value !== '') element.setAttribute(name, value);
      }
      for (const name of ATTRIBUTES) if (potluck[name] !== undefined) element.setAttribute(name, String(potluck[name]));
      element.id = techId ?? `${playerId}_potluck_api`;
      element.className = 'vjs-tech';
      element.style.cssText = 'position: absolute; inset: 0; width: 100%; height: 100%';
      // What was the page's <video> is not needed any more; its <track>s are.
      if (tag) {
        for (const track of [...tag.querySelectorAll('track')]) element.append(track);
        tag.replaceWith(element);
      }
      element.playerId = playerId;
      return element;
    }

    // A source is set by the attribute; Html5 asks its source handlers, which are for <video>.
    setSource({ src }) {
      this.currentSource_ = { src, type: 'application/vnd.apple.mpegurl' };
      this.setSrc(src);
    }

    currentSource() {
      return this.currentSource_;
    }

    setSrc(src) {
      if (this.options_.enableSourceset) this.triggerSourceset(src);
      this.el_.setAttribute('src', src);
    }

    /** Html5 watches what others do to a <video>; here each source comes this way. */
    setupSourcesetHandling_() {}

    src(src) {
      if (src === undefined) return this.el_.getAttribute('src') ?? '';
      this.setSrc(src);
      return src;
    }

    crossOrigin() {
      return this.el_.getAttribute('crossorigin');
    }

    currentSrc() {
      return this.el_.currentSrc;
    }

    reset() {
      this.el_.removeAttribute('src');
    }
  }

  Potluck.isSupported = () => true;
  Potluck.canPlayType = (type) => (HLS.test(type) ? 'probably' : '');
  Potluck.canPlaySource = ({ type = '', src = '' }) => (HLS.test(type) || /\.m3u8($|[?#])/i.test(src) ? 'probably' : '');
  // The element's text tracks are native ones.
  Potluck.prototype.featuresNativeTextTracks = true;
  Potluck.disposeMediaElement = (element) => {
    element?.removeAttribute('src');
    element?.remove();
  };
  videojs.registerTech('Potluck', Potluck);
}
