use proptest::prelude::*;

use super::*;

fn segment() -> impl Strategy<Value = SegmentId> {
    (any::<u32>(), any::<u64>())
        .prop_map(|(rendition, sequence)| SegmentId { rendition: RenditionId(rendition), sequence })
}

fn blocks(size: u32) -> impl Strategy<Value = Bitfield> {
    let len = block_count(size);
    prop_oneof![
        Just(Bitfield::empty(len)),
        Just(Bitfield::full(len)),
        prop::collection::vec(0..len, 0..40).prop_map(move |held| {
            let mut bits = Bitfield::empty(len);
            held.into_iter().for_each(|block| bits.set(block));
            bits
        }),
    ]
}

fn entry() -> impl Strategy<Value = HaveEntry> {
    let size = prop_oneof![1..=MAX_SEGMENT_BYTES, 1_u32..10_000_000, Just(MAX_SEGMENT_BYTES)];
    (any::<u64>(), any::<u32>(), size).prop_flat_map(|(sequence, tag, size)| {
        blocks(size).prop_map(move |blocks| HaveEntry { sequence, tag, size, blocks })
    })
}

fn introduction() -> impl Strategy<Value = Message> {
    let ids = any::<[[u8; 20]; 3]>();
    (any::<bool>(), ids, prop::collection::vec(any::<u8>(), 1..300)).prop_map(
        |(answer, [from, to, offer], sdp)| {
            let (from, to) = (PeerId(from), PeerId(to));
            Message::Introduction(Box::new(Introduction {
                answer,
                from,
                to,
                offer,
                sdp: sdp.into(),
            }))
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let reason = prop_oneof![
        Just(RejectReason::NotHeld),
        Just(RejectReason::Choked),
        Just(RejectReason::TooMany)
    ];
    let data = prop::collection::vec(any::<u8>(), 1..200);
    prop_oneof![
        (1_u8.., any::<u32>(), any::<[u8; 20]>(), any::<[u8; 20]>()).prop_map(
            |(version, capabilities, info_hash, peer_id)| Message::Hello(Hello {
                version,
                capabilities: Capabilities(capabilities),
                info_hash: InfoHash(info_hash),
                peer_id: PeerId(peer_id),
            })
        ),
        (any::<u32>(), prop::collection::vec(entry(), 0..20)).prop_map(
            |(rendition, mut entries)| {
                entries.sort_by_key(|entry| entry.sequence);
                entries.dedup_by_key(|entry| entry.sequence);
                Message::Have { rendition: RenditionId(rendition), entries }
            }
        ),
        (any::<u32>(), any::<u64>(), any::<u64>()).prop_map(|(rendition, playhead, last)| {
            Message::Interest(Interest { rendition: RenditionId(rendition), playhead, last })
        }),
        (any::<u32>(), segment(), any::<u16>(), any::<u32>()).prop_map(
            |(id, segment, block, due_ms)| Message::Request { due_ms, id, segment, block }
        ),
        (any::<u32>(), 0..BLOCK_BYTES - 200, data).prop_map(|(id, offset, data)| Message::Piece {
            id,
            offset,
            data: data.into()
        }),
        any::<u32>().prop_map(|id| Message::Cancel { id }),
        (any::<u32>(), reason).prop_map(|(id, reason)| Message::Reject { id, reason }),
        (segment(), any::<u32>()).prop_map(|(segment, ttl_ms)| Message::Claim { segment, ttl_ms }),
        (segment(), 1..=MAX_SEGMENT_BYTES, any::<u16>(), any::<u16>()).prop_map(
            |(segment, size, first, count)| Message::Handover { segment, size, first, count }
        ),
        segment().prop_map(|segment| Message::Edge { segment }),
        Just(Message::Goodbye),
        segment().prop_map(|segment| Message::ListRequest { segment }),
        (segment(), prop::collection::vec(any::<[u8; 32]>(), 1..20)).prop_map(
            |(segment, hashes)| Message::HashList { segment, hashes: hashes.concat().into() }
        ),
        prop::collection::vec(any::<[u8; 20]>().prop_map(PeerId), 1..=MAX_MEMBERS)
            .prop_map(|peers| Message::Members { peers }),
        introduction(),
        (OPTIONAL..).prop_map(|kind| Message::Unknown { kind }),
    ]
}

/// Bytes that a decoded message holds in memory, beyond the frame that a piece shares.
fn memory(message: &Message) -> usize {
    let Message::Have { entries, .. } = message else { return 0 };
    let some = |entry: &&HaveEntry| !entry.blocks.is_empty() && !entry.blocks.is_full();
    let words = |entry: &HaveEntry| usize::from(entry.blocks.len()).div_ceil(64) * 8;
    entries.capacity() * size_of::<HaveEntry>()
        + entries.iter().filter(some).map(words).sum::<usize>()
}

fn check_bytes(frame: Vec<u8>) -> Result<(), TestCaseError> {
    let len = frame.len();
    if let Ok(message) = Message::decode(frame.clone().into()) {
        prop_assert!(memory(&message) <= len * 10, "{} bytes for {len}", memory(&message));
        let skipped = matches!(message, Message::Unknown { .. })
            || matches!(message, Message::Hello(hello) if hello.version > VERSION);
        // One message has one encoding.
        prop_assert!(skipped || message.encode() == frame);
    }
    Ok(())
}

proptest! {
    #[test]
    fn messages_survive_the_way(message in message()) {
        let frame = message.encode();
        prop_assert!(frame.len() <= MAX_FRAME_BYTES);
        prop_assert_eq!(frame.len(), message.encoded_len());
        prop_assert_eq!(Message::decode(frame.into()), Ok(message));
    }

    #[test]
    fn random_bytes_are_refused_or_mean_what_they_say(
        kind in 0_u8..14,
        rest in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut frame = vec![kind];
        frame.extend(rest);
        check_bytes(frame)?;
    }

    #[test]
    fn mutilated_frames_are_refused_or_mean_what_they_say(
        message in message(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut frame = message.encode();
        let at = at.index(frame.len());
        frame[at] = byte;
        check_bytes(frame.clone())?;
        frame.truncate(at);
        check_bytes(frame)?;
    }

    #[test]
    fn trailing_bytes_are_refused(message in message(), extra in any::<u8>()) {
        let skipped = match &message {
            // One byte more is no whole hash.
            Message::Unknown { .. } | Message::Piece { .. } | Message::HashList { .. } => true,
            Message::Introduction(_) => true,
            Message::Hello(hello) => hello.version > VERSION,
            _ => false,
        };
        prop_assume!(!skipped);
        let mut frame = message.encode();
        frame.push(extra);
        prop_assert_eq!(Message::decode(frame.into()), Err(WireError::Trailing(1)));
    }
}

fn decode(frame: &[u8]) -> Result<Message, WireError> {
    Message::decode(Bytes::copy_from_slice(frame))
}

#[test]
fn frames_look_as_the_table_says() {
    let segment = SegmentId { rendition: RenditionId(0x0403_0201), sequence: 300 };
    let request = Message::Request { id: 5, segment, block: 7, due_ms: 200 };
    assert_eq!(request.encode(), [3, 5, 1, 2, 3, 4, 0xac, 2, 7, 0xc8, 1]);
    let handover = Message::Handover { segment, size: 300, first: 5, count: 3 };
    assert_eq!(handover.encode(), [0x40, 1, 2, 3, 4, 0xac, 2, 0xac, 2, 5, 3]);
    let mut some = Bitfield::empty(9);
    some.set(0);
    some.set(8);
    let entry = |sequence, size, blocks| HaveEntry { sequence, tag: 9, size, blocks };
    let have = Message::Have {
        rendition: RenditionId(1),
        entries: vec![
            entry(10, 1, Bitfield::full(1)),
            entry(11, 2, Bitfield::empty(1)),
            entry(13, 8 * BLOCK_BYTES + 1, some),
        ],
    };
    assert_eq!(
        have.encode(),
        [
            &[1, 1, 0, 0, 0, 3][..],
            &[10, 9, 0, 0, 0, 1, 1],
            &[0, 9, 0, 0, 0, 2, 0],
            &[1, 9, 0, 0, 0, 0x81, 0x80, 0x20, 2, 0b1, 0b1],
        ]
        .concat()
    );
}

#[test]
fn a_piece_shares_the_frames_memory() {
    let frame: Bytes =
        Message::Piece { id: 1, offset: 2, data: vec![7; 100].into() }.encode().into();
    let Ok(Message::Piece { data, .. }) = Message::decode(frame.clone()) else {
        panic!("not a piece")
    };
    assert_eq!(data.as_ptr(), frame[3..].as_ptr());
}

#[test]
fn the_largest_have_fits_in_a_frame() {
    let mut blocks = Bitfield::full(block_count(MAX_SEGMENT_BYTES) - 1).to_bytes();
    blocks[0] = 1;
    let blocks = Bitfield::from_bytes(block_count(MAX_SEGMENT_BYTES), &blocks).unwrap();
    let entries = (0..MAX_HAVE_ENTRIES as u64)
        .map(|i| HaveEntry {
            sequence: i << 55,
            tag: 0,
            size: MAX_SEGMENT_BYTES,
            blocks: blocks.clone(),
        })
        .collect();
    let have = Message::Have { rendition: RenditionId(0), entries };
    let frame = have.encode();
    assert!(frame.len() <= MAX_FRAME_BYTES);
    assert_eq!(Message::decode(frame.into()), Ok(have));
}

#[test]
fn a_frame_beyond_the_limit_is_refused_unread() {
    let frame = vec![0x50; MAX_FRAME_BYTES + 1];
    assert_eq!(decode(&frame), Err(WireError::TooLong(MAX_FRAME_BYTES + 1)));
    assert_eq!(decode(&frame[1..]), Ok(Message::Unknown { kind: 0x50 }));
}

#[test]
fn unknown_types_are_skipped_only_where_that_is_agreed() {
    assert_eq!(decode(&[0x41, 1, 2, 3]), Ok(Message::Unknown { kind: 0x41 }));
    assert_eq!(decode(&[0x40, 1, 2, 3]), Err(WireError::Truncated));
    assert_eq!(decode(&[0x11]), Err(WireError::UnknownType(0x11)));
    assert_eq!(decode(&[0x3f, 1]), Err(WireError::UnknownType(0x3f)));
    assert_eq!(decode(&[]), Err(WireError::Truncated));
}

#[test]
fn a_newer_hello_may_carry_more() {
    let mut hello = Hello {
        version: VERSION + 1,
        capabilities: Capabilities::UPLOAD,
        info_hash: InfoHash([1; 20]),
        peer_id: PeerId([2; 20]),
    };
    let mut frame = Message::Hello(hello).encode();
    frame.extend([1, 2, 3]);
    assert_eq!(decode(&frame), Ok(Message::Hello(hello)));
    frame[1] = VERSION;
    assert_eq!(decode(&frame), Err(WireError::Trailing(3)));
    hello.version = 0;
    let frame = Message::Hello(hello).encode();
    assert_eq!(decode(&frame), Err(WireError::OutOfRange("the version")));
}

#[test]
fn numbers_have_one_form_and_a_range() {
    assert_eq!(decode(&[5, 0x80, 0]), Err(WireError::Number));
    assert_eq!(decode(&[5, 0x80, 0x80, 0x80, 0x80, 0x10]), Err(WireError::Number));
    let id = u32::MAX;
    assert_eq!(decode(&[5, 0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(Message::Cancel { id }));
    let edge = |number: &[u8]| decode(&[&[8, 0, 0, 0, 0], number].concat());
    let mut number = [0xff; 10];
    number[9] = 1;
    let segment = SegmentId { rendition: RenditionId(0), sequence: u64::MAX };
    assert_eq!(edge(&number), Ok(Message::Edge { segment }));
    number[9] = 2;
    assert_eq!(edge(&number), Err(WireError::Number));
    assert_eq!(edge(&[0xff; 20]), Err(WireError::Number));
}

#[test]
fn entries_that_lie_are_refused() {
    let have = |count: u8, entries: &[u8]| decode(&[&[1, 0, 0, 0, 0, count], entries].concat());
    assert_eq!(have(100, &[0; 20]), Err(WireError::Truncated));
    assert_eq!(
        have(1, &[0, 0, 0, 0, 0, 0, 0]),
        Err(WireError::OutOfRange("the size of a segment"))
    );
    assert_eq!(
        have(1, &[0, 0, 0, 0, 0, 0x81, 0x80, 0x80, 0x80, 0x01, 0]),
        Err(WireError::OutOfRange("the size of a segment"))
    );
    assert_eq!(
        have(1, &[0, 0, 0, 0, 0, 1, 3]),
        Err(WireError::OutOfRange("the form of a bitfield"))
    );
    assert_eq!(
        decode(&[0x40, 0, 0, 0, 0, 9, 0, 0, 1]),
        Err(WireError::OutOfRange("the size of a segment"))
    );
    // One block: a bitfield of it is none, all, or beyond the end.
    for bits in [0, 1, 2] {
        assert_eq!(have(1, &[0, 0, 0, 0, 0, 1, 2, bits]), Err(WireError::OutOfRange("a bitfield")));
    }
    let last = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 1, 0];
    assert!(have(1, &last).is_ok());
    let beyond = [&last[..], &[0, 0, 0, 0, 0, 1, 0]].concat();
    assert_eq!(have(2, &beyond), Err(WireError::OutOfRange("a sequence")));
    let too_many = [&[1, 0, 0, 0, 0, 0x81, 2][..], &[0; 7 * 257]].concat();
    assert_eq!(decode(&too_many), Err(WireError::OutOfRange("the number of entries")));
}

#[test]
fn pieces_stay_within_their_block() {
    let piece = |offset, len| {
        let data = vec![0; len as usize].into();
        Message::decode(Message::Piece { id: 0, offset, data }.encode().into()).is_ok()
    };
    assert!(piece(0, PIECE_BYTES));
    assert!(piece(BLOCK_BYTES - PIECE_BYTES, PIECE_BYTES));
    assert!(!piece(BLOCK_BYTES - PIECE_BYTES + 1, PIECE_BYTES));
    assert!(!piece(u32::MAX, 1));
    assert!(!piece(0, PIECE_BYTES + 1));
    assert!(!piece(0, 0));
}

#[test]
fn introductions_are_encoded_as_their_document_says() {
    let document = include_str!("../../../docs/introductions.md");
    let id = |byte| PeerId([byte; 20]);
    let introduction = |answer, from, to| {
        let sdp = Bytes::from_static(b"v=0\r\n");
        Message::Introduction(Box::new(Introduction {
            answer,
            from: id(from),
            to: id(to),
            offer: [3; 20],
            sdp,
        }))
    };
    for message in [
        Message::Members { peers: vec![id(1), id(2)] },
        introduction(false, 1, 2),
        introduction(true, 2, 1),
    ] {
        let mut text = String::new();
        crate::proof::push_hexadecimal(&mut text, &message.encode());
        assert!(document.contains(&format!("`{text}`")), "{message:?}: {text}");
        assert_eq!(decode(&message.encode()), Ok(message));
    }
}

#[test]
fn too_many_members_and_too_long_descriptions_are_refused() {
    let members = |count| Message::Members { peers: vec![PeerId([1; 20]); count] }.encode();
    assert!(decode(&members(MAX_MEMBERS)).is_ok());
    assert_eq!(
        decode(&members(MAX_MEMBERS + 1)),
        Err(WireError::OutOfRange("the number of members"))
    );
    assert_eq!(decode(&members(0)), Err(WireError::OutOfRange("the number of members")));
    assert_eq!(decode(&members(9)[..100]), Err(WireError::Truncated));
    let offer = |len| [&[OFFER][..], &[7; 60], &vec![b'a'; len]].concat();
    assert!(decode(&offer(MAX_SDP_BYTES)).is_ok());
    for len in [0, MAX_SDP_BYTES + 1] {
        assert_eq!(
            decode(&offer(len)),
            Err(WireError::OutOfRange("the length of a session description"))
        );
    }
}
