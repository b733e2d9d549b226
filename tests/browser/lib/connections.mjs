// What a page does with WebRTC, watched from inside.

/**
 * Runs in a page before anything else (`before` of `openViewer`). `window.rtc` then has: how many connections were `made`, those that
 * are `open` and how many were at `most`; the `servers` they were given, the `candidates` the browser found, sent or not; the
 * `descriptions` of both sides, and how many were `learnt` from others.
 */
export function watchConnections() {
  const rtc = { made: 0, open: new Set(), most: 0, servers: [], candidates: [], descriptions: [], learnt: 0 };
  window.rtc = rtc;
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...options) {
      super(...options);
      rtc.made += 1;
      rtc.open.add(this);
      rtc.most = Math.max(rtc.most, rtc.open.size);
      rtc.servers.push(...(this.getConfiguration().iceServers ?? []));
      this.addEventListener('icecandidate', ({ candidate }) => {
        if (candidate?.candidate) rtc.candidates.push(candidate.candidate);
      });
      this.addEventListener('icegatheringstatechange', () => {
        if (this.localDescription) rtc.descriptions.push(this.localDescription.sdp);
      });
    }

    async setRemoteDescription(description) {
      rtc.learnt += 1;
      rtc.descriptions.push(description.sdp);
      await super.setRemoteDescription(description);
    }

    close() {
      rtc.open.delete(this);
      super.close();
    }
  };
}
