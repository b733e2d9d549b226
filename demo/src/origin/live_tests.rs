use super::*;

async fn channel() -> Channel {
    Channel::of(Folder::Sample, "master.m3u8".into()).await.expect("the sample loops")
}

fn text(channel: &Channel, name: &str, age: Duration) -> String {
    match channel.find(name, age) {
        Some(Item::Playlist(text)) => text,
        other => panic!("{name} is {other:?}"),
    }
}

/// Media sequence, discontinuity sequence, and each segment's URI, date and discontinuity.
fn parse(text: &str) -> (u64, u64, Vec<(String, String, bool)>) {
    let playlist = MediaPlaylist::try_from(text).expect("a playlist");
    let segments = playlist
        .segments
        .values()
        .map(|segment| {
            let date = segment.program_date_time.as_ref().expect("a date").date_time.to_string();
            (segment.uri().to_string(), date, segment.has_discontinuity)
        })
        .collect();
    (playlist.media_sequence as u64, playlist.discontinuity_sequence as u64, segments)
}

#[tokio::test]
async fn the_window_slides_by_one_segment_each_four_seconds() {
    let channel = channel().await;
    for step in 0..3_000_u64 {
        let age = Duration::from_millis(step * 250);
        let (first, _, segments) = parse(&text(&channel, "720p/index.m3u8", age));
        assert_eq!(first, step / 16);
        assert_eq!(segments.len(), 6);
        for (offset, segment) in segments.iter().enumerate() {
            assert_eq!(segment.0, format!("seg-{}.m4s", first + offset as u64));
        }
    }
}

#[tokio::test]
async fn each_segment_keeps_its_date_and_its_discontinuity_sequence() {
    let channel = channel().await;
    let mut known: BTreeMap<String, (String, u64)> = BTreeMap::new();
    for step in 0..400_u64 {
        let age = Duration::from_secs(step * 2);
        let (_, before, segments) = parse(&text(&channel, "480p/index.m3u8", age));
        let mut sequence = before;
        for (uri, date, discontinuity) in segments {
            sequence += u64::from(discontinuity);
            let now = (date, sequence);
            assert_eq!(known.entry(uri.clone()).or_insert_with(|| now.clone()), &now, "{uri}");
        }
    }
    assert_eq!(known["seg-15.m4s"].1, 0);
    assert_eq!(known["seg-16.m4s"].1, 1);
    assert_eq!(known["seg-160.m4s"].1, 10);
}

#[tokio::test]
async fn dates_follow_the_wall_clock() {
    let channel = channel().await;
    let age = Duration::from_secs(3600);
    let (first, _, segments) = parse(&text(&channel, "240p/index.m3u8", age));
    // The newest segment ends now, so the oldest began six lengths ago.
    assert_eq!(first, 900);
    assert_eq!(segments[0].1, rfc3339(EPOCH + age - Duration::from_secs(24)));
    assert_eq!(segments[5].1, rfc3339(EPOCH + age - Duration::from_secs(4)));
}

#[tokio::test]
async fn renditions_agree_with_each_other() {
    let channel = channel().await;
    for seconds in [0, 3, 61, 64, 130, 100_000] {
        let age = Duration::from_secs(seconds);
        let all: Vec<_> = ["720p", "480p", "240p"]
            .map(|name| parse(&text(&channel, &format!("{name}/index.m3u8"), age)))
            .into();
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "at {seconds} s");
    }
}

#[tokio::test]
async fn segments_are_there_when_listed_and_for_a_while_after() {
    let channel = channel().await;
    let age = Duration::from_secs(400);
    let find = |number: u64| channel.find(&format!("720p/seg-{number}.m4s"), age);
    assert_eq!(find(105), Some(Item::File("720p/009.m4s".into())));
    assert_eq!(find(100), Some(Item::File("720p/004.m4s".into())));
    assert_eq!(find(88), Some(Item::File("720p/008.m4s".into())));
    assert_eq!(find(87), None);
    assert_eq!(find(106), None);
    let init = channel.find("720p/init.mp4", age);
    assert_eq!(init, Some(Item::File("720p/init.mp4".into())));
    for name in ["720p/seg-0100.m4s", "720p/seg-100.mp4", "seg-100.m4s", "720p/009.m4s", "720p"] {
        assert_eq!(channel.find(name, age), None, "{name}");
    }
}

#[test]
fn odd_playlists_make_no_channel() {
    let good = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"i.mp4\"\n#EXTINF:4,\na.m4s\n#EXT-X-ENDLIST\n";
    assert!(Rendition::read(good).is_some());
    for (from, to) in [
        ("#EXT-X-ENDLIST", ""),
        ("#EXTINF:4,", "#EXTINF:-1,"),
        ("#EXTINF:4,", "#EXTINF:nan,"),
        ("#EXTINF:4,", "#EXTINF:4,\n#EXT-X-BYTERANGE:4@0"),
        ("#EXTINF:4,", "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXTINF:4,"),
        ("#EXTINF:4,", ""),
        ("a.m4s", "../a.m4s"),
        ("a.m4s", "http://example.org/a.m4s"),
        ("URI=\"i.mp4\"", "URI=\""),
    ] {
        assert_eq!(Rendition::read(&good.replace(from, to)), None, "{from} as {to}");
    }
}
