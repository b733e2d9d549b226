//! WebTorrent tracker protocol.
