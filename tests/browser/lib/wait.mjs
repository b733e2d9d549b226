// Waiting for conditions: tests never sleep for a guess.

import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks `question` until it answers with something truthy, and returns that.
 * Fails after `seconds`, with what `describe` says about the state then.
 */
export async function until(what, question, { seconds = 20, every = 100, describe = null } = {}) {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (performance.now() > end) {
      const state = describe ? `\n${JSON.stringify(await describe(), null, 1)}` : '';
      throw new Error(`waited ${seconds} s in vain until ${what}${state}`);
    }
    await sleep(every);
  }
}
