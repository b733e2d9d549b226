// What a viewer chose, kept for this site. Where the browser keeps nothing (private windows, blocked storage) it lasts as long as the page.

const KEY = 'potluck';
type Choices = Record<string, unknown>;
let here: Choices = {};

/** What was chosen last under this name; undefined when nothing was. */
export function recall(name: string): unknown {
  return read()[name];
}

export function remember(name: string, value: unknown): void {
  here = { ...read(), [name]: value };
  try {
    localStorage.setItem(KEY, JSON.stringify(here));
  } catch {
    // It lasts as long as the page.
  }
}

function read(): Choices {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    if (typeof kept === 'object' && kept !== null && !Array.isArray(kept)) return { ...here, ...kept };
  } catch {
    // Nothing can be read.
  }
  return here;
}
