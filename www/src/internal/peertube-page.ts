// Addresses of pages, not of playlists: what can be told without asking anybody.

/** A page of a PeerTube instance that shows one video. */
export const PEERTUBE_PAGE = /\/(w|videos\/(watch|embed))\/[\w-]+\/?([?#;]|$)/;
