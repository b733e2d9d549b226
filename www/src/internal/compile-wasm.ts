// Fetches and compiles the wasm, streaming where the server names it properly. The page compiles in parallel with the worker's start; the
// worker does it where the page cannot, and says why if it cannot either.

/** Rejects with an `Error` that names the URL and the cause. */
export async function compileWasm(url: string): Promise<WebAssembly.Module> {
  let response: Response;
  try {
    response = await fetch(url, { credentials: 'same-origin' });
  } catch (cause) {
    throw new Error(`${url} could not be loaded, or connect-src of a Content-Security-Policy forbids it: ${describe(cause)}`, { cause });
  }
  if (!response.ok) throw new Error(`${url} could not be loaded: HTTP status ${response.status}`);
  try {
    return await compiled(response);
  } catch (cause) {
    const hint = /Content Security Policy|unsafe-eval|blocked/i.test(describe(cause))
      ? " (the page's Content-Security-Policy needs 'wasm-unsafe-eval' in script-src)"
      : '';
    throw new Error(`${url} could not be compiled${hint}: ${describe(cause)}`, { cause });
  }
}

/** The module in a response. */
export async function compiled(response: Response): Promise<WebAssembly.Module> {
  // compileStreaming insists on the media type, and many static servers do not know it.
  const type = response.headers.get('content-type') ?? '';
  if (/^application\/wasm\b/i.test(type)) return await WebAssembly.compileStreaming(response);
  return await WebAssembly.compile(await response.arrayBuffer());
}

/** The words of anything that was thrown. */
export function describe(cause: unknown): string {
  return cause instanceof Error || cause instanceof DOMException ? cause.message : String(cause);
}
