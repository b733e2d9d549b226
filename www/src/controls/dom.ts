// A few lines that make elements.

type Attributes = Record<string, string | boolean | null | undefined>;
type Child = Node | string | null;

/** An element with attributes and children; `true` is an empty attribute, `false`, null and undefined are none. */
export function el<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, '');
    else if (typeof value === 'string') element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Gives an element an attribute that it does not have yet: to set the same one again costs the browser a frame. */
export function keep(element: Element, name: string, value: string | boolean): void {
  if (typeof value === 'boolean') element.toggleAttribute(name, value);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** An SVG element. */
export function svg(tag: string, attributes: Record<string, string | number> = {}): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/** One of `icons.ts`, hidden from screen readers: its button has the name. */
export function icon(path: string): SVGElement {
  const drawing = svg('svg', { viewBox: '0 0 24 24', 'aria-hidden': 'true' });
  drawing.append(svg('path', { d: path }));
  return drawing;
}

/** Changes a button's picture, and what it is called. */
export function dressButton(button: HTMLElement, path: string, name: string, key?: string): void {
  if (button.dataset['icon'] !== path) {
    button.dataset['icon'] = path;
    button.replaceChildren(icon(path));
  }
  keep(button, 'aria-label', name);
  keep(button, 'title', key ? `${name} (${key})` : name);
}

/** For promises whose refusal shows elsewhere. */
export function ignore(): void {
  // Nothing to add.
}
