//! The origin, the pages and the API over real HTTP.

mod common;

use std::time::Duration;

use common::{options, start};
use tokio::time::Instant;

const SEGMENT: &str = "/media/sample/720p/003.m4s";

#[tokio::test]
async fn media_are_served_whole_or_in_ranges() {
    let server = start(options("ranges")).await;
    let whole = server.fetch(SEGMENT).await;
    assert_eq!(whole.status, 200);
    assert_eq!(whole.header("content-type"), Some("video/mp4"));
    assert_eq!(whole.header("access-control-allow-origin"), Some("*"));
    assert_eq!(whole.header("access-control-allow-credentials"), None);
    assert!(whole.header("access-control-expose-headers").unwrap().contains("Content-Range"));
    assert_eq!(whole.header("content-length").unwrap(), whole.body.len().to_string());

    let part = server.ask("GET", SEGMENT, "Range: bytes=1000-1999\r\n", "").await.unwrap();
    assert_eq!(part.status, 206);
    assert_eq!(part.body, whole.body[1000..2000]);
    let range = format!("bytes 1000-1999/{}", whole.body.len());
    assert_eq!(part.header("content-range"), Some(range.as_str()));

    let beyond = server.ask("GET", SEGMENT, "Range: bytes=99999999-\r\n", "").await.unwrap();
    assert_eq!(beyond.status, 416);
    let range = format!("bytes */{}", whole.body.len());
    assert_eq!(beyond.header("content-range"), Some(range.as_str()));

    let head = server.ask("HEAD", SEGMENT, "", "").await.unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), whole.header("content-length"));
}

#[tokio::test]
async fn every_file_of_the_sample_can_be_played_from_its_playlists() {
    let server = start(options("sample")).await;
    let master = server.fetch("/media/sample/master.m3u8").await;
    assert_eq!(master.header("content-type"), Some("application/vnd.apple.mpegurl"));
    let text = master.text();
    assert!(hls_m3u8::MasterPlaylist::try_from(text.as_str()).is_ok());
    for name in text.lines().filter(|line| !line.starts_with('#')) {
        let text = server.fetch(&format!("/media/sample/{name}")).await.text();
        let playlist = hls_m3u8::MediaPlaylist::try_from(text.as_str()).expect("a playlist");
        assert!(playlist.duration() >= Duration::from_secs(60));
        let folder = name.rsplit_once('/').unwrap().0;
        for (_, segment) in &playlist.segments {
            let path = format!("/media/sample/{folder}/{}", segment.uri());
            assert_eq!(server.ask("HEAD", &path, "", "").await.unwrap().status, 200, "{path}");
        }
    }
}

#[tokio::test]
async fn the_live_channel_is_listed_and_its_segments_are_the_films() {
    let server = start(options("live")).await;
    let titles = server.fetch("/api/titles").await.json();
    let live = titles.as_array().unwrap().iter().find(|title| title["live"] == true).unwrap();
    assert_eq!(live["src"], "/media/live/master.m3u8");
    assert_eq!(server.fetch("/media/live/master.m3u8").await.status, 200);
    let text = server.fetch("/media/live/480p/index.m3u8").await.text();
    let playlist = hls_m3u8::MediaPlaylist::try_from(text.as_str()).expect("a playlist");
    assert!(!playlist.has_end_list);
    let newest = playlist.segments.values().last().unwrap();
    let live = server.fetch(&format!("/media/live/480p/{}", newest.uri())).await;
    let film = format!("/media/sample/480p/{:03}.m4s", newest.number() % 16);
    let film = server.fetch(&film).await;
    assert_eq!(live.status, 200);
    assert_eq!(live.body, film.body);
}

#[tokio::test]
async fn no_path_leads_out() {
    let server = start(options("paths")).await;
    for path in [
        "/../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "/..%2fCargo.toml",
        "/media/sample/../../Cargo.toml",
        "/media/sample/%2e%2e/%2e%2e/Cargo.toml",
        "/media/live/%2e%2e%2fmaster.m3u8",
        "/media//etc/passwd",
        "/media/nothing/master.m3u8",
        "/media/sample",
        "/%ff",
        "//etc/passwd",
    ] {
        let reply = server.fetch(path).await;
        assert_eq!(reply.status, 404, "{path}");
    }
}

#[tokio::test]
async fn pages_have_types_and_tags() {
    let server = start(options("pages")).await;
    assert_eq!(server.fetch("/").await.text(), "<h1>front</h1>");
    assert_eq!(server.fetch("/embed?src=x").await.text(), "<h1>embed</h1>");
    assert_eq!(server.fetch("/embed.html").await.text(), "<h1>embed</h1>");
    let wasm = server.fetch("/potluck.wasm").await;
    assert_eq!(wasm.header("content-type"), Some("application/wasm"));
    assert_eq!(wasm.header("access-control-allow-origin"), Some("*"));
    let tag = format!("If-None-Match: {}\r\n", wasm.header("etag").unwrap());
    let again = server.ask("GET", "/potluck.wasm", &tag, "").await.unwrap();
    assert_eq!((again.status, again.body.len()), (304, 0));
    let preflight =
        server.ask("OPTIONS", SEGMENT, "Origin: http://x.example\r\n", "").await.unwrap();
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-headers"), Some("Range"));
}

#[tokio::test]
async fn copies_of_a_segment_are_counted() {
    let server = start(options("count")).await;
    let size = server.fetch(SEGMENT).await.body.len() as u64;
    server.ask("GET", SEGMENT, "Range: bytes=0-99\r\n", "").await.unwrap();
    server.ask("HEAD", SEGMENT, "", "").await.unwrap();
    server.fetch("/media/sample/master.m3u8").await;
    server.fetch("/media/sample/nothing").await;
    let stats = server.fetch("/api/stats").await.json();
    let origin = &stats["origin"];
    assert_eq!(origin["paths"][SEGMENT]["requests"], 2);
    assert_eq!(origin["paths"][SEGMENT]["bytes"], size + 100);
    assert_eq!(origin["paths"][SEGMENT]["size"], size);
    assert_eq!(origin["mediaBytes"], size + 100);
    assert_eq!(origin["playlistRequests"], 1);
    assert_eq!(origin["errors"], 1);
    assert_eq!(server.post("/api/stats/reset", "").await.status, 204);
    assert_eq!(server.fetch("/api/stats").await.json()["origin"]["mediaBytes"], 0);
}

#[tokio::test]
async fn faults_break_what_they_name_and_end() {
    let server = start(options("faults")).await;
    let size = server.fetch(SEGMENT).await.body.len();
    let fault = |action: &str| {
        format!("{{\"path_contains\":\"/720p/\",\"action\":\"{action}\",\"seconds\":60}}")
    };
    assert_eq!(server.post("/api/faults", &fault("status:503")).await.status, 204);
    assert_eq!(server.fetch(SEGMENT).await.status, 503);
    assert_eq!(server.fetch("/media/sample/480p/003.m4s").await.status, 200);

    server.post("/api/faults", &fault("truncate")).await;
    let cut = server.fetch(SEGMENT).await;
    assert_eq!(cut.header("content-length").unwrap(), size.to_string());
    assert_eq!(cut.body.len(), size / 2);

    server.post("/api/faults", &fault("close")).await;
    let closed = server.ask("GET", SEGMENT, "", "").await;
    assert!(closed.is_none_or(|reply| reply.body.is_empty()));

    server.post("/api/faults", &fault("slow:400000")).await;
    let began = Instant::now();
    assert_eq!(server.fetch(SEGMENT).await.body.len(), size);
    assert!(began.elapsed().as_secs_f64() > size as f64 / 400_000.0 * 0.8);

    let hang = "{\"path_contains\":\"/720p/\",\"action\":\"hang\",\"seconds\":0.5}";
    server.post("/api/faults", &fault("none")).await;
    server.post("/api/faults", hang).await;
    let began = Instant::now();
    let hung = server.ask("GET", SEGMENT, "", "").await;
    assert!(hung.is_none_or(|reply| reply.body.is_empty()));
    assert!(began.elapsed() >= Duration::from_millis(500));

    assert_eq!(server.fetch(SEGMENT).await.body.len(), size);
    assert_eq!(server.post("/api/faults", &fault("explode")).await.status, 400);
}

#[tokio::test]
async fn faults_are_off_unless_allowed() {
    let mut quiet = options("quiet");
    quiet.faults = false;
    let server = start(quiet).await;
    let reply = server.post("/api/faults", "{\"action\":\"hang\"}").await;
    assert!((400..500).contains(&reply.status), "{}", reply.status);
    let reply = server.post("/api/tracker", "{\"up\":false}").await;
    assert!((400..500).contains(&reply.status), "{}", reply.status);
    assert_eq!(server.fetch(SEGMENT).await.status, 200);
}

#[tokio::test]
async fn the_origin_limit_holds_over_all_responses() {
    let mut limited = options("limit");
    limited.origin_limit_bps = Some(4_000_000);
    let server = start(limited).await;
    let began = Instant::now();
    let (a, b) = tokio::join!(server.fetch(SEGMENT), server.fetch("/media/sample/720p/004.m4s"));
    let seconds = began.elapsed().as_secs_f64();
    let ideal = (a.body.len() + b.body.len()) as f64 * 8.0 / 4e6;
    assert!(seconds > ideal * 0.85, "{seconds} s, {ideal} s at the limit");
    assert!(seconds < ideal * 3.0 + 1.0, "{seconds} s, {ideal} s at the limit");
}

#[tokio::test]
async fn a_folder_of_hls_is_served_as_it_is() {
    let mut own = options("folder");
    let folder = own.www.join("film");
    std::fs::create_dir_all(folder.join("v")).unwrap();
    std::fs::write(folder.join("a-media.m3u8"), "#EXTM3U\n#EXT-X-TARGETDURATION:4\n").unwrap();
    let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv/index.m3u8\n";
    std::fs::write(folder.join("film.m3u8"), master).unwrap();
    std::fs::write(folder.join("v/0.ts"), "ts").unwrap();
    own.media = Some(folder.clone());
    let server = start(own).await;
    let titles = server.fetch("/api/titles").await.json();
    assert_eq!(titles[0]["src"], "/media/title/film.m3u8");
    assert_eq!(server.fetch("/media/title/film.m3u8").await.text(), master);
    let segment =
        server.ask("GET", "/media/title/v/0.ts", "Range: bytes=1-\r\n", "").await.unwrap();
    assert_eq!((segment.status, segment.body.as_slice()), (206, b"s".as_slice()));
    assert_eq!(segment.header("content-type"), Some("video/mp2t"));
}

#[tokio::test]
async fn media_that_are_none_are_named() {
    let mut own = options("none");
    let empty = own.www.clone();
    own.media = Some(empty.clone());
    let error = demo::Server::open(own.clone(), |_| {}).await.err().expect("an error");
    assert!(error.to_string().contains("holds no HLS"), "{error}");
    own.media = Some(empty.join("missing.mp4"));
    let error = demo::Server::open(own, |_| {}).await.err().expect("an error");
    assert!(error.to_string().contains("missing.mp4"), "{error}");
    let _ = std::fs::remove_dir_all(empty);
}

#[tokio::test]
async fn a_film_is_packaged_by_ffmpeg() {
    let mut own = options("package");
    let film = own.www.join("film.mp4");
    let made = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=s=854x480:r=24:d=30"])
        .args(["-f", "lavfi", "-i", "sine=d=30", "-preset", "ultrafast", "-shortest"])
        .arg(&film)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no ffmpeg here");
        let _ = std::fs::remove_dir_all(own.www);
        return;
    }
    let cache = own.www.join("cache");
    let said = std::sync::Mutex::new(Vec::new());
    let note = |line: &str| said.lock().unwrap().push(line.to_owned());
    let folder = demo::origin::package::package(&film, &cache, note).await.expect("a folder");
    assert!(said.lock().unwrap().iter().any(|line| line.ends_with('%')), "{said:?}");
    said.lock().unwrap().clear();
    let again = demo::origin::package::package(&film, &cache, note).await.expect("a folder");
    assert_eq!(again, folder);
    assert!(said.lock().unwrap()[0].contains("before"));

    own.media = Some(folder);
    let server = start(own).await;
    let titles = server.fetch("/api/titles").await.json();
    assert_eq!(titles[0]["src"], "/media/title/master.m3u8");
    let master = server.fetch("/media/title/master.m3u8").await.text();
    assert_eq!(master.matches("#EXT-X-STREAM-INF").count(), 2, "{master}");
    assert!(master.contains("CODECS=\"avc1.") && master.contains("RESOLUTION=854x480"), "{master}");
    assert_eq!(titles[1]["src"], "/media/title-live/master.m3u8", "it is simple enough to loop");
    let first = master.lines().find(|line| line.ends_with("index.m3u8")).unwrap();
    let live = server.fetch(&format!("/media/title-live/{first}")).await.text();
    let segment = live.lines().find(|line| line.starts_with("seg-")).unwrap();
    let path = format!("/media/title-live/{}/{segment}", first.rsplit_once('/').unwrap().0);
    assert_eq!(server.fetch(&path).await.status, 200, "{path}");
}
