//! Who asks the origin: rendezvous hashing among the peers that want a segment. Each computes the same order
//! from what it knows, so that one fetches and the others wait their turn; when a peer leaves, only its share moves.

use std::time::Duration;

use super::{Peer, Swarm};
use crate::time::Instant;
use crate::wire::{PeerId, SegmentId};

/// Seconds between two places of the order: longer than news takes.
pub(crate) const STEP: f64 = 0.8;
/// Seconds between two numbers of the lottery, and between one and twice as much beyond the second: a claim takes a few
/// tenths of a second through a large swarm, and each tenth that the first waits is missed by those who are far from it.
const SPACING: f64 = 0.35;
const DOUBLING: f64 = 0.6;
/// One in so many members brings a copy of a segment's first block, which is due first: it has so much less far to go.
const OPENERS: f64 = 32768.0;
/// So many at most.
pub(crate) const MAX_OPENERS: u16 = 8;
/// A live peer whose window ends this many segments before one will want it too: news of its window is on the way, or
/// it has not looked at the playlist yet.
pub(crate) const LAG: u64 = 3;
/// Viewers of a film who are so many segments behind the foremost share the turns at the origin with it: so the
/// foremost need not give everything to all others.
pub(crate) const ABREAST: u64 = 2;

impl Swarm {
    /// How many members trackers told of, and how many there may be by now. The first may be a while ago: if neighbours
    /// name more, there are more.
    pub(crate) fn set_size(&mut self, told: usize, estimate: usize) {
        self.size = told.max(self.introductions.named);
        self.drawing = estimate.max(self.size);
    }

    /// How many members the swarm has, as far as is known.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// The same by offers that came since.
    pub(crate) const fn drawing(&self) -> usize {
        self.drawing
    }

    /// How many peers are to fetch `segment` from the origin before this one does.
    ///
    /// Candidates can fetch and give, want the segment and do not hold it. For VOD the nearest playheads come
    /// first, because they need the bytes soonest; for live all are alike and the hash decides. A live peer
    /// that has not seen the segment yet counts too, if it is at most `lag` beyond its window: it will within the
    /// gossip's delay. 0 for VOD.
    pub(crate) fn rank(&self, segment: SegmentId, playhead: u64, lag: u64) -> usize {
        let abreast = if lag > 0 {
            0
        } else {
            self.foremost(segment, playhead).saturating_sub(self.abreast())
        };
        let key = |peer: &PeerId, playhead: u64| {
            let behind = if lag > 0 { 0 } else { abreast.saturating_sub(playhead) };
            (behind, score(peer, segment))
        };
        let own = key(&self.own.peer_id, playhead);
        let before = |peer: &&Peer| {
            let playhead = peer.lacks(segment, lag);
            playhead.is_some_and(|playhead| key(&peer.id.unwrap_or_default(), playhead) < own)
        };
        self.peers.values().filter(before).count()
    }

    /// How many segments behind the foremost takes turns with it: none while uplinks have much to spare, so that one gives all.
    fn abreast(&self) -> u64 {
        if self.is_strained() { ABREAST } else { 0 }
    }

    /// The foremost playhead of those that can fetch a segment.
    pub(crate) fn foremost(&self, segment: SegmentId, playhead: u64) -> u64 {
        let playheads = self.peers.values().filter_map(|peer| peer.lacks(segment, 0));
        playheads.fold(playhead, u64::max)
    }

    /// How many peers come before this one in the order of one of a segment's stripes, and how many there are, this one
    /// included. All who give and want the segment count, whatever they hold of it by now.
    pub(crate) fn stripe_rank(&self, segment: SegmentId, stripe: u16) -> (usize, usize) {
        let salted = salted(segment, stripe);
        let own = score(&self.own.peer_id, salted);
        let (mut rank, mut all) = (0, 1);
        for peer in self.peers.values() {
            if peer.awaits(segment, LAG).is_some() {
                all += 1;
                rank += usize::from(score(&peer.id.unwrap_or_default(), salted) < own);
            }
        }
        (rank, all)
    }

    /// The number that this one has drawn out of so many members: the lowest is 1 on average, the next 2.
    pub(super) fn number(&self, segment: SegmentId, members: f64) -> f64 {
        score(&self.own.peer_id, segment) as f64 / u64::MAX as f64 * members
    }

    /// Whether all members are connected to this one.
    pub(crate) fn is_full_mesh(&self) -> bool {
        self.size <= self.ready_peers() + 1
    }

    /// How long this one waits before it fetches `segment` from the origin, if it hears of nobody else who does.
    ///
    /// Where everybody is connected the rank decides. Elsewhere there would be a first in each neighbourhood, so for
    /// live a lottery over all members is added: the winner's number is 1 on average, and the next one's 2. Their
    /// distance in time has to be longer than a claim takes through the swarm.
    pub(crate) fn turn(&self, segment: SegmentId, playhead: u64, lag: u64) -> Duration {
        let live = lag > 0;
        let rank = self.rank(segment, playhead, lag).min(50) as f64;
        let mut wait = rank * STEP;
        if live && self.size > self.ready_peers() + 1 {
            wait = self.drawn(segment, self.drawing as f64, DOUBLING).max(wait.min(STEP));
        }
        if !self.gives() {
            // Nobody else has anything of what it fetches: it waits for those who give.
            wait += 4.0 * STEP;
        }
        Duration::from_secs_f64(wait)
    }

    /// Seconds by this one's number in a lottery of so many members: 1 on average for the lowest, 2 for the next.
    fn drawn(&self, segment: SegmentId, members: f64, doubling: f64) -> f64 {
        let number = self.number(segment, members);
        // The far ones come in twice the number at each step.
        number.min(2.0) * SPACING + doublings(number / 2.0) * doubling
    }

    /// How long this one waits for a block that nobody is known to hold: each block has a lottery of its own, of those who
    /// watch the rendition.
    pub(crate) fn lot(&self, segment: SegmentId, block: u16) -> Duration {
        let watching = (self.watchers(segment.rendition) + 1) as f64 / (self.ready + 1) as f64;
        let drawn = self.drawn(salted(segment, block), self.drawing as f64 * watching, STEP);
        Duration::from_secs_f64(drawn)
    }

    /// Whether this one is to bring the first block of a segment that has just come out, one of `most` at most, beside whoever
    /// leads. In a swarm of twice the size a block has to double once more; with twice as many who have it at first it does not.
    pub(crate) fn opens(&self, segment: SegmentId, most: u16) -> bool {
        let members = self.drawing as f64;
        let openers = (members / OPENERS).min(most.min(MAX_OPENERS).into());
        !self.is_full_mesh()
            && !self.is_older(segment)
            && self.number(salted(segment, 0), members) < openers
    }

    /// The strongest of other peers' claims on this segment: for how many ms it was made, and until when it holds.
    pub(crate) fn claimed(&self, now: Instant, segment: SegmentId) -> Option<(u32, Instant)> {
        let mut strongest = None;
        for peer in self.peers.values() {
            strongest = strongest.max(peer.claimed(now, segment));
        }
        strongest
    }
}

/// The logarithm to the base of 2, 0 below 1, to a thousandth. The same bits on each machine, which `log2` does not promise.
fn doublings(mut number: f64) -> f64 {
    let mut whole = 0.0;
    while number >= 2.0 && whole < 64.0 {
        number /= 2.0;
        whole += 1.0;
    }
    let mut step = 1.0;
    for _ in 0..10 {
        step /= 2.0;
        number *= number;
        if number >= 2.0 {
            number /= 2.0;
            whole += step;
        }
    }
    whole
}

/// A part of a segment as if it were a segment, for an order of its own.
const fn salted(segment: SegmentId, part: u16) -> SegmentId {
    SegmentId { sequence: mix(segment.sequence ^ (part as u64) << 48), ..segment }
}

/// Rendezvous score: lower comes first.
pub(super) fn score(peer: &PeerId, segment: SegmentId) -> u64 {
    let mut hash = mix(segment.sequence ^ (u64::from(segment.rendition.0) << 32));
    for chunk in peer.0.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = mix(hash ^ u64::from_le_bytes(word));
    }
    hash
}

/// SplitMix64's finaliser.
pub(super) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{InfoHash, RenditionId};

    #[test]
    fn doublings_are_the_logarithm() {
        for number in [0.0, 0.3, 1.0, 1.01, 1.99, 2.0, 3.0, 1000.0, 1e9] {
            let exact = f64::log2(f64::max(number, 1.0));
            assert!((doublings(number) - exact).abs() < 1e-3, "{number}: {}", doublings(number));
        }
    }

    #[test]
    fn so_many_of_a_large_swarm_open_a_segment_as_it_has_doubled() {
        let opened = |members: usize, most: u16, came_at: u64| {
            let mut swarm = Swarm::new(InfoHash::default(), PeerId([3; 20]), true);
            swarm.set_size(members, members);
            swarm.came_at = came_at;
            let segment = |sequence| SegmentId { rendition: RenditionId(7), sequence };
            (1..=400_000).filter(|of| swarm.opens(segment(*of), most)).count()
        };
        // In 400,000 segments one viewer of so many has 400,000 / OPENERS turns.
        let usual = opened(65_536, 8, 0);
        assert!((6..22).contains(&usual), "{usual}");
        assert_eq!(opened(131_072, 8, 0), usual);
        assert!(opened(131_072, 1, 0) < usual, "no more than it has blocks");
        assert!(opened(2_000_000, 100, 0) < usual, "eight at most");
        assert_eq!(opened(131_072, 8, 400_000), 0, "what was out before is out");
        assert_eq!(opened(1, 8, 0), 0, "all are connected");
    }

    #[test]
    fn each_peer_gets_its_share_and_a_leaver_moves_only_its_own() {
        let peers: Vec<PeerId> = (0..10u8).map(|n| PeerId([n; 20])).collect();
        let first = |peers: &[PeerId], sequence: u64| {
            let segment = SegmentId { rendition: RenditionId(7), sequence };
            *peers.iter().min_by_key(|peer| score(peer, segment)).unwrap()
        };
        let mut shares = [0; 10];
        for sequence in 0..1000 {
            let winner = first(&peers, sequence);
            shares[usize::from(winner.0[0])] += 1;
            if winner != peers[9] {
                assert_eq!(first(&peers[..9], sequence), winner);
            }
        }
        assert!(shares.iter().all(|share| (60..150).contains(share)), "{shares:?}");
    }
}
