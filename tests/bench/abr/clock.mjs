// Virtual time for a program that was written for a browser: its timers and clocks, and whoever else waits.

const realImmediate = globalThis.setImmediate;

export class Clock {
  /** ms */
  now = 0;
  #heap = [];
  #next = 1;
  #gone = new Set();

  /** Calls `what` at `at` (ms). */
  at(at, what) {
    const entry = { at: Math.max(at, this.now), id: this.#next++, what };
    const heap = this.#heap;
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(heap[index], heap[parent])) break;
      [heap[index], heap[parent]] = [heap[parent], heap[index]];
      index = parent;
    }
    return entry.id;
  }

  cancel(id) {
    this.#gone.add(id);
  }

  /** Runs until `done()`, or until `until` (ms). Promises are settled between two events. */
  async run(until, done) {
    while (this.#heap.length > 0 && !done()) {
      const event = this.#pop();
      if (event.at > until) break;
      if (this.#gone.delete(event.id)) continue;
      this.now = event.at;
      event.what();
      await new Promise((resolve) => realImmediate(resolve));
    }
  }

  #pop() {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (heap.length > 0) {
      heap[0] = last;
      let index = 0;
      for (;;) {
        let least = index;
        for (const child of [2 * index + 1, 2 * index + 2]) {
          if (child < heap.length && before(heap[child], heap[least])) least = child;
        }
        if (least === index) break;
        [heap[index], heap[least]] = [heap[least], heap[index]];
        index = least;
      }
    }
    return first;
  }

  /** Puts this clock in the place of the platform's. */
  install() {
    const repeat = (what, every, args, handle) => {
      handle.id = this.at(this.now + Math.max(every, 1), () => {
        repeat(what, every, args, handle);
        what(...args);
      });
    };
    const set = {
      setTimeout: (what, after = 0, ...args) => ({ id: this.at(this.now + Math.max(after, 0), () => what(...args)) }),
      setInterval: (what, every = 1, ...args) => {
        const handle = {};
        repeat(what, every, args, handle);
        return handle;
      },
      clearTimeout: (handle) => handle && this.cancel(handle.id),
      clearInterval: (handle) => handle && this.cancel(handle.id),
      requestAnimationFrame: (what) => ({ id: this.at(this.now + 16, () => what(this.now)) }),
      cancelAnimationFrame: (handle) => handle && this.cancel(handle.id),
      queueMicrotask: (what) => Promise.resolve().then(what),
    };
    Object.assign(globalThis, set);
    const epoch = Date.UTC(2026, 0, 1);
    Date.now = () => epoch + this.now;
    performance.now = () => this.now;
  }
}

const before = (a, b) => a.at < b.at || (a.at === b.at && a.id < b.id);
