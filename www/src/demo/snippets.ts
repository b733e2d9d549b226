// What embedders paste: an element, an iframe, or a module's code, for what was chosen in the generator.

import { embedUrl, type EmbedOptions } from '../public/embed.js';

/** What was chosen. Empty texts are left out. */
export interface Choice {
  src: string;
  trackers: string;
  title: string;
  poster: string;
  start: string;
  stop: string;
  subtitle: string;
  accent: string;
  scheme: string;
  consent: string;
  /** A whole number. */
  minViewers: string;
  swarmToken: string;
  autoplay: boolean;
  muted: boolean;
  loop: boolean;
  /** Nothing but the poster before the viewer plays. */
  lazy: boolean;
  /** CSS pixels; null follows the page's width. */
  width: number | null;
}

/** Where this server has the player's files. */
export interface Place {
  script: string;
  embed: string;
}

/** `<potluck-player>` and the script that makes it one. */
export function tagSnippet(choice: Choice, { script }: Place): string {
  return `<script type="module" src="${escape(script)}"></script>\n\n${tag(choice)}`;
}

/** The same with the package of npm. */
export function packageSnippet(choice: Choice): string {
  return `// npm install potluck-player\nimport 'potluck-player';\n\n// and on the page:\n/*\n${tag(choice).replaceAll('*/', '*&#47;')}\n*/`;
}

/** An iframe; no script of another site runs on the page. */
export function iframeSnippet(choice: Choice, { embed }: Place): string {
  const attributes = [
    `src="${escape(embedUrl(embed, options(choice)))}"`,
    ...(choice.lazy ? [lazyDocument(choice, embed)] : []),
    `title="${escape(choice.title || 'Video')}"`,
    size(choice, true),
    'loading="lazy"',
    'allow="autoplay; fullscreen; picture-in-picture"',
  ];
  return `<iframe ${attributes.join('\n  ')}></iframe>`;
}

/** Text for an attribute's value. */
export function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function tag(choice: Choice): string {
  const attributes: [string, string][] = [
    ['src', choice.src], ['trackers', choice.trackers], ['heading', choice.title], ['poster', choice.poster], ['consent', choice.consent], ['scheme', choice.scheme],
    ['min-viewers', choice.minViewers], ['swarm-token', choice.swarmToken],
    ...(choice.lazy ? [['preload', 'none'] as [string, string]] : []),
  ];
  const switches = (['autoplay', 'muted', 'loop'] as const).filter((name) => choice[name]);
  const style = [size(choice, false), choice.accent && `--potluck-accent: ${choice.accent}`].filter((one) => one !== '').join('; ');
  const lines = [
    ...attributes.filter(([, value]) => value !== '').map(([name, value]) => `${name}="${escape(value)}"`),
    ...switches,
    ...(style === '' ? [] : [`style="${escape(style)}"`]),
  ];
  return `<potluck-player ${lines.join('\n  ')}></potluck-player>`;
}

function size({ width }: Choice, attribute: boolean): string {
  const height = width === null ? 0 : Math.round((width * 9) / 16);
  if (!attribute) return width === null ? '' : `max-width: ${width}px`;
  return width === null ? 'style="width: 100%; aspect-ratio: 16 / 9; border: 0"' : `width="${width}" height="${height}" style="border: 0"`;
}

function options(choice: Choice, playing = false): EmbedOptions {
  const text = (name: 'title' | 'poster' | 'subtitle' | 'accent'): object => (choice[name] === '' ? {} : { [name]: choice[name] });
  const seconds = (name: 'start' | 'stop'): object => (Number(choice[name]) > 0 ? { [name]: Number(choice[name]) } : {});
  return {
    src: choice.src,
    ...(choice.trackers === '' ? {} : { trackers: choice.trackers.split(/\s+/) }),
    ...text('title'), ...text('poster'), ...seconds('start'), ...seconds('stop'), ...text('subtitle'), ...text('accent'),
    ...(choice.scheme === '' ? {} : { scheme: choice.scheme as 'light' | 'auto' }),
    ...(choice.consent === '' ? {} : { consent: choice.consent as 'granted' }),
    ...(choice.minViewers === '' ? {} : { minViewers: Number(choice.minViewers) }), ...(choice.swarmToken === '' ? {} : { swarmToken: choice.swarmToken }),
    ...(choice.autoplay || playing ? { autoplay: true } : {}), ...(choice.muted ? { muted: true } : {}), ...(choice.loop ? { loop: true } : {}),
    ...(choice.lazy && !playing ? { lazy: true } : {}),
  };
}

/** A document of the iframe's own with the poster and a link to the player: browsers that know `srcdoc` load nothing else before a click. */
function lazyDocument(choice: Choice, embed: string): string {
  const picture = choice.poster === '' ? '' : `<img src="${escape(choice.poster)}" alt="">`;
  const style = '*{margin:0;height:100%;background:#000}img{width:100%;object-fit:contain;position:absolute}a{display:block}a:before{content:"";position:absolute;inset:0;margin:auto;width:68px;height:68px;'
    + `border-radius:50%;z-index:1;background:${choice.accent || '#ff8a4c'} url("data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'><path d='M9 7v10l8-5z' fill='%231b1108'/></svg>") center/44px no-repeat}`;
  const play = escape(embedUrl(embed, options(choice, true)));
  return `srcdoc="${escape(`<style>${style}</style><a href="${play}" aria-label="Play ${escape(choice.title)}">${picture}</a>`)}"`;
}
