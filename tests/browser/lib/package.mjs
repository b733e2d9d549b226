// The package as npm would send it, unpacked into a project of its own, and the project as Vite builds it.

import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const exec = promisify(execFile);
const here = fileURLToPath(new URL('..', import.meta.url));
const www = path.resolve(here, '../../www');

/** A new folder with `potluck-player` as `npm pack` makes it, what it depends on, and `modules` of the tests' own. */
export async function freshProject(files, modules = []) {
  const folder = await mkdtemp(path.join(tmpdir(), 'potluck-project-'));
  const installed = path.join(folder, 'node_modules/potluck-player');
  await mkdir(installed, { recursive: true });
  const { stdout } = await exec('npm', ['pack', '--json', '--silent', '--pack-destination', folder], { cwd: www, shell: process.platform === 'win32' });
  const [{ filename, files: contents }] = JSON.parse(stdout.slice(stdout.indexOf('[')));
  await exec('tar', ['xzf', filename, '-C', 'node_modules/potluck-player', '--strip-components=1'], { cwd: folder });
  const { dependencies } = JSON.parse(await readFile(path.join(installed, 'package.json'), 'utf8'));
  const link = async (name, from) => {
    const to = path.join(folder, 'node_modules', name);
    await mkdir(path.dirname(to), { recursive: true });
    await symlink(path.join(from, 'node_modules', name), to, 'junction');
  };
  for (const name of Object.keys(dependencies)) await link(name, www);
  for (const name of modules) await link(name, here);
  await writeFile(path.join(folder, 'package.json'), JSON.stringify({ name: 'fresh', private: true, type: 'module' }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), text);
  }
  return { folder, installed, contents: contents.map((file) => file.path), remove: () => rm(folder, { recursive: true, force: true }) };
}

/** Runs a program of `tests/browser/node_modules` in a folder; fails with what it said. */
export async function run(folder, script, ...args) {
  try {
    return await exec(process.execPath, [path.resolve(here, 'node_modules', script), ...args], { cwd: folder });
  } catch (error) {
    throw new Error(`${script} ${args.join(' ')}: ${error.stdout}${error.stderr}`, { cause: error });
  }
}

/** The folder of the built player. */
export const WWW = process.env.POTLUCK_WWW ?? path.join(www, 'dist');

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.wasm': 'application/wasm', '.svg': 'image/svg+xml' };

/** Serves a folder as any static server does; `headers` come with each answer. */
export async function serveFolder(folder, headers = {}) {
  const asked = [];
  const server = createServer((request, response) => {
    let { pathname } = new URL(request.url, 'http://folder');
    if (pathname.endsWith('/')) pathname += 'index.html';
    asked.push(pathname);
    const file = path.join(folder, path.normalize(pathname));
    if (!file.startsWith(folder) || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    readFile(file).then((bytes) => {
      response.writeHead(200, { 'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream', ...headers }).end(bytes);
    }, () => response.writeHead(404).end());
  });
  await new Promise((resolve) => server.listen(0, 'localhost', resolve));
  return {
    url: `http://localhost:${server.address().port}`,
    asked,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** All files below a folder, by their paths in it. */
export async function filesBelow(folder) {
  return (await readdir(folder, { recursive: true })).map((name) => name.replaceAll(path.sep, '/'));
}
