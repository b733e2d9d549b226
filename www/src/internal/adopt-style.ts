/** Adds a style sheet in a way that no Content-Security-Policy takes for an inline style. */
export function adoptStyle(root: Document | ShadowRoot, css: string): CSSStyleSheet {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  root.adoptedStyleSheets.push(sheet);
  return sheet;
}
