// Runs the tests: all files two at a time, then once more, by itself, each file in which something failed. Browsers that share a busy
// machine are late at times; what fails twice is broken. What failed once is named, to be looked at.
// usage: node run.mjs [FILE…]

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.', import.meta.url));
const asked = process.argv.slice(2);
const all = readdirSync(folder).filter((file) => file.endsWith('.test.mjs')).sort();
const files = (asked.length > 0 ? asked : all).map((file) => path.resolve(folder, file));

/** Runs files; the names of failed tests, by file. */
async function runFiles(some, concurrency) {
  const failed = new Map();
  const stream = run({ files: some, concurrency });
  stream.on('test:fail', ({ name, file, todo }) => {
    if (todo || !file) return;
    failed.set(file, [...(failed.get(file) ?? []), name]);
  });
  stream.compose(new spec()).pipe(process.stdout, { end: false });
  await new Promise((resolve, reject) => {
    stream.on('end', resolve);
    stream.on('error', reject);
  });
  return failed;
}

let failed = await runFiles(files, 2);
if (failed.size > 0) {
  const once = failed;
  console.log(`\nonce more, one at a time: ${[...once.keys()].map((file) => path.basename(file)).join(', ')}\n`);
  failed = await runFiles([...once.keys()], 1);
  for (const [file, names] of once) {
    console.log(`${failed.has(file) ? 'failed twice' : 'failed once'}: ${path.basename(file)}: ${names.join('; ')}`);
  }
}
process.exitCode = failed.size > 0 ? 1 : 0;
