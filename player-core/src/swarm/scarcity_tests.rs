//! What is done so that scarce uplinks carry only what is needed.

use super::*;
use crate::proof::Proof;
use crate::store::Source;
use crate::wire::{BLOCK_BYTES, Bitfield, HaveEntry, PIECE_BYTES, RejectReason};

const RENDITION: RenditionId = RenditionId(1);
const SEGMENT: SegmentId = SegmentId { rendition: RENDITION, sequence: 5 };
const BLOCKS: u16 = 6;

fn at(seconds: f64) -> Instant {
    Instant::from_micros((seconds * 1e6) as u64)
}

/// A store that holds the first `blocks` blocks of [`SEGMENT`].
fn store(blocks: u16) -> Store {
    let mut store = Store::default();
    store.prepare(SEGMENT, u32::from(BLOCKS) * BLOCK_BYTES, 9, Proof::None);
    for block in 0..blocks {
        let data = Bytes::from(vec![1; BLOCK_BYTES as usize]);
        store.insert(SEGMENT, block, data, Source::Http);
    }
    store
}

/// A swarm with so many peers.
fn swarm(peers: u32, store: &Store) -> Swarm {
    let mut swarm = Swarm::new(InfoHash::default(), PeerId([99; 20]), true);
    for number in 0..peers {
        let hello = Hello {
            version: VERSION,
            capabilities: capabilities(true),
            info_hash: InfoHash::default(),
            peer_id: PeerId([number as u8; 20]),
        };
        swarm.connected(at(0.0), ConnectionId(number), None);
        swarm.message(at(0.0), ConnectionId(number), Message::Hello(hello), store);
    }
    drain(&mut swarm);
    swarm
}

/// The peer shows that it holds the first `blocks` blocks.
fn show(swarm: &mut Swarm, store: &Store, peer: u32, blocks: u16) {
    let mut held = Bitfield::empty(BLOCKS);
    (0..blocks).for_each(|block| held.set(block));
    let size = u32::from(BLOCKS) * BLOCK_BYTES;
    let entries = vec![HaveEntry { sequence: SEGMENT.sequence, tag: 9, size, blocks: held }];
    let have = Message::Have { rendition: RENDITION, entries };
    swarm.message(at(0.0), ConnectionId(peer), have, store);
}

/// All of [`SEGMENT`], due then.
fn due(deadline: f64) -> Blocks {
    Blocks {
        segment: SEGMENT,
        tag: 9,
        size: u32::from(BLOCKS) * BLOCK_BYTES,
        scarce: false,
        brief: false,
        urgent: false,
        deadline: at(deadline),
        first: 0,
        step: Duration::ZERO,
    }
}

fn line() -> Config {
    Config { send_buffer_high: 256 << 10, send_buffer_low: 4 << 10, ..Config::default() }
}

fn request(swarm: &mut Swarm, store: &Store, now: f64, peer: u32, due_ms: u32) {
    let block = peer as u16;
    let request = Message::Request { id: 1, segment: SEGMENT, block, due_ms };
    swarm.message(at(now), ConnectionId(peer), request, store);
    swarm.upload(at(now), store, &line());
}

fn drain(swarm: &mut Swarm) -> Vec<(u32, Message)> {
    std::iter::from_fn(|| swarm.poll_message()).map(|(to, message)| (to.0, message)).collect()
}

/// Who was told that too many wait.
fn full(swarm: &mut Swarm) -> Vec<u32> {
    let full = |(to, message): (u32, Message)| {
        matches!(message, Message::Reject { reason: RejectReason::TooMany, .. }).then_some(to)
    };
    drain(swarm).into_iter().filter_map(full).collect()
}

/// Who was sent pieces.
fn pieces(swarm: &mut Swarm) -> Vec<u32> {
    let piece =
        |(to, message): (u32, Message)| matches!(message, Message::Piece { .. }).then_some(to);
    drain(swarm).into_iter().filter_map(piece).collect()
}

#[test]
fn what_has_not_begun_by_its_time_is_sent_no_more() {
    let store = store(BLOCKS);
    let mut swarm = swarm(3, &store);
    request(&mut swarm, &store, 1.0, 0, 5_000);
    request(&mut swarm, &store, 1.0, 1, 500);
    request(&mut swarm, &store, 1.0, 2, 0);
    assert_eq!(pieces(&mut swarm), [0], "a piece fills the line");
    for half in 6..13 {
        (0..3).for_each(|peer| swarm.writable(ConnectionId(peer)));
        swarm.upload(at(f64::from(half) / 2.0), &store, &line());
    }
    // What had begun is finished; of the others one is too late, and one is wanted at once whenever it comes.
    assert_eq!(pieces(&mut swarm), [0, 0, 0, 2, 2, 2, 2]);
}

#[test]
fn a_viewer_who_is_short_itself_begins_only_what_is_urgent() {
    let store = store(BLOCKS);
    let mut swarm = swarm(3, &store);
    swarm.set_short(true);
    request(&mut swarm, &store, 1.0, 0, 5_000);
    request(&mut swarm, &store, 1.0, 1, 1_000);
    for second in [1.2, 1.3, 1.4, 1.5] {
        swarm.writable(ConnectionId(1));
        swarm.upload(at(second), &store, &line());
    }
    assert_eq!(pieces(&mut swarm), [1, 1, 1, 1], "the other can wait");
    swarm.set_short(false);
    swarm.upload(at(1.6), &store, &line());
    assert_eq!(pieces(&mut swarm), [0]);
}

#[test]
fn a_budget_ends_what_is_given_and_peers_are_told() {
    let store = store(BLOCKS);
    let mut swarm = swarm(2, &store);
    let config = Config { upload_budget_bytes: Some(10_000), ..line() };
    for peer in [0, 1] {
        let request = Message::Request { id: 7, segment: SEGMENT, block: 0, due_ms: 0 };
        swarm.message(at(1.0), ConnectionId(peer), request, &store);
    }
    assert_eq!(swarm.upload(at(1.0), &store, &config), 16 << 10, "to the end of a piece");
    assert_eq!(pieces(&mut swarm), [0]);
    swarm.set_upload(false);
    let told = drain(&mut swarm);
    for peer in [0, 1] {
        let of = |wanted: &dyn Fn(&Message) -> bool| {
            told.iter().any(|(to, message)| *to == peer && wanted(message))
        };
        assert!(of(&|message| matches!(message, Message::Hello(hello)
            if !hello.capabilities.contains(Capabilities::UPLOAD))));
        assert!(of(&|message| matches!(
            message,
            Message::Reject { id: 7, reason: RejectReason::Choked }
        )));
    }
    assert_eq!(swarm.upload(at(2.0), &store, &line()), 0);
}

#[test]
fn whoever_asks_knows_when_a_request_has_lapsed() {
    let store = store(0);
    let mut swarm = swarm(1, &store);
    show(&mut swarm, &store, 0, BLOCKS);
    let what = Blocks { scarce: true, ..due(8.0) };
    let mut rng = fastrand::Rng::with_seed(1);
    assert_eq!(swarm.request_blocks(at(1.0), &what, &mut rng, |block| block == 2), 1);
    let sent = drain(&mut swarm);
    let [(0, Message::Request { due_ms, block: 2, .. })] = sent[..] else { panic!("{sent:?}") };
    assert!((4_000..6_000).contains(&due_ms), "there is time left to ask the origin: {due_ms}");
    // While it may still begin the origin need not be asked; and that ends without a message.
    let mut lapsed = None;
    for tenth in 10..80 {
        let now = f64::from(tenth) / 10.0;
        let news = Message::Edge { segment: SEGMENT };
        swarm.message(at(now), ConnectionId(0), news, &store);
        swarm.tick(at(now), &store);
        if lapsed.is_none() && !swarm.arrives_by(at(now), SEGMENT, 2, what.deadline) {
            lapsed = Some(now);
        }
    }
    let lapsed = lapsed.expect("it lapses");
    assert!(lapsed > 1.0 + f64::from(due_ms) / 1000.0 && lapsed < 7.0, "{lapsed}");
    assert!(drain(&mut swarm).is_empty() && !swarm.is_requested(SEGMENT, 2));
    assert_eq!(swarm.request_blocks(at(7.5), &what, &mut rng, |_| true), 0, "it would be late");
}

#[test]
fn a_part_is_asked_of_a_peer_while_there_is_time_to_ask_the_origin_as_well() {
    let store = store(0);
    // When it is asked for, of what is due at 3 s, and for how many ms the request may wait; 0: until it is answered.
    for (now, waits) in [(1.0, Some(1_100..1_500)), (2.6, None), (3.0, Some(0..1))] {
        let mut swarm = swarm(1, &store);
        show(&mut swarm, &store, 0, BLOCKS);
        let what = Blocks { brief: true, urgent: true, ..due(3.0) };
        let mut rng = fastrand::Rng::with_seed(1);
        let asked = swarm.request_blocks(at(now), &what, &mut rng, |block| block == 2);
        assert_eq!(asked, usize::from(waits.is_some()), "at {now} s");
        let due = drain(&mut swarm).into_iter().find_map(|(_, message)| match message {
            Message::Request { due_ms, .. } => Some(due_ms),
            _ => None,
        });
        let fits = |waits: Range<u32>| due.is_some_and(|due| waits.contains(&due));
        assert!(waits.is_none_or(fits), "at {now} s: {due:?}");
    }
}

#[test]
fn after_a_part_of_one_piece_the_next_is_asked_of_the_peer_as_well() {
    let store = store(0);
    let mut swarm = swarm(1, &store);
    let mut rng = fastrand::Rng::with_seed(1);
    let size = PIECE_BYTES - 1;
    for sequence in 5..9u32 {
        let (segment, now) =
            (SegmentId { sequence: sequence.into(), ..SEGMENT }, f64::from(sequence));
        let entries =
            vec![HaveEntry { sequence: sequence.into(), tag: 9, size, blocks: Bitfield::full(1) }];
        let have = Message::Have { rendition: RENDITION, entries };
        swarm.message(at(now), ConnectionId(0), have, &store);
        let what = Blocks { segment, size, brief: true, urgent: true, ..due(now + 1.0) };
        let asked = swarm.request_blocks(at(now), &what, &mut rng, |_| true);
        // What is one piece tells nothing of the line: it is still guessed then, and not naught.
        assert_eq!(asked, 1, "part {sequence}");
        let ids = drain(&mut swarm).into_iter().filter_map(|(_, message)| match message {
            Message::Request { id, .. } => Some(id),
            _ => None,
        });
        let data = Bytes::from(vec![1; size as usize]);
        for id in ids {
            let piece = Message::Piece { id, offset: 0, data: data.clone() };
            swarm.message(at(now + 0.01), ConnectionId(0), piece, &store);
        }
    }
}

#[test]
fn whoever_is_refused_is_told_when_there_is_room() {
    let store = store(BLOCKS);
    let mut swarm = swarm(6, &store);
    (0..6).for_each(|peer| request(&mut swarm, &store, 1.0, peer, 9_000));
    let refused: Vec<u32> = drain(&mut swarm)
        .into_iter()
        .filter(|(_, of)| matches!(of, Message::Reject { reason: RejectReason::TooMany, .. }))
        .map(|(to, _)| to)
        .collect();
    assert_eq!(refused, [2, 3, 4, 5]);
    for step in 0..4 {
        (0..6).for_each(|peer| swarm.writable(ConnectionId(peer)));
        swarm.upload(at(1.1 + f64::from(step) / 10.0), &store, &line());
    }
    let room = |(to, of): (u32, Message)| {
        matches!(of, Message::Have { entries, .. } if entries.is_empty()).then_some(to)
    };
    let told: Vec<u32> = drain(&mut swarm).into_iter().filter_map(room).collect();
    assert_eq!(told, [2, 3, 4, 5], "four for the place of the block that went out");

    // And on the other side: a peer that has refused is asked when it says so.
    let mut peer = Peer::new(at(0.0), None);
    (peer.ready, peer.capabilities) = (true, capabilities(true));
    let id = peer.ask(at(1.0), SEGMENT, 0, BLOCK_BYTES, None);
    peer.rejected(at(1.1), id, RejectReason::TooMany);
    assert!(!peer.can_be_asked(at(2.0), false, false));
}

#[test]
fn who_had_no_room_for_what_may_wait_is_asked_for_what_may_not() {
    let store = Store::default();
    let mut swarm = swarm(1, &store);
    show(&mut swarm, &store, 0, 1);
    let refuse = |swarm: &mut Swarm, now: f64, id: u32| {
        let reason = RejectReason::TooMany;
        swarm.message(at(now), ConnectionId(0), Message::Reject { id, reason }, &store);
    };
    let asked = ask(&mut swarm, 1.0, 0);
    assert_eq!(asked.len(), 1);
    refuse(&mut swarm, 1.1, asked[0].1);
    assert!(ask(&mut swarm, 1.2, 0).is_empty(), "it says when it has room");
    assert!(!swarm.any_can_be_asked(at(1.2), at(60.0)));
    assert!(swarm.any_can_be_asked(at(1.2), at(1.8)));
    let asked = ask_by(&mut swarm, 1.2, 0, 1.8);
    assert_eq!(asked.len(), 1, "in its queue there is more room for what is due");
    refuse(&mut swarm, 1.3, asked[0].1);
    assert!(ask_by(&mut swarm, 1.4, 0, 1.8).is_empty(), "and there it has none");
}

/// Who was told of blocks.
fn told(swarm: &mut Swarm) -> Vec<u32> {
    let sent = drain(swarm);
    sent.iter().filter(|(_, of)| matches!(of, Message::Have { .. })).map(|(to, _)| *to).collect()
}

#[test]
fn news_of_what_many_hold_waits_less_where_not_everybody_is_connected() {
    let store = store(2);
    let mut swarm = swarm(9, &store);
    (0..8).for_each(|peer| show(&mut swarm, &store, peer, 3));
    let waits = |swarm: &mut Swarm, from: f64| {
        swarm.blocks_changed(at(from), SEGMENT, &store);
        (1..20).find(|tenth| {
            swarm.tick(at(from + f64::from(*tenth) / 10.0), &store);
            told(swarm) == [8]
        })
    };
    assert_eq!(waits(&mut swarm, 1.0), Some(10), "tenths of a second");
    swarm.set_size(100, 100);
    assert_eq!(waits(&mut swarm, 4.0), Some(3), "tenths of a second");
}

#[test]
fn news_goes_to_those_who_lack_it_and_only_what_is_rare_is_pressing() {
    let store = store(2);
    let mut swarm = swarm(4, &store);
    show(&mut swarm, &store, 0, 2);
    show(&mut swarm, &store, 1, 1);
    swarm.blocks_changed(at(1.0), SEGMENT, &store);
    swarm.tick(at(1.1), &store);
    assert_eq!(told(&mut swarm), [1, 2, 3]);

    (0..3).for_each(|peer| show(&mut swarm, &store, peer, 3));
    swarm.blocks_changed(at(2.0), SEGMENT, &store);
    swarm.tick(at(2.1), &store);
    assert!(told(&mut swarm).is_empty(), "three others hold it all");
    swarm.tick(at(3.1), &store);
    assert_eq!(told(&mut swarm), [3]);
}

#[test]
fn each_stripe_of_a_segment_has_an_order_of_its_own() {
    let store = store(0);
    let mut swarm = swarm(9, &store);
    let interest = Interest { rendition: RENDITION, playhead: 3, last: 5 };
    for peer in 0..9 {
        swarm.message(at(0.0), ConnectionId(peer), Message::Interest(interest), &store);
    }
    let mut first = 0;
    for sequence in 4..104 {
        let segment = SegmentId { sequence, ..SEGMENT };
        let window = Interest { playhead: sequence, last: sequence, ..interest };
        for peer in 0..9 {
            swarm.message(at(0.0), ConnectionId(peer), Message::Interest(window), &store);
        }
        for stripe in 0..8 {
            let (rank, all) = swarm.stripe_rank(segment, stripe);
            assert_eq!(all, 10);
            first += u32::from(rank == 0);
        }
    }
    assert!((55..105).contains(&first), "a tenth of 800 stripes: {first}");
}

#[test]
fn a_block_that_nobody_else_can_give_takes_the_place_of_one_that_others_can() {
    let store = store(BLOCKS);
    let mut swarm = swarm(5, &store);
    show(&mut swarm, &store, 4, 3);
    let ask = |swarm: &mut Swarm, peer: u32, block: u16| {
        let request = Message::Request { id: 1, segment: SEGMENT, block, due_ms: 9_000 };
        swarm.message(at(1.0), ConnectionId(peer), request, &store);
        let refused = drain(swarm).into_iter().filter_map(|(to, message)| match message {
            Message::Reject { reason: RejectReason::TooMany, .. } => Some(to),
            _ => None,
        });
        refused.collect::<Vec<u32>>()
    };
    for peer in 0..2 {
        assert!(ask(&mut swarm, peer, peer as u16).is_empty());
    }
    assert_eq!(ask(&mut swarm, 3, 5), [1], "the last one that can wait");
    assert_eq!(ask(&mut swarm, 2, 5), [2], "it goes out once");
    assert_eq!(ask(&mut swarm, 2, 1), [2], "others have it");
}

#[test]
fn what_is_new_goes_first_to_those_who_pass_it_on() {
    let store = store(BLOCKS);
    let mut swarm = swarm(6, &store);
    for taker in [0, 1] {
        swarm.peers.get_mut(&ConnectionId(taker)).expect("it is here").capabilities =
            capabilities(false);
    }
    // Block 2 is new; the others hold all else.
    show(&mut swarm, &store, 5, 2);
    for (peer, block) in [(0, 2), (1, 0), (2, 1), (3, 2)] {
        let request = Message::Request { id: 1, segment: SEGMENT, block, due_ms: 9_000 };
        swarm.message(at(1.0), ConnectionId(peer), request, &store);
    }
    let mut served = Vec::new();
    for step in 0..12 {
        (0..6).for_each(|peer| swarm.writable(ConnectionId(peer)));
        swarm.upload(at(1.0 + f64::from(step) / 10.0), &store, &line());
        served.extend(pieces(&mut swarm));
    }
    assert_eq!(served, [3, 3, 3, 3, 2, 2, 2, 2], "those who only take made room for them");
}

#[test]
fn what_hardly_anybody_holds_takes_the_place_of_what_many_do() {
    for (holders, refused) in [(8, [1, 3]), (7, [2, 3])] {
        let store = store(BLOCKS);
        let mut swarm = swarm(12, &store);
        (4..4 + holders).for_each(|peer| show(&mut swarm, &store, peer, 1));
        show(&mut swarm, &store, 4, 2);
        for (peer, block) in [(0, 0), (1, 0), (2, 1), (3, 0)] {
            let request = Message::Request { id: 1, segment: SEGMENT, block, due_ms: 9_000 };
            swarm.message(at(1.0), ConnectionId(peer), request, &store);
        }
        assert_eq!(full(&mut swarm), refused, "{holders} hold the common one");
    }
}

#[test]
fn what_many_hold_and_is_not_due_soon_waits_at_its_next_piece_for_what_hardly_anybody_does() {
    for (holders, due_ms, order) in [
        (8, 9_000, [0, 1, 1, 1, 1, 0, 0, 0]),
        (7, 9_000, [0, 0, 0, 0, 1, 1, 1, 1]),
        (8, 1_400, [0, 0, 0, 0, 1, 1, 1, 1]),
    ] {
        let store = store(BLOCKS);
        let mut swarm = swarm(12, &store);
        (4..4 + holders).for_each(|peer| show(&mut swarm, &store, peer, 1));
        show(&mut swarm, &store, 4, 2);
        request(&mut swarm, &store, 1.0, 0, due_ms);
        request(&mut swarm, &store, 1.0, 1, 9_000);
        let mut served = pieces(&mut swarm);
        for step in 1..12 {
            (0..2).for_each(|peer| swarm.writable(ConnectionId(peer)));
            swarm.upload(at(1.0 + f64::from(step) / 100.0), &store, &line());
            served.extend(pieces(&mut swarm));
        }
        assert_eq!(served, order, "{holders} hold the common one, due in {due_ms} ms");
    }
}

#[test]
fn where_uplinks_are_scarce_what_has_to_begin_sooner_takes_a_place() {
    for (busy, refused) in [(true, [1, 2]), (false, [3, 2])] {
        let store = store(BLOCKS);
        let mut swarm = swarm(6, &store);
        for peer in 0..6 {
            swarm.peers.get_mut(&ConnectionId(peer)).expect("it is here").received_bytes = 1;
        }
        show(&mut swarm, &store, 5, BLOCKS);
        for second in 1..40 {
            swarm.writable(ConnectionId(4));
            swarm.upload(at(f64::from(second)), &store, &line());
            if busy {
                request(&mut swarm, &store, f64::from(second), 4, 0);
            }
        }
        swarm.message(at(40.0), ConnectionId(4), Message::Cancel { id: 1 }, &store);
        drain(&mut swarm);
        for (peer, due_ms) in [(0, 9_000), (1, 9_000), (3, 5_000), (2, 7_000)] {
            let request = Message::Request { id: 1, segment: SEGMENT, block: 0, due_ms };
            swarm.message(at(40.0), ConnectionId(peer), request, &store);
        }
        assert_eq!(full(&mut swarm), refused, "busy: {busy}");
    }
}

#[test]
fn uplinks_are_thin_where_no_line_is_much_faster_than_the_stream_and_somebody_refuses() {
    for (seconds, refuses, thin) in [(0.5, true, true), (0.5, false, false), (0.2, true, false)] {
        let store = store(0);
        let mut swarm = swarm(2, &store);
        swarm.set_byte_rate(100_000.0);
        show(&mut swarm, &store, 0, BLOCKS);
        let asked = ask(&mut swarm, 1.0, 0)[0];
        give(&mut swarm, &store, 1.0, seconds, asked);
        if refuses {
            let (peer, id) = ask(&mut swarm, 2.0, 1)[0];
            let reject = Message::Reject { id, reason: RejectReason::TooMany };
            swarm.message(at(2.0), ConnectionId(peer), reject, &store);
        }
        assert_eq!(swarm.is_thin(at(2.5)), thin, "a block in {seconds} s");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "nobody replays a test elsewhere")]
fn where_uplinks_are_scarce_who_gives_is_served_first_and_one_of_the_others_in_turn() {
    let store = store(BLOCKS);
    let mut swarm = swarm(6, &store);
    for giver in 0..3 {
        swarm.peers.get_mut(&ConnectionId(giver)).expect("it is here").received_bytes = 1;
    }
    // The last one says so.
    swarm.peers.get_mut(&ConnectionId(5)).expect("it is here").capabilities = capabilities(false);
    let mut given = [[0; 6]; 8];
    let mut rng = fastrand::Rng::with_seed(1);
    for step in 0..320_u32 {
        let now = 1.0 + f64::from(step) / 4.0;
        let mut peers = [0, 1, 2, 3, 4, 5];
        rng.shuffle(&mut peers);
        for peer in peers {
            swarm.writable(ConnectionId(peer));
            let block = rng.u16(..BLOCKS);
            let request = Message::Request { id: step, segment: SEGMENT, block, due_ms: 3_000 };
            swarm.message(at(now), ConnectionId(peer), request, &store);
        }
        swarm.upload(at(now), &store, &line());
        let first = pieces(&mut swarm);
        (0..6).for_each(|peer| swarm.writable(ConnectionId(peer)));
        swarm.upload(at(now), &store, &line());
        for peer in first.into_iter().chain(pieces(&mut swarm)) {
            given[step as usize / 40][peer as usize] += 1;
        }
    }
    let [first, .., last] = given;
    assert!(first[3..].iter().sum::<i32>() > 20, "while there is some to spare: {given:?}");
    assert!(last[..3].iter().all(|pieces| *pieces > 10), "{given:?}");
    for tens in &given[4..] {
        let served = tens[3..].iter().filter(|pieces| **pieces > 2).count();
        assert!(served <= 2, "one at a time, and one that takes over: {given:?}");
    }
    for rider in 3..6 {
        let turns = given[4..].iter().filter(|tens| tens[rider] > 2).count();
        assert!(turns >= 1, "each has its turn: {given:?}");
    }
}

/// Asks for blocks of [`SEGMENT`]: the requests, with whom they were made of.
fn ask(swarm: &mut Swarm, now: f64, first: u16) -> Vec<(u32, u32)> {
    ask_by(swarm, now, first, 60.0)
}

/// The same of what is due then.
fn ask_by(swarm: &mut Swarm, now: f64, first: u16, deadline: f64) -> Vec<(u32, u32)> {
    let what = Blocks { urgent: true, ..due(deadline) };
    swarm.request_blocks(at(now), &what, &mut fastrand::Rng::with_seed(1), |block| block >= first);
    let request = |(to, message): (u32, Message)| match message {
        Message::Request { id, .. } => Some((to, id)),
        _ => None,
    };
    drain(swarm).into_iter().filter_map(request).collect()
}

/// The peer gives a block within so many seconds.
fn give(swarm: &mut Swarm, store: &Store, now: f64, seconds: f64, asked: (u32, u32)) {
    let pieces = BLOCK_BYTES / PIECE_BYTES;
    give_some(swarm, store, now, pieces, seconds / f64::from(pieces - 1), asked);
}

/// The peer gives so many pieces of a block, so many seconds apart.
fn give_some(
    swarm: &mut Swarm,
    store: &Store,
    now: f64,
    pieces: u32,
    apart: f64,
    (peer, id): (u32, u32),
) {
    for number in 0..pieces {
        let data = Bytes::from(vec![1; PIECE_BYTES as usize]);
        let piece = Message::Piece { id, offset: number * PIECE_BYTES, data };
        swarm.message(at(now + apart * f64::from(number)), ConnectionId(peer), piece, store);
    }
}

#[test]
fn a_line_that_was_not_measured_is_believed_to_be_as_fast_as_another() {
    let store = store(0);
    let mut swarm = swarm(2, &store);
    let lead = |swarm: &Swarm| swarm.peers.get(&ConnectionId(1)).map_or(0.0, Peer::lead);
    show(&mut swarm, &store, 0, BLOCKS);
    let asked = ask(&mut swarm, 1.0, 0)[0];
    give(&mut swarm, &store, 1.0, 4.0, asked);
    // Three of four pieces come in the four seconds.
    assert!((7.9..8.4).contains(&lead(&swarm)), "{}", lead(&swarm));
}

#[test]
fn a_block_comes_no_sooner_than_its_first_pieces_show() {
    for (apart, in_time) in [(0.1, true), (0.4, false)] {
        let store = store(0);
        let mut swarm = swarm(1, &store);
        show(&mut swarm, &store, 0, BLOCKS);
        let asked = ask(&mut swarm, 1.0, 0)[0];
        give_some(&mut swarm, &store, 1.0, 2, apart, asked);
        // Two are still to come, at the rate of a line that nobody has measured, or slower.
        let arrives = swarm.arrives_by(at(1.0 + apart), SEGMENT, 0, at(2.5));
        assert_eq!(arrives, in_time, "pieces {apart} s apart");
    }
}

#[test]
fn of_few_peers_two_blocks_are_asked_at_once_when_they_have_given_one() {
    for (peers, most) in [(1, 2), (2, 2), (3, 1)] {
        let store = store(0);
        let mut swarm = swarm(peers, &store);
        show(&mut swarm, &store, 0, BLOCKS);
        let asked = ask(&mut swarm, 1.0, 0);
        assert_eq!(asked.len(), 1, "of a stranger one");
        give(&mut swarm, &store, 1.0, 0.5, asked[0]);
        assert_eq!(ask(&mut swarm, 2.0, 1).len(), most, "of {peers}");
    }
}

/// The peer is asked for a block and sends it within so many seconds, from `now` on.
fn measured(swarm: &mut Swarm, store: &Store, now: f64, peer: u32, seconds: f64) {
    show(swarm, store, peer, BLOCKS);
    let asked = ask(swarm, now, 0);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].0, peer);
    give(swarm, store, now, seconds, asked[0]);
}

/// Gives for so many seconds, a piece each time that `drained` has passed; whether it says at last that it gives.
fn gives(swarm: &mut Swarm, store: &Store, from: f64, seconds: f64, drained: f64) -> bool {
    let mut now = from;
    while now < from + seconds {
        let request = Message::Request { id: 1, segment: SEGMENT, block: 0, due_ms: 0 };
        swarm.message(at(now), ConnectionId(0), request, store);
        let until = now + drained;
        while now < until {
            swarm.upload(at(now), store, &line());
            swarm.set_upload(true);
            now += 0.1;
        }
        swarm.writable(ConnectionId(0));
        drain(swarm);
    }
    swarm.gives()
}

#[test]
fn an_uplink_that_is_slow_beside_the_others_is_spared_for_a_minute() {
    let store = store(BLOCKS);
    // A quarter of a second for a block is twice the stream.
    for (others, drained, spared) in [
        (Some(0.25), 0.8, true),
        (Some(0.25), 0.1, false),
        (Some(2.5), 0.8, false),
        (None, 0.8, false),
    ] {
        let mut swarm = swarm(3, &store);
        swarm.set_byte_rate(125e3);
        if let Some(seconds) = others {
            measured(&mut swarm, &self::store(0), 0.0, 1, seconds);
        }
        assert_eq!(gives(&mut swarm, &store, 3.0, 10.0, drained), !spared, "{others:?} {drained}");
        assert_eq!(gives(&mut swarm, &store, 13.0, 40.0, drained), !spared, "{others:?} {drained}");
    }
}

#[test]
fn a_spared_uplink_is_tried_again() {
    let store = store(BLOCKS);
    let mut swarm = swarm(3, &store);
    swarm.set_byte_rate(125e3);
    measured(&mut swarm, &self::store(0), 0.0, 1, 0.25);
    assert!(!gives(&mut swarm, &store, 3.0, 5.0, 0.8));
    assert!(gives(&mut swarm, &store, 8.0, 70.0, 0.1), "it is fast by now");
}

/// Who is told in which blocks of [`SEGMENT`] are there.
fn shown(swarm: &mut Swarm) -> Vec<(u32, Vec<u16>)> {
    let have = |(to, message): (u32, Message)| match message {
        Message::Have { entries, .. } => {
            let blocks = &entries[0].blocks;
            Some((to, (0..blocks.len()).filter(|block| blocks.has(*block)).collect()))
        }
        _ => None,
    };
    drain(swarm).into_iter().filter_map(have).collect()
}

/// One of a swarm of that size, to whom three of the four pieces of block 2 have come, of a peer who has sent block 1 before; the
/// request for it.
fn nearly_there(size: usize) -> (Store, Swarm, (u32, u32)) {
    let mut store = store(1);
    let mut swarm = swarm(4, &store);
    swarm.set_size(size, size);
    show(&mut swarm, &store, 0, 3);
    let asked = ask(&mut swarm, 1.0, 1)[0];
    give_some(&mut swarm, &store, 1.0, 3, 0.1, asked);
    swarm.tick(at(1.3), &store);
    assert!(shown(&mut swarm).is_empty(), "a stranger's block may be a wrong one");
    last_piece(&mut swarm, &mut store, 1.4, 1, asked);
    swarm.tick(at(1.5), &store);
    assert_eq!(shown(&mut swarm).len(), 3, "all but who sent it");
    let asked = ask(&mut swarm, 2.0, 2)[0];
    give_some(&mut swarm, &store, 2.0, 3, 0.1, asked);
    swarm.tick(at(2.3), &store);
    (store, swarm, asked)
}

/// The last piece of a block comes.
fn last_piece(swarm: &mut Swarm, store: &mut Store, now: f64, block: u16, (peer, id): (u32, u32)) {
    let data = Bytes::from(vec![1; PIECE_BYTES as usize]);
    let piece = Message::Piece { id, offset: BLOCK_BYTES - PIECE_BYTES, data };
    swarm.message(at(now), ConnectionId(peer), piece, store);
    let data = Bytes::from(vec![1; BLOCK_BYTES as usize]);
    store.insert(SEGMENT, block, data, Source::Http);
    swarm.blocks_changed(at(now), SEGMENT, store);
}

#[test]
fn a_rare_block_that_is_nearly_here_is_told_of_and_goes_on_when_it_is() {
    let (mut store, mut swarm, asked) = nearly_there(100);
    let all = vec![0, 1, 2];
    assert_eq!(shown(&mut swarm), [(1, all.clone()), (2, all.clone()), (3, all)]);
    let request = Message::Request { id: 7, segment: SEGMENT, block: 2, due_ms: 9_000 };
    swarm.message(at(2.3), ConnectionId(3), request, &store);
    swarm.upload(at(2.3), &store, &line());
    assert!(drain(&mut swarm).is_empty(), "neither refused nor answered");
    last_piece(&mut swarm, &mut store, 2.4, 2, asked);
    swarm.upload(at(2.4), &store, &line());
    assert_eq!(pieces(&mut swarm), [3]);
    swarm.tick(at(4.0), &store);
    assert!(shown(&mut swarm).is_empty(), "it is no news any more");
}

#[test]
fn whoever_waits_for_a_block_that_does_not_come_is_told() {
    let (mut store, mut swarm, asked) = nearly_there(100);
    drain(&mut swarm);
    let request = Message::Request { id: 7, segment: SEGMENT, block: 2, due_ms: 9_000 };
    swarm.message(at(2.3), ConnectionId(3), request, &store);
    swarm.closed(at(2.4), ConnectionId(asked.0));
    swarm.upload(at(2.4), &store, &line());
    let refusal = Message::Reject { id: 7, reason: RejectReason::NotHeld };
    assert_eq!(drain(&mut swarm), [(3, refusal)]);
    last_piece(&mut swarm, &mut store, 3.0, 2, asked);
    swarm.tick(at(3.1), &store);
    assert_eq!(shown(&mut swarm).len(), 3, "it came from elsewhere, and that is news");
}

#[test]
fn where_everybody_is_connected_only_what_is_here_is_told_of() {
    let (_, mut swarm, _) = nearly_there(5);
    assert!(shown(&mut swarm).is_empty());
}
