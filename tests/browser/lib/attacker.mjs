// Peers that speak the protocol (`player-core/src/wire/codec.rs`) in order to do harm: a page with connections of its own, over real
// data channels, whose messages are made byte by byte. Nothing of Potluck runs there.

import { createHash } from 'node:crypto';

/** What an attacker may be, and what it does: who is banned at once, who by whoever asks it for something, and who is suffered. */
export const BANNED = ['garbage', 'flood', 'lists', 'unasked'];
export const BANNED_WHEN_ASKED = ['dribble', 'again', 'noise'];
export const SUFFERED = ['liar', 'refuser', 'loris', 'claims', 'crier', 'greedy', 'mute', 'twin'];

/** The end of an attacker's peer id, by which statistics name it. */
export const nameOf = (role) => role.padEnd(8, '-');

/**
 * A page of attackers in the swarm `swarm` of the playlist at `path`, whose segments have these `sizes` in bytes:
 * - `attack(role, victims)` connects one to so many members, and returns whether all let it in.
 * - `bombard()` has the tracker bring offers and answers that nobody wants.
 * - `said()` tells how often they were let in and closed, and who asked them for what.
 */
export async function openAttackers(browser, demo, { swarm, path, sizes }) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.goto(`${demo.url}/embed.html`);
  const infoHash = [...createHash('sha256').update(`potluck:1:${swarm}`).digest().subarray(0, 20)];
  await page.evaluate(`(${inPage})(${JSON.stringify({ tracker: demo.tracker, infoHash, path, sizes })})`);
  return {
    attack: async (role, victims) => await page.evaluate(`attack(${JSON.stringify(role)}, ${JSON.stringify(nameOf(role))}, ${victims})`),
    bombard: async () => await page.evaluate('bombard()'),
    said: async () => await page.evaluate('JSON.parse(JSON.stringify(said))'),
    close: async () => await context.close(),
  };
}

function inPage({ tracker, infoHash, path, sizes }) {
  const [HELLO, HAVE, INTEREST, REQUEST, PIECE, REJECT, CLAIM, EDGE] = [0, 1, 2, 3, 4, 6, 7, 8];
  const [UPLOAD_ORIGIN, LISTS] = [3, 4];
  const BLOCK = 65536;
  const said = window.said = { open: {}, closed: {}, requests: {}, victims: {} };

  const hash32 = (text) => {
    let hash = 0x811c9dc5;
    for (const byte of [...new TextEncoder().encode(text), 0, 0, 0, 0]) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0;
    return (hash ^ (hash >>> 13)) >>> 0;
  };
  const f32 = (value) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
  const number = (value) => {
    const bytes = [];
    for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
    return [...bytes, value];
  };
  const rendition = f32(hash32(path.split('/').pop()));
  const segment = (sequence) => [...rendition, ...number(sequence)];
  const entry = (delta, sequence, size) => [...number(delta), ...f32(hash32(`${String(sequence).padStart(3, '0')}.m4s`)), ...number(size), 1];
  const all = Uint8Array.from([HAVE, ...rendition, ...number(sizes.length), ...sizes.flatMap((size, sequence) => entry(0, sequence, size))]);
  const noise = (length) => {
    const bytes = new Uint8Array(length);
    crypto.getRandomValues(bytes);
    return bytes;
  };
  const latin1 = (bytes) => String.fromCharCode(...bytes);
  const read = (bytes) => {
    let at = 1;
    const next = () => {
      let value = 0;
      for (let scale = 1; ; scale *= 128) {
        const byte = bytes[at++];
        value += (byte & 127) * scale;
        if (byte < 128) return value;
      }
    };
    const id = next();
    at += 4;
    return { id, sequence: next(), block: next() };
  };

  /** What each does: once it was greeted, for each request, and ten times a second. */
  const ROLES = {
    garbage: { greeted: (send) => send([0x0c, ...noise(100)]) },
    flood: { greeted: (send) => { for (let n = 0; n < 20_000; n++) send([EDGE, ...segment(n % 16)]); } },
    lists: {
      greeted: (send) => {
        for (let from = 0; from < 100_000; from += 256) {
          send([HAVE, ...rendition, ...number(256), ...Array.from({ length: 256 }, (_, n) => entry(n === 0 ? from : 0, from + n, 1 << 28)).flat()]);
        }
      },
    },
    unasked: { greeted: (send) => send([PIECE, ...number(4000), 0, ...noise(16384)]) },
    dribble: { shows: true, asked: (send, { id }) => send([PIECE, ...number(id), 0, 7]) },
    again: {
      shows: true,
      asked: (send, { id, length }) => {
        for (let n = 0; n < 400; n++) for (let at = 0; at < length; at += 16384) send([PIECE, ...number(id), ...number(at), ...noise(Math.min(16384, length - at))]);
      },
    },
    noise: {
      shows: true,
      asked: (send, { id, length }) => { for (let at = 0; at < length; at += 16384) send([PIECE, ...number(id), ...number(at), ...noise(Math.min(16384, length - at))]); },
    },
    liar: { shows: true },
    refuser: { shows: true, asked: (send, { id }) => { send([REJECT, ...number(id), 0]); send(all); } },
    loris: { shows: true, asked: (send, { id, length }) => send([PIECE, ...number(id), 0, ...noise(Math.min(16384, length))]) },
    claims: { always: (send) => { for (let n = 0; n < sizes.length; n++) send([CLAIM, ...segment(n), ...number(15_000)]); } },
    crier: { always: (send) => { send([EDGE, ...segment(60)]); send([INTEREST, ...rendition, 0, ...number(2 ** 40)]); } },
    greedy: { always: (send, n) => { for (let block = 0; block < 8; block++) send([REQUEST, ...number(n * 8 + block), ...segment(n % 16), block, 0]); } },
    twin: { shows: true },
  };

  const bytesOf = (name) => `-AT0001-pool${name}`;
  let peers = 0;

  function connect(role, name) {
    const connection = new RTCPeerConnection();
    const channel = connection.createDataChannel('potluck', { ordered: true, negotiated: true, id: 0 });
    channel.binaryType = 'arraybuffer';
    const { greeted, asked, always, shows } = ROLES[role] ?? {};
    const send = (bytes) => {
      try {
        channel.send(bytes instanceof Uint8Array ? bytes : Uint8Array.from(bytes));
      } catch {
        // It was closed, or takes no more.
      }
    };
    let timer;
    let victim = null;
    const opened = new Promise((resolve) => {
      channel.onopen = () => {
        said.open[role] = (said.open[role] ?? 0) + 1;
        // Who does not know of lists is asked for blocks only.
        const capabilities = UPLOAD_ORIGIN + (role === 'liar' ? LISTS : 0);
        if (role !== 'mute') send([HELLO, 1, capabilities, ...infoHash, ...new TextEncoder().encode(bytesOf(name))]);
        resolve(true);
      };
    });
    channel.onmessage = ({ data }) => {
      const bytes = new Uint8Array(data);
      if (bytes[0] === HELLO && victim === null) {
        victim = latin1(bytes.slice(-20));
        if (shows) send(all);
        greeted?.(send);
        let n = 0;
        if (always) timer = setInterval(() => always(send, n++), 100);
      }
      if (bytes[0] !== REQUEST) return;
      const request = read(bytes);
      if (request.block === 65535) return;
      said.requests[role] = (said.requests[role] ?? 0) + 1;
      said.victims[role] = [...new Set([...(said.victims[role] ?? []), victim])];
      asked?.(send, { ...request, length: Math.min(BLOCK, sizes[request.sequence] - request.block * BLOCK) });
    };
    channel.onclose = () => {
      clearInterval(timer);
      said.closed[role] = (said.closed[role] ?? 0) + 1;
    };
    return { connection, opened };
  }

  const gathered = async (connection) => {
    await connection.setLocalDescription(await connection.createOffer());
    await new Promise((resolve) => {
      if (connection.iceGatheringState === 'complete') resolve();
      connection.onicegatheringstatechange = () => { if (connection.iceGatheringState === 'complete') resolve(); };
      setTimeout(resolve, 2000);
    });
    return connection.localDescription.sdp;
  };

  const socket = async () => {
    const socket = new WebSocket(tracker);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error('no tracker'));
    });
    return socket;
  };
  const announce = (name, more) => JSON.stringify({ action: 'announce', info_hash: latin1(infoHash), peer_id: bytesOf(name), left: 1, ...more });

  /** The tracker gives offers to whoever is there: one attacker at a time, so that none goes to another. */
  let turn = Promise.resolve();
  const inTurn = (action) => {
    const done = turn.then(action);
    turn = done.catch(() => {});
    return done;
  };

  /** Makes offers to so many members, and leaves the tracker. */
  window.attack = async (role, name, victims) => {
    const names = role === 'twin' ? [name, name] : role === 'mute' ? Array.from({ length: 8 }, (_, n) => `mute-${String(n).padStart(3, '0')}`) : [name];
    const results = await Promise.all(names.map(async (name) => {
      const offers = await Promise.all(Array.from({ length: victims }, async (_, n) => {
        const peer = connect(role, name);
        return { ...peer, offer_id: `offer-${String(peers++).padStart(13, '0')}${n}`, sdp: await gathered(peer.connection) };
      }));
      return await inTurn(async () => {
        const tracker = await socket();
        tracker.onmessage = ({ data }) => {
          const { answer, offer_id } = JSON.parse(data);
          const offer = answer && offers.find((one) => one.offer_id === offer_id);
          if (offer && offer.connection.signalingState === 'have-local-offer') void offer.connection.setRemoteDescription(answer);
        };
        tracker.send(announce(name, { event: 'started', numwant: victims, offers: offers.map(({ offer_id, sdp }) => ({ offer_id, offer: { type: 'offer', sdp } })) }));
        const open = await Promise.all(offers.map(({ opened }) => Promise.race([opened, new Promise((resolve) => setTimeout(() => resolve(false), 1500))])));
        tracker.send(announce(name, { event: 'stopped' }));
        tracker.close();
        return open.every(Boolean);
      });
    }));
    return results.every(Boolean);
  };

  /** Offers whose descriptions are bombs, and answers to offers that nobody made. */
  window.bombard = () => inTurn(async () => {
    const tracker = await socket();
    const head = 'v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n';
    const bombs = [
      head + 'm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 VP8/90000\r\n'.repeat(90),
      `${head}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n${'a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n'.repeat(100)}`,
      head + 'x'.repeat(30_000),
      'not a description',
    ];
    for (let round = 0; round < 10; round++) {
      const name = `bomb-${String(round).padStart(3, '0')}`;
      const offers = bombs.map((sdp, n) => ({ offer_id: `bomb-${String(round).padStart(14, '0')}${n}`, offer: { type: 'offer', sdp } }));
      tracker.send(announce(name, { event: 'started', numwant: offers.length, offers }));
    }
    tracker.onmessage = ({ data }) => {
      // Each offer that comes is answered, with an id that was never made, and with a description that is none.
      const { offer, peer_id } = JSON.parse(data);
      if (!offer) return;
      for (const offer_id of ['never-made-by-anyone', latin1(noise(20))]) {
        tracker.send(announce('bomb-000', { to_peer_id: peer_id, offer_id, answer: { type: 'answer', sdp: bombs[0] } }));
      }
    };
    await new Promise((resolve) => setTimeout(resolve, 1000));
    for (let round = 0; round < 10; round++) tracker.send(announce(`bomb-${String(round).padStart(3, '0')}`, { event: 'stopped' }));
    tracker.close();
  });
}
