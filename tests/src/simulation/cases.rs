//! The cases by which the swarm's policy is judged, each with what is possible and what is asked for.

use super::origin::{Fault, FaultKind};
use super::title::{Hashes, Title};
use super::world::World;

/// Bytes of peer messages beside their media, over media bytes: at most, on average over the seeds.
pub const MOST_CONTROL: f64 = 0.02;
/// Bytes that were held already, over media bytes: at most, on average over the seeds.
pub const MOST_DUPLICATES: f64 = 0.01;
/// Connections of each viewer at most, where there are more viewers than that.
const NEIGHBOURS: usize = 30;

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bar {
    /// Copies per segment, of segments published after the last join, at most.
    Copies(f64),
    /// Part of the media bytes that peers bring, at least.
    Offload(f64),
    /// Seconds to the first frame for 95 % of the viewers, at most.
    FirstFrame(f64),
    /// Like `Copies`, of what honest viewers take, and no wrong byte is appended, and no polluter goes on for more than
    /// 10 s.
    Honest(f64),
}

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it is, as the simulator's options.
    pub name: String,
    /// The least copies per segment that the viewers' uplinks allow; `None` where that is not what counts.
    pub limit: Option<f64>,
    /// What is asked for.
    pub bar: Bar,
    /// The world, with its first seed.
    pub world: World,
}

/// Bytes of media in a byte on the line of a data channel.
const PAYLOAD: f64 = 1_120.0 / 1_213.0;

/// The least copies of a segment for `viewers`, of whom `blocked` (a share) reach nobody, with uplinks of `ratio` times
/// the stream's rate of whom `giving` (a share) give.
fn least_copies(viewers: f64, ratio: f64, giving: f64, blocked: f64) -> f64 {
    let uplinks = ratio * PAYLOAD * giving * (1.0 - blocked);
    let shared = 1.0 - blocked - 1.0 / viewers;
    viewers * (1.0 - shared.min(uplinks))
}

/// Copies of a segment for `viewers` with nine tenths of the offload that `limit` copies would be.
fn near(viewers: f64, limit: f64) -> Bar {
    Bar::Copies(viewers * (1.0 - 0.9 * (1.0 - limit / viewers)))
}

fn live(viewers: u32) -> World {
    let mut world = World { seconds: 90.0, ..World::live(viewers) };
    if viewers as usize > NEIGHBOURS {
        world.config.max_peers = NEIGHBOURS;
    }
    // Sixteen seconds behind the edge, with what a viewer takes to see a segment.
    world.title.hold_back = Some(14.0);
    world.join_spacing = (20.0 / f64::from(viewers)).min(1.0);
    world
}

fn film(viewers: u32, ratio: f64) -> World {
    let title = Title::new(vec![1_000_000], 4.0, Some(300.0));
    let world = World { seconds: 330.0, join_spacing: 5.0, ..World::of(title, viewers) };
    World { uplink_bps: (1e6 * ratio) as u64, ..world }
}

/// All cases with at most `most` viewers, whose names contain `name`.
#[must_use]
pub fn cases(most: u32, name: &str) -> Vec<Case> {
    let mut out = Vec::new();
    let mut add = |name: String, limit: Option<f64>, bar: Bar, world: World| {
        if world.viewers <= most {
            out.push(Case { name, limit, bar, world });
        }
    };
    for viewers in [2, 5, 10, 30, 100, 1_000, 10_000, 100_000] {
        let bar = Bar::Copies(if viewers <= 30 { 1.1 } else { 3.0 });
        add(format!("live, {viewers}"), Some(1.0), bar, live(viewers));
    }
    for viewers in [30, 100, 1_000, 10_000, 100_000] {
        for (name, blocked, riders, churn) in [
            ("20 % blocked", 0.2, 0.0, 0.0),
            ("30 % free riders", 0.0, 0.3, 0.0),
            ("5 %/min churn", 0.0, 0.0, 0.05),
            ("all three", 0.2, 0.3, 0.05),
        ] {
            let n = f64::from(viewers);
            let limit = least_copies(n, 2.0, 1.0 - riders, blocked);
            let world = World {
                blocked_share: blocked,
                free_rider_share: riders,
                churn_per_minute: churn,
                ..live(viewers)
            };
            add(format!("live, {viewers}, {name}"), Some(limit), near(n, limit), world);
        }
    }
    // Half of those behind a NAT reach the other half only: its uplinks carry both. Slow ones have a tenth of the uplink.
    let outage = Fault { from: 40.0, until: 45.0, kind: FaultKind::Status(503) };
    for (name, giving, world) in [
        ("20 % slow", 0.82, World { slow_share: 0.2, ..live(20) }),
        ("50 % behind NATs", 1.0, World { nat_share: 0.5, ..live(20) }),
        ("1 % loss", 1.0, World { loss: 0.01, ..live(20) }),
        ("origin out for 5 s", 1.0, World { faults: vec![outage], ..live(20) }),
    ] {
        let limit = least_copies(20.0, 2.0, giving, 0.0);
        add(format!("live, 20, {name}"), Some(limit), near(20.0, limit), world);
    }
    let mut short = World::of(Title::new(vec![1_000_000], 2.0, None), 12);
    (short.title.hold_back, short.seconds) = (Some(6.0), 90.0);
    let of_two_seconds = "live, 12, 2 s segments, 6 s behind".to_owned();
    add(of_two_seconds, Some(1.0), Bar::Copies(1.1), short);
    for viewers in [20, 100] {
        for ratio in [1.0, 0.5] {
            let limit = least_copies(f64::from(viewers), ratio, 1.0, 0.0);
            let world = World { uplink_bps: (1e6 * ratio) as u64, ..live(viewers) };
            let name = format!("live, {viewers}, uplink {ratio}");
            add(name, Some(limit), Bar::Copies(1.15 * limit), world);
        }
    }
    add("film, 10, 5 s apart".to_owned(), None, Bar::Offload(0.88), film(10, 2.0));
    let arrivals = World { poisson: true, ..film(10, 2.0) };
    add("film, 10, Poisson, 5 s apart".to_owned(), None, Bar::Offload(0.88), arrivals);
    add("film, 2, 5 s apart, uplink 1".to_owned(), None, Bar::Offload(0.46), film(2, 1.0));
    for viewers in [30, 100] {
        let mut world = World { polluter_share: 0.1, ..live(viewers) };
        world.title.hashes = Hashes::Roots;
        let name = format!("live, {viewers}, 10 % polluters, hash lists");
        add(name, Some(1.0), Bar::Honest(3.0), world);
    }
    let crowd = World {
        join_spacing: 0.01,
        origin_limit_bps: Some(20_000_000),
        seconds: 60.0,
        ..live(1_000)
    };
    add("1,000 join in 10 s, origin 20 x".to_owned(), None, Bar::FirstFrame(6.0), crowd);
    out.retain(|case| case.name.contains(name));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_copies_are_one_or_what_uplinks_lack() {
        assert!((least_copies(30.0, 2.0, 1.0, 0.0) - 1.0).abs() < 1e-9);
        assert!((least_copies(20.0, 0.5, 1.0, 0.0) - 10.77).abs() < 0.01);
        assert!(
            (least_copies(30.0, 2.0, 1.0, 0.2) - 7.0).abs() < 1e-9,
            "the blocked take a copy each"
        );
    }

    #[test]
    fn large_cases_are_left_out_when_they_are_not_asked_for() {
        assert!(cases(30, "").iter().all(|case| case.world.viewers <= 30));
        assert!(cases(100_000, "live, 1").iter().any(|case| case.world.viewers == 100_000));
    }

    #[test]
    fn whoever_is_in_a_large_swarm_has_thirty_neighbours() {
        for case in cases(100_000, "") {
            let viewers = case.world.viewers as usize;
            assert!(viewers <= 30 || case.world.config.max_peers == 30, "{}", case.name);
        }
    }
}
