// RTCPeerConnection exists only on the page: this makes connections when the engine asks and hands their data channels to the
// worker, by transfer where the browser can, else by relaying each message.

import type { ToPage, ToWorker } from './protocol.js';

type BridgeMessage = Extract<ToPage, { connection: number }>;
type Send = (message: ToWorker, transfer?: Transferable[]) => void;

/** How long candidates are gathered, in ms; those found until then go into the description. */
const GATHERING_MS = 2000;
/** A connection without a path this long is given up, in ms; browsers take up to half a minute to call it failed. */
const DISCONNECTED_MS = 8000;
/** Same as `Config::send_buffer_low` in the core: above it the engine is not told that the channel takes more. */
const BUFFERED_LOW = 8 << 10;
const LABEL = 'potluck';
/** Both sides make the channel, before there is a path: one that is announced by the other side may have received messages before it can be
 * transferred, and those would be lost. */
const CHANNEL: RTCDataChannelInit = { ordered: true, negotiated: true, id: 0 };

/** Whether channels can be transferred; null until the first was tried. One answer for the whole page. */
let transferable: boolean | null = null;

interface Peer {
  connection: RTCPeerConnection;
  /** Only when it is relayed. */
  channel: RTCDataChannel | null;
  disconnectedTimer: ReturnType<typeof setTimeout> | undefined;
}

/** The connections of one engine. */
export class RtcBridge {
  readonly #send: Send;
  readonly #configuration: () => RTCConfiguration;
  readonly #peers = new Map<number, Peer>();
  #made = false;

  /** `configuration` is asked for each new connection. */
  constructor(send: Send, configuration: () => RTCConfiguration) {
    this.#send = send;
    this.#configuration = configuration;
  }

  /** Whether this browser has WebRTC at all. */
  static get available(): boolean {
    return typeof globalThis.RTCPeerConnection === 'function';
  }

  /** Number of connections, for tests and statistics. */
  get size(): number {
    return this.#peers.size;
  }

  /** Never throws: what goes wrong closes that connection. */
  handle(message: BridgeMessage): void {
    const id = message.connection;
    switch (message.type) {
      case 'create-offer':
        this.#attempt(id, this.#createOffer(id));
        return;
      case 'create-answer':
        this.#attempt(id, this.#createAnswer(id, message.sdp));
        return;
      case 'accept-answer':
        this.#attempt(id, this.#acceptAnswer(id, message.sdp));
        return;
      case 'close-peer':
        this.#close(id);
        return;
      case 'relay-send':
        this.#relay(id, message.data);
    }
  }

  /** Closes every connection; the engine is not told. */
  close(): void {
    for (const id of [...this.#peers.keys()]) this.#close(id);
  }

  async #createOffer(id: number): Promise<void> {
    const { connection } = this.#connect(id);
    await connection.setLocalDescription(await connection.createOffer());
    const sdp = await this.#gathered(id, connection);
    if (sdp !== null) this.#send({ type: 'offer-ready', connection: id, sdp });
  }

  async #createAnswer(id: number, offer: string): Promise<void> {
    const { connection } = this.#connect(id);
    await connection.setRemoteDescription({ type: 'offer', sdp: offer });
    await connection.setLocalDescription(await connection.createAnswer());
    const sdp = await this.#gathered(id, connection);
    if (sdp !== null) this.#send({ type: 'answer-ready', connection: id, sdp });
  }

  async #acceptAnswer(id: number, sdp: string): Promise<void> {
    await this.#peers.get(id)?.connection.setRemoteDescription({ type: 'answer', sdp });
  }

  #connect(id: number): Peer {
    this.#close(id);
    const connection = this.#create();
    const peer: Peer = { connection, channel: null, disconnectedTimer: undefined };
    this.#peers.set(id, peer);
    connection.addEventListener('connectionstatechange', () => {
      clearTimeout(peer.disconnectedTimer);
      const state = connection.connectionState;
      if (state === 'failed' || state === 'closed') this.#lost(id, peer);
      else if (state === 'disconnected') peer.disconnectedTimer = setTimeout(() => {
        this.#lost(id, peer);
      }, DISCONNECTED_MS);
    });
    connection.addEventListener('datachannel', ({ channel }) => {
      // One channel per connection; a peer that opens more is no peer of ours.
      channel.close();
    });
    this.#handOver(id, connection.createDataChannel(LABEL, CHANNEL));
    return peer;
  }

  #create(): RTCPeerConnection {
    try {
      const connection = new RTCPeerConnection(this.#configuration());
      this.#made = true;
      return connection;
    } catch (cause) {
      // A policy or an extension that blocks WebRTC shows at the first; later it may just be one connection too many.
      if (!this.#made) this.#send({ type: 'webrtc-unavailable' });
      throw cause;
    }
  }

  /** Has to run in the task that made the channel: afterwards it cannot be transferred any more. */
  #handOver(id: number, channel: RTCDataChannel): void {
    channel.binaryType = 'arraybuffer';
    if (transferable !== false) {
      try {
        this.#send({ type: 'peer-channel', connection: id, channel }, [channel]);
        transferable = true;
        return;
      } catch {
        // DataCloneError, or a TypeError in browsers that do not know channels as transferable.
        transferable = false;
      }
    }
    const peer = this.#peers.get(id);
    if (!peer) return;
    peer.channel = channel;
    channel.bufferedAmountLowThreshold = BUFFERED_LOW;
    channel.addEventListener('open', () => {
      this.#send({ type: 'relay-open', connection: id });
    });
    channel.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
      if (data instanceof ArrayBuffer) this.#send({ type: 'relay-message', connection: id, data }, [data]);
      // The protocol is binary: text is not from a peer of ours.
      else this.#lost(id, peer);
    });
    channel.addEventListener('bufferedamountlow', () => {
      this.#send({ type: 'relay-buffered', connection: id, amount: channel.bufferedAmount });
    });
    channel.addEventListener('close', () => {
      this.#lost(id, peer);
    });
    if (channel.readyState === 'open') this.#send({ type: 'relay-open', connection: id });
  }

  #relay(id: number, data: ArrayBuffer): void {
    const peer = this.#peers.get(id);
    if (!peer?.channel) return;
    try {
      peer.channel.send(data);
      this.#send({ type: 'relay-buffered', connection: id, amount: peer.channel.bufferedAmount });
    } catch {
      this.#lost(id, peer);
    }
  }

  /** The local description with all candidates, or with those found in time; null when the connection was closed meanwhile. */
  async #gathered(id: number, connection: RTCPeerConnection): Promise<string | null> {
    if (connection.iceGatheringState !== 'complete') {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, GATHERING_MS);
        connection.addEventListener('icegatheringstatechange', () => {
          if (connection.iceGatheringState !== 'complete') return;
          clearTimeout(timer);
          resolve();
        });
      });
    }
    return this.#peers.get(id)?.connection === connection ? (connection.localDescription?.sdp ?? null) : null;
  }

  /** Failures of a connection that is gone already are of no interest. */
  #attempt(id: number, step: Promise<void>): void {
    const peer = this.#peers.get(id);
    step.catch(() => {
      if (!peer) this.#send({ type: 'peer-closed', connection: id });
      else this.#lost(id, peer);
    });
  }

  #lost(id: number, peer: Peer): void {
    if (this.#peers.get(id) !== peer) return;
    this.#close(id);
    this.#send({ type: 'peer-closed', connection: id });
  }

  #close(id: number): void {
    const peer = this.#peers.get(id);
    if (!peer) return;
    this.#peers.delete(id);
    clearTimeout(peer.disconnectedTimer);
    peer.channel?.close();
    peer.connection.close();
  }
}
