// Makes requests go without cookies, but for those that say otherwise: who writes the address of the iframe's page is not its visitor.

/** From now on, on this page or in this worker. */
export function omitCredentials(): void {
  const plain = globalThis.fetch;
  globalThis.fetch = (input, init) => plain(input, { credentials: 'omit', ...init });
}
