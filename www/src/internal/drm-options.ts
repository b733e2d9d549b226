// What a page says about licences: the type of the element's property `drm`.

/** One key system. */
export interface DrmSystem {
  /** Where licences are asked for, by POST. */
  licenseUrl?: string;
  /** Headers of these requests. */
  headers?: Record<string, string>;
  /** Whether cookies go to another site with them. */
  withCredentials?: boolean;
  /** The server's certificate (FairPlay needs one). */
  certificateUrl?: string;
  /** As in `MediaKeySystemMediaCapability`. */
  videoRobustness?: string;
  audioRobustness?: string;
  /** For `org.w3.clearkey`: keys by their ids, both in hexadecimal. */
  keys?: Record<string, string>;
}

/** By the key system's name. */
export interface DrmConfiguration {
  'com.widevine.alpha'?: DrmSystem;
  'com.microsoft.playready'?: DrmSystem;
  'com.apple.fps'?: DrmSystem;
  'org.w3.clearkey'?: DrmSystem;
  /** Brings licences for systems without a `licenseUrl`. */
  licenseRequest?: (system: string, message: Uint8Array, type: MediaKeyMessageType) => Promise<BufferSource>;
}
