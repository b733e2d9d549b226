// Bundles the page side into dist/. usage: node build.mjs [--pkg DIR] [--out DIR]
// `--pkg` is where wasm-bindgen left potluck.js, transmux.js, text.js, crypto.js and their wasm (default: pkg/).

import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build, transform } from 'esbuild';
import { homePage, writeDocs } from './docs.mjs';

const root = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({ options: { pkg: { type: 'string' }, out: { type: 'string' } } });
const pkg = resolve(values.pkg ?? join(root, 'pkg'));
const out = resolve(values.out ?? join(root, 'dist'));

for (const name of ['potluck.js', 'potluck_bg.wasm', 'sharing_bg.wasm', 'more_bg.wasm', 'recorder_bg.wasm', 'cache_bg.wasm', 'transmux.js', 'transmux_bg.wasm', 'text.js', 'text_bg.wasm', 'crypto.js', 'crypto_bg.wasm']) {
  if (!existsSync(join(pkg, name))) {
    console.error(`${join(pkg, name)} is missing: \`cargo xtask build\` makes it with wasm-bindgen (target web)`);
    process.exit(1);
  }
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

const common = {
  absWorkingDir: root,
  outdir: out,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  // Beside the files, not inside them, and not announced: nobody downloads a map without asking.
  sourcemap: 'external',
  legalComments: 'none',
  logLevel: 'warning',
};

/** Imports between the bundles stay imports, so that nothing is downloaded twice. */
const sharedBundles = {
  name: 'shared-bundles',
  setup({ onResolve }) {
    const ours = ({ importer }) => importer.startsWith(join(root, 'src'));
    onResolve({ filter: /\/index\.js$/ }, (args) => (ours(args) ? { path: './potluck.js', external: true } : undefined));
    onResolve({ filter: /\/package-files\.js$/ }, (args) => (ours(args) ? { path: './package-files.js', external: true } : undefined));
    onResolve({ filter: /\/panels\.js$/ }, (args) => (ours(args) ? { path: './potluck-panels.js', external: true } : undefined));
    onResolve({ filter: /\/dressing\.js$/ }, (args) => (ours(args) ? { path: './potluck-player.js', external: true } : undefined));
    onResolve({ filter: /\/peers\.js$/ }, (args) => (ours(args) ? { path: './potluck-peers.js', external: true } : undefined));
    onResolve({ filter: /\/drm\.js$/ }, (args) => (ours(args) ? { path: './potluck-drm.js', external: true } : undefined));
    onResolve({ filter: /\/peertube\.js$/ }, (args) => (ours(args) ? { path: './potluck-peertube.js', external: true } : undefined));
    onResolve({ filter: /\/recording\.js$/ }, (args) => (ours(args) ? { path: './potluck-recorder.js', external: true } : undefined));
    onResolve({ filter: /\/text-tracks\.js$/ }, (args) => (ours(args) ? { path: './potluck-tracks.js', external: true } : undefined));
  },
};

/** Style sheets that a script imports are text, minified. */
const styleText = {
  name: 'style-text',
  setup({ onLoad }) {
    onLoad({ filter: /(controls|embed)\/.*\.css$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, 'utf8'), { loader: 'css', minify: true, target: 'es2022' });
      return { contents: code.trim(), loader: 'text' };
    });
  },
};

await Promise.all([
  build({ ...common, plugins: [sharedBundles, styleText], entryPoints: {
    'potluck': 'src/public/index.ts',
    'potluck-player': 'src/internal/dressing.ts',
    'potluck-panels': 'src/controls/panels.ts',
    'potluck-peers': 'src/internal/peers.ts',
    'potluck-drm': 'src/internal/drm.ts',
    'potluck-peertube': 'src/internal/peertube.ts',
    'potluck-recorder': 'src/internal/recording.ts',
    'embed': 'src/embed/embed-page.ts',
    'embed-client': 'src/public/embed.ts',
    'package': 'src/public/package.ts',
    'package-files': 'src/public/package-files.ts',
    'demo': 'src/demo/demo.ts',
    'generator': 'src/demo/generator.ts',
  } }),
  build({ ...common, entryPoints: { 'potluck-worker': 'src/internal/worker.ts' }, alias: { 'potluck-wasm': join(pkg, 'potluck.js') } }),
  build({ ...common, entryPoints: { 'embed-worker': 'src/embed/embed-worker.ts' }, alias: { 'potluck-wasm': join(pkg, 'potluck.js') } }),
  build({ ...common, entryPoints: { 'potluck-signatures': 'src/internal/signatures.ts', 'potluck-cache': 'src/internal/segment-cache.ts' } }),
  build({ ...common, entryPoints: { 'potluck-transmux': join(pkg, 'transmux.js'), 'potluck-crypto': join(pkg, 'crypto.js') } }),
  build({ ...common, entryPoints: { 'potluck-text': 'src/internal/text-desk.ts' }, alias: { 'potluck-text-wasm': join(pkg, 'text.js') } }),
  build({ ...common, entryPoints: { 'potluck-tracks': 'src/internal/text-tracks.ts' } }),
  build({ ...common, sourcemap: false, entryPoints: { 'demo': 'src/demo/demo.css', 'home': 'src/demo/home.css' } }),
]);

copyFileSync(join(pkg, 'potluck_bg.wasm'), join(out, 'potluck.wasm'));
copyFileSync(join(pkg, 'sharing_bg.wasm'), join(out, 'potluck-sharing.wasm'));
copyFileSync(join(pkg, 'more_bg.wasm'), join(out, 'potluck-more.wasm'));
copyFileSync(join(pkg, 'recorder_bg.wasm'), join(out, 'potluck-recorder.wasm'));
copyFileSync(join(pkg, 'cache_bg.wasm'), join(out, 'potluck-cache.wasm'));
copyFileSync(join(pkg, 'transmux_bg.wasm'), join(out, 'potluck-transmux.wasm'));
cpSync(join(root, 'src/lang'), join(out, 'lang'), { recursive: true });
copyFileSync(join(pkg, 'text_bg.wasm'), join(out, 'potluck-text.wasm'));
copyFileSync(join(pkg, 'crypto_bg.wasm'), join(out, 'potluck-crypto.wasm'));
copyFileSync(join(root, 'src/public/embed.html'), join(out, 'embed.html'));
copyFileSync(join(root, 'src/demo/generator.html'), join(out, 'generator.html'));
writeFileSync(join(out, 'index.html'), homePage(readFileSync(join(root, 'src/demo/index.html'), 'utf8')));
for (const plot of ['bench-swarm.svg', 'bench-abr.svg']) copyFileSync(join(root, '../docs', plot), join(out, plot));

execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--declaration', '--emitDeclarationOnly', '--outDir', join(out, 'types')], { cwd: root, stdio: 'inherit' });
rmSync(join(out, 'types/demo'), { recursive: true, force: true });
execFileSync(process.execPath, [join(root, 'node_modules/@custom-elements-manifest/analyzer/cem.js'), 'analyze', '--outdir', relative(root, out)], { cwd: root, stdio: 'inherit' });
writeDocs(out);
for (const name of ['LICENSE-MIT', 'LICENSE-APACHE']) copyFileSync(join(root, '..', name), join(out, name));
