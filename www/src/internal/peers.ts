// The page's part of sharing, loaded when there is somebody to share with: the connections, and whether this device gives at the moment.

import type { ToPage, ToWorker } from './protocol.js';
import { RtcBridge } from './rtc-bridge.js';

/** Below this level, and not charging, a battery is for its owner. */
const LOW_BATTERY = 0.2;

interface Connection extends EventTarget {
  type?: string;
  saveData?: boolean;
  metered?: boolean;
}

interface Battery extends EventTarget {
  level: number;
  charging: boolean;
}

export interface PeersOptions {
  send: (message: ToWorker, transfer?: Transferable[]) => void;
  /** Asked for each new connection. */
  configuration: () => RTCConfiguration;
  /** Whether the page wishes to give while it is hidden. */
  givesHidden: () => boolean;
  /** Told at first and on each change why this device gives nothing (a name for `stats.uploadState`); empty: it gives. */
  onHeld: (why: string) => void;
}

export class Peers {
  readonly #options: PeersOptions;
  readonly #bridge: RtcBridge;
  readonly #connection = (navigator as { connection?: Connection }).connection;
  readonly #listening = new AbortController();
  #battery: Battery | null = null;

  /** Resolves once it has told whether this device gives: no connection is made before. */
  static async start(options: PeersOptions): Promise<Peers> {
    const peers = new Peers(options);
    await peers.#watch();
    return peers;
  }

  private constructor(options: PeersOptions) {
    this.#options = options;
    this.#bridge = new RtcBridge(options.send, options.configuration);
  }

  handle(message: Extract<ToPage, { connection: number }>): void {
    this.#bridge.handle(message);
  }

  close(): void {
    this.#listening.abort();
    this.#bridge.close();
  }

  /** Looks again. */
  readonly judge = (): void => {
    const { type, saveData, metered } = this.#connection ?? {};
    const dear = saveData === true || metered === true || type === 'cellular';
    const low = this.#battery !== null && !this.#battery.charging && this.#battery.level < LOW_BATTERY;
    const hidden = document.hidden && !this.#options.givesHidden();
    this.#options.onHeld(dear ? 'metered' : low ? 'battery' : hidden ? 'hidden' : '');
  };

  async #watch(): Promise<void> {
    const { signal } = this.#listening;
    this.#connection?.addEventListener('change', this.judge, { signal });
    document.addEventListener('visibilitychange', this.judge, { signal });
    const { getBattery } = navigator as { getBattery?: () => Promise<Battery> };
    // Refused in some iframes.
    this.#battery = await getBattery?.call(navigator).catch(() => null) ?? null;
    for (const type of ['levelchange', 'chargingchange']) this.#battery?.addEventListener(type, this.judge, { signal });
    this.judge();
  }
}
