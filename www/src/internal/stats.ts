import type { EngineStats } from './protocol.js';

/** What the statistics are before anything was loaded. */
export function noStats(): EngineStats {
  return {
    httpBytes: 0, peerBytes: 0, cacheBytes: 0, uploadedBytes: 0, duplicateBytes: 0, rejectedBytes: 0, controlBytes: 0, playlistBytes: 0, httpRequests: 0,
    peers: 0, peerList: [], karma: { given: 0, taken: 0 }, bannedPeers: [], verified: 'spot-checks', checkBytes: 0,
    peerState: 'off', uploadState: 'off', trackerFailure: null, swarmSize: 0, liveLatency: NaN, bandwidth: 0, rendition: -1,
    bufferAhead: 0, storeBytes: 0, rebuffers: 0, rebufferSeconds: 0, pathway: '', trace: [], segments: [],
  };
}
