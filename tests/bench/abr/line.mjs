// One viewer's way to the origin, as tests/src/simulation/http.rs has it: one connection with slow start, responses in
// turns, a downlink whose rate changes each second.

/** Largest part of a response that is delivered at once. */
const CHUNK = 16 << 10;
/** Headers and payload per packet of HTTP over TLS over TCP. */
const HEADERS = 66;
const PAYLOAD = 1430;

export class Line {
  #clock;
  #latency;
  #think;
  #kbps;
  #window = 14_600;
  #most;
  #inFlight = 0;
  #lastArrival = 0;
  #freeAt = 0;
  #connected = false;
  #turns = [];

  constructor(clock, { kbps, latencyMs, thinkMs }) {
    this.#clock = clock;
    this.#latency = latencyMs;
    this.#think = thinkMs;
    this.#kbps = kbps;
    const product = (Math.max(...kbps) / 8) * 2 * latencyMs;
    this.#most = Math.min(Math.max(product * 1.5, 65_536), 16_777_216);
  }

  /** Asks for `bytes`; calls `on.head()`, `on.chunk(bytes)` and `on.done()`. Returns what cancels it. */
  fetch(bytes, on) {
    const clock = this.#clock;
    const exchange = { left: bytes, undelivered: bytes, on, gone: false };
    const setup = this.#connected ? 0 : 4 * this.#latency;
    this.#connected = true;
    clock.at(clock.now + setup + this.#latency + this.#think, () => {
      if (exchange.gone) return;
      clock.at(clock.now + this.#latency, () => exchange.gone || on.head());
      this.#turns.push(exchange);
      this.#serve();
    });
    return () => {
      exchange.gone = true;
    };
  }

  #serve() {
    const clock = this.#clock;
    while (this.#inFlight < this.#window && this.#turns.length > 0) {
      const exchange = this.#turns.shift();
      if (exchange.gone) continue;
      const len = Math.min(CHUNK, exchange.left);
      exchange.left -= len;
      if (exchange.left > 0) this.#turns.push(exchange);
      this.#inFlight += len;
      this.#lastArrival = Math.max(clock.now + this.#latency, this.#lastArrival);
      clock.at(this.#lastArrival, () => {
        const wire = len + Math.ceil(len / PAYLOAD) * HEADERS;
        this.#freeAt = passed(Math.max(this.#freeAt, clock.now), wire, this.#kbps);
        clock.at(this.#freeAt, () => this.#deliver(exchange, len));
      });
    }
  }

  #deliver(exchange, len) {
    const clock = this.#clock;
    clock.at(clock.now + this.#latency, () => {
      this.#inFlight -= len;
      this.#window = Math.min(this.#window + len, this.#most);
      this.#serve();
    });
    if (exchange.gone) return;
    exchange.undelivered -= len;
    exchange.on.chunk(len);
    if (exchange.undelivered === 0 && !exchange.gone) exchange.on.done();
  }
}

/** When `bytes` that start at `at` (ms) have passed a line of so many kbit/s in each second, over and over. */
function passed(at, bytes, kbps) {
  let left = bytes * 8;
  for (;;) {
    // kbit/s are bits per ms.
    const rate = Math.max(kbps[Math.floor(at / 1000) % kbps.length], 1);
    const span = 1000 - (at % 1000);
    if (rate * span >= left) return at + left / rate;
    left -= rate * span;
    at += span;
  }
}
