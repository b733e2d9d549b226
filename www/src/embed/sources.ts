// What the site that hosts this page lets it play: its `<meta name="potluck-embed-src" content="https://site.example/films/ …">`.

/** Whether an address may be loaded: any, unless the site has a list; then those of an entry's origin, in the folder of its path. */
export function isAllowed(address: string): boolean {
  const list = content('potluck-embed-src');
  if (list === null) return true;
  const url = parse(address);
  // A server may read an escaped slash or dot as one, and then the address is another.
  if (!url || /%(2e|2f|5c|00)/i.test(url.pathname)) return false;
  return list.split(/\s+/).filter((entry) => entry !== '').some((entry) => {
    const allowed = parse(entry);
    if (!allowed || allowed.origin !== url.origin || url.origin === 'null') return false;
    const folder = allowed.pathname.replace(/\/?$/, '/');
    return url.pathname === allowed.pathname || url.pathname.startsWith(folder);
  });
}

/** Whether requests may carry the visitor's cookies for this site: `<meta name="potluck-embed-credentials" content="same-origin">`. */
export function mayUseCredentials(): boolean {
  return content('potluck-embed-credentials')?.trim() === 'same-origin';
}

function content(name: string): string | null {
  return document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? null;
}

function parse(address: string): URL | null {
  try {
    return new URL(address, document.baseURI);
  } catch {
    return null;
  }
}
