// What a page downloads: each bundle of budget.json, raw and as brotli -q 11, and what the wasm imports.
// Prints JSON for `cargo xtask bench size` and `cargo xtask test`.
import { readFileSync, readdirSync } from 'node:fs';
import { brotliCompressSync, constants } from 'node:zlib';

const here = new URL('.', import.meta.url);
const budget = JSON.parse(readFileSync(new URL('budget.json', here), 'utf8'));

function measure(name) {
  const bytes = readFileSync(new URL(`dist/${name}`, here));
  const brotli = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: 22,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  return { name, raw: bytes.length, brotli: brotli.length };
}

const bundles = budget.bundles.map(({ name, limit, files }) => {
  const measured = files.map(measure);
  const sum = (key) => measured.reduce((total, file) => total + file[key], 0);
  return { name, limit, raw: sum('raw'), brotli: sum('brotli'), files: measured };
});

const modules = readdirSync(new URL('dist', here)).filter((name) => name.endsWith('.wasm'));
const imports = [...new Set(modules.flatMap((name) => (
  WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(new URL(`dist/${name}`, here)))).map((entry) => entry.module)
)))].sort();

process.stdout.write(`${JSON.stringify({ bundles, imports }, null, 2)}\n`);
