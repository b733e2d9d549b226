// The demo server, as the project builds it.

import { spawn } from 'node:child_process';
import { atExit } from './cleanup.mjs';

/** The demo server, on a port of its own; it ends with this process. */
export async function startDemo(program) {
  const child = spawn(program, ['--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  atExit(() => child.kill());
  let said = '';
  const port = await new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`${program} could not be started: ${error.message}`)));
    child.once('exit', (code) => reject(new Error(`${program} ended with ${code}`)));
    child.stdout.on('data', (chunk) => {
      said += chunk;
      const found = /served on http:\/\/localhost:(\d+)/.exec(said);
      if (found) resolve(Number(found[1]));
    });
  });
  return { url: `http://127.0.0.1:${port}`, tracker: `ws://127.0.0.1:${port}/announce` };
}
