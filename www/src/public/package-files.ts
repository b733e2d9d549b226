// Names each file that the player may load, in the way that bundlers find: they copy the file, and put its new address here.
// `?no-inline` keeps Vite from putting small ones into the page's script.

globalThis.potluckFiles ??= {
  'potluck-worker.js': new URL('./potluck-worker.js?no-inline', import.meta.url).href,
  'potluck.wasm': new URL('./potluck.wasm', import.meta.url).href,
  'potluck-sharing.wasm': new URL('./potluck-sharing.wasm', import.meta.url).href,
  'potluck-more.wasm': new URL('./potluck-more.wasm', import.meta.url).href,
  'potluck-recorder.wasm': new URL('./potluck-recorder.wasm', import.meta.url).href,
  'potluck-cache.wasm': new URL('./potluck-cache.wasm', import.meta.url).href,
  'potluck-transmux.js': new URL('./potluck-transmux.js?no-inline', import.meta.url).href,
  'potluck-transmux.wasm': new URL('./potluck-transmux.wasm', import.meta.url).href,
  'potluck-crypto.js': new URL('./potluck-crypto.js?no-inline', import.meta.url).href,
  'potluck-crypto.wasm': new URL('./potluck-crypto.wasm', import.meta.url).href,
  'potluck-text.js': new URL('./potluck-text.js?no-inline', import.meta.url).href,
  'potluck-text.wasm': new URL('./potluck-text.wasm', import.meta.url).href,
  'potluck-cache.js': new URL('./potluck-cache.js?no-inline', import.meta.url).href,
  'potluck-signatures.js': new URL('./potluck-signatures.js?no-inline', import.meta.url).href,
  'lang/ar.json': new URL('./lang/ar.json?no-inline', import.meta.url).href,
  'lang/de.json': new URL('./lang/de.json?no-inline', import.meta.url).href,
  'lang/es.json': new URL('./lang/es.json?no-inline', import.meta.url).href,
  'lang/fr.json': new URL('./lang/fr.json?no-inline', import.meta.url).href,
  'lang/it.json': new URL('./lang/it.json?no-inline', import.meta.url).href,
  'lang/ja.json': new URL('./lang/ja.json?no-inline', import.meta.url).href,
  'lang/pl.json': new URL('./lang/pl.json?no-inline', import.meta.url).href,
  'lang/pt.json': new URL('./lang/pt.json?no-inline', import.meta.url).href,
  'lang/zh.json': new URL('./lang/zh.json?no-inline', import.meta.url).href,
};
