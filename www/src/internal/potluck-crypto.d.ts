// What wasm-bindgen's glue (pkg/crypto.js) exports.

declare module 'potluck-crypto' {
  /** Decrypts a segment; undefined: it is damaged, or the key is another. Throws for what is not supported. */
  export function decrypt(cipher: string, key: Uint8Array, iv: Uint8Array, init: Uint8Array, data: Uint8Array): Uint8Array | undefined;
  // eslint-disable-next-line no-restricted-syntax -- generated so
  export default function init(input: { module_or_path: URL | string }): Promise<unknown>;
}
