// What the controls say, in the viewer's language. English is part of the bundle; the others are JSON files beside it.

import english from '../lang/en.json';
import { fileUrl } from '../internal/files.js';

/** Keys of `lang/en.json`. */
export type Key = keyof typeof english;

/** Languages that have a file. */
export const LANGUAGES = ['ar', 'de', 'en', 'es', 'fr', 'it', 'ja', 'pl', 'pt', 'zh'] as const;

const RIGHT_TO_LEFT = new Set(['ar', 'fa', 'he', 'ur']);

/** The texts of one language. */
export class Words {
  /** BCP 47, for numbers and durations too. */
  readonly language: string;
  readonly #texts: Partial<Record<Key, string>>;
  /** To make one takes longer than to use it a hundred times. */
  readonly #formats = new Map<string, Intl.NumberFormat>();

  constructor(language: string, texts: Partial<Record<Key, string>>) {
    this.language = language;
    this.#texts = texts;
  }

  get direction(): 'ltr' | 'rtl' {
    return RIGHT_TO_LEFT.has(this.language.slice(0, 2)) ? 'rtl' : 'ltr';
  }

  /** A text, with `{name}` replaced. What is not translated is English. */
  say(key: Key, values: Record<string, string | number> = {}): string {
    const text = this.#texts[key] ?? english[key];
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
  }

  /** `2 minutes 5 seconds`, for screen readers. */
  duration(seconds: number): string {
    const total = Math.max(0, Math.round(seconds));
    const parts: [number, string][] = [[Math.floor(total / 3600), 'hour'], [Math.floor(total / 60) % 60, 'minute'], [total % 60, 'second']];
    const said = parts.filter(([value, unit]) => value > 0 || unit === 'second' && total < 60);
    return said.map(([value, unit]) => this.#number(value, { style: 'unit', unit, unitDisplay: 'long' })).join(' ');
  }

  /** `1.4 MB`. */
  bytes(bytes: number): string {
    const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
    const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
    const value = bytes / 1000 ** power;
    return this.#number(value, { style: 'unit', unit: units[power] ?? 'byte', unitDisplay: 'short', maximumFractionDigits: value < 100 && power > 0 ? 1 : 0 });
  }

  /** `83 %`. */
  percent(share: number): string {
    return this.#number(share, { style: 'percent', maximumFractionDigits: 0 });
  }

  #number(value: number, options: Intl.NumberFormatOptions): string {
    const key = JSON.stringify(options);
    const format = this.#formats.get(key) ?? new Intl.NumberFormat(this.language, options);
    this.#formats.set(key, format);
    // Arabic marks its percentages as left to right, and would draw what follows them into that.
    return format.format(value).replace(/[\u200e\u061c]/g, '');
  }
}

/** The language of the page around an element, else the browser's; English until its file has come, or if it has none. */
export async function wordsFor(element: HTMLElement): Promise<Words> {
  const asked = element.closest('[lang]')?.getAttribute('lang') || navigator.language || 'en';
  const found = LANGUAGES.find((language) => language === asked.slice(0, 2).toLowerCase());
  if (!found || found === 'en') return new Words(found ? asked : 'en', english);
  try {
    const response = await fetch(fileUrl(`lang/${found}.json`));
    if (response.ok) return new Words(asked, (await response.json()) as Partial<Record<Key, string>>);
  } catch {
    // English serves.
  }
  return new Words('en', english);
}

/** `1:02:05`; the sign of what is left is the caller's. */
export function clock(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–:––';
  const total = Math.floor(Math.max(0, seconds) + 0.001);
  const [hours, minutes, rest] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const two = (value: number): string => String(value).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
