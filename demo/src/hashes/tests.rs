use super::*;
use std::fs;
use std::path::PathBuf;

/// A folder of its own, gone at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("potluck-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("720p")).unwrap();
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const PLAYLIST: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.m4s\n#EXTINF:4,\n#EXT-X-BYTERANGE:10@5\nb.mp4\n#EXT-X-BYTERANGE:20\n#EXTINF:4,\nb.mp4\n#EXT-X-ENDLIST\n";

#[test]
fn segments_are_listed_with_their_ranges() {
    let segments = listed(PLAYLIST);
    let ranges: Vec<_> = segments.iter().map(|segment| segment.range.clone()).collect();
    assert_eq!(ranges, [None, Some(5..15), Some(15..35)]);
    assert!(listed("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n720p/index.m3u8\n").is_empty());
}

#[test]
fn tags_are_written_anew_and_not_twice() {
    let entries = vec![Some("A".to_owned()), None, Some("C".to_owned())];
    let once = tagged(PLAYLIST, &entries);
    assert!(once.contains("#EXT-X-POTLUCK-HASH:A\na.m4s\n"), "{once}");
    assert_eq!(once.matches(TAG).count(), 2);
    assert_eq!(tagged(&once, &entries), once);
    assert_eq!(listed(&once), listed(PLAYLIST));
}

#[test]
fn a_segment_outside_the_folder_is_refused() {
    assert_eq!(path_of("720p", "000.m4s?token=1"), Some("720p/000.m4s".to_owned()));
    assert_eq!(path_of("720p", "../480p/./0.m4s"), Some("480p/0.m4s".to_owned()));
    for uri in ["../../etc/passwd", "https://a.example/0.m4s", "/0.m4s"] {
        assert_eq!(path_of("720p", uri), None, "{uri}");
    }
}

#[test]
fn a_folder_is_hashed_signed_and_only_what_changes_is_hashed_again() {
    let folder = Temporary::new("hash");
    let root = folder.0.clone();
    let key = root.join("key");
    let signer = generate(&key).unwrap();
    assert!(matches!(generate(&key), Err(KeyError::Exists(_))));
    assert_eq!(Signer::read(&key).unwrap().public_key(), signer.public_key());
    fs::write(root.join("720p/a.m4s"), vec![7; 100_000]).unwrap();
    fs::write(root.join("720p/b.mp4"), vec![8; 50]).unwrap();
    fs::write(root.join("720p/index.m3u8"), PLAYLIST).unwrap();
    fs::write(
        root.join("master.m3u8"),
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n720p/index.m3u8\n",
    )
    .unwrap();
    let mut hasher = Hasher::new(root.clone(), Some(signer.clone()), "film");
    let done = hasher.folder(|_| Form::Tags).unwrap();
    assert_eq!((done.len(), done[0].segments, done[0].hashed), (1, 3, 3));
    assert_eq!(done[0].bytes, 100_030);
    assert_eq!(hasher.folder(|_| Form::Tags).unwrap(), [], "nothing has changed");

    let text = fs::read_to_string(root.join("720p/index.m3u8")).unwrap();
    let tag = text.lines().find_map(|line| line.strip_prefix(TAG)).unwrap();
    let entry = Entry::read(tag).unwrap();
    assert_eq!(entry.size, Some(100_000));
    assert!(entry.names("https://cdn.example/x/film/720p/a.m4s"));
    let public = ed25519_compact::PublicKey::new(
        player_core::proof::hexadecimal(&signer.public_key()).unwrap(),
    );
    let signature = ed25519_compact::Signature::new(entry.signature.unwrap());
    public.verify(entry.message(), &signature).unwrap();
    let blocks = [block_hash(&[7; 65_536]), block_hash(&vec![7; 100_000 - 65_536])];
    assert_eq!(entry.proof, Proof::Root(root_of(&blocks)));

    // The packager writes it anew, with one segment changed.
    fs::write(root.join("720p/a.m4s"), vec![9; 100_001]).unwrap();
    fs::write(root.join("720p/index.m3u8"), PLAYLIST).unwrap();
    let playlist = root.join("720p/index.m3u8");
    let again = hasher.playlist(&playlist, &Form::Tags).unwrap().unwrap();
    assert_eq!((again.segments, again.hashed), (3, 1));

    let file = root.join("720p/hashes.json");
    hasher.playlist(&playlist, &Form::File(file.clone())).unwrap().unwrap();
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert!(json["a.m4s"].as_str().unwrap().contains("SIZE=100001"));
    assert!(json["b.mp4"]["5-14"].is_string() && json["b.mp4"]["15-34"].is_string());

    fs::remove_file(root.join("720p/b.mp4")).unwrap();
    assert!(matches!(hasher.playlist(&playlist, &Form::Tags), Err(HashError::Read(..))));
}

fn root_of(blocks: &[Hash]) -> Hash {
    root(blocks)
}

#[cfg(unix)]
#[test]
fn a_playlist_that_is_written_anew_while_its_segments_are_hashed_is_not_put_back() {
    let folder = Temporary::new("hash-anew");
    let playlist = folder.0.join("720p/index.m3u8");
    let pipe = folder.0.join("720p/a.m4s");
    fs::write(folder.0.join("720p/b.m4s"), [1; 10]).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let list = |name: &str| format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{name}\n");
    fs::write(&playlist, list("a.m4s")).unwrap();
    let mut hasher = Hasher::new(folder.0.clone(), None, "");
    let summary = std::thread::scope(|scope| {
        let hashing = scope.spawn(|| hasher.playlist(&playlist, &Form::Tags));
        // A pipe opens when both ends are: the playlist has been read by then.
        let writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
        fs::write(&playlist, list("b.m4s")).unwrap();
        drop(writer);
        hashing.join().unwrap().unwrap().unwrap()
    });
    assert_eq!(summary.segments, 1);
    let text = fs::read_to_string(&playlist).unwrap();
    assert!(text.contains("SIZE=10\nb.m4s\n") && !text.contains("a.m4s"), "{text}");
}
