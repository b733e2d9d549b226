//! Where each connection is on its way, and for how long.

use std::time::Duration;

use crate::io::{ConnectionId, TrackerId};
use crate::time::Instant;
use crate::tracker::binary::OfferId;
use crate::tracker::message::Offer;
use crate::wire::PeerId;

/// How long a browser may take to gather candidates, and how long a connection to open.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// An offer that was handed out and has no answer is closed after this long.
pub(super) const OFFER_LIFETIME: Duration = Duration::from_secs(25);
/// An offer that waits for longer is gathered anew: addresses and NAT mappings change.
pub(super) const READY_LIFETIME: Duration = Duration::from_secs(300);

/// Where a connection is on its way.
#[derive(Debug)]
pub(super) enum Stage {
    /// Ours: candidates are being gathered.
    Gathering {
        until: Instant,
    },
    /// Ours: waits for a tracker to hand it out.
    Ready {
        offer: Offer,
        since: Instant,
    },
    /// Ours: a tracker has it, and may have handed it out; or it was passed on to this peer.
    Announced {
        offer: Offer,
        since: Instant,
        at: Instant,
        to: Option<PeerId>,
    },
    /// Theirs: our answer is being gathered.
    Answering {
        peer: PeerId,
        via: Via,
        offer_id: OfferId,
        until: Instant,
    },
    /// Both sides have offer and answer.
    Connecting {
        peer: PeerId,
        offered: bool,
        until: Instant,
    },
    Open {
        peer: PeerId,
    },
}

impl Stage {
    pub(super) fn peer(&self) -> Option<PeerId> {
        match self {
            Self::Answering { peer, .. } | Self::Connecting { peer, .. } | Self::Open { peer } => {
                Some(*peer)
            }
            _ => None,
        }
    }

    /// When the connection is given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Gathering { until }
            | Self::Answering { until, .. }
            | Self::Connecting { until, .. } => Some(*until),
            Self::Ready { since, .. } => Some(*since + READY_LIFETIME),
            Self::Announced { at, .. } => Some(*at + OFFER_LIFETIME),
            Self::Open { .. } => None,
        }
    }
}

/// Who brought an offer, and is to forward the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    Tracker(TrackerId),
    Peer(ConnectionId),
}

/// How many connections are in each stage.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Census {
    pub(super) gathering: usize,
    pub(super) ready: usize,
    pub(super) announced: usize,
    /// Announced ones that may still be answered soon.
    pub(super) fresh: usize,
    pub(super) connecting: usize,
    /// Offers that were passed on to certain peers just now.
    pub(super) introducing: usize,
    pub(super) open: usize,
}
