//! `potluck hash --follow`: the program itself beside a packager that writes a live playlist.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use demo::hashes::{Digest, Signer, generate};
use player_core::proof::{Entry, Proof};

/// How often it is looked whether a step has been done: for a minute, since the machine may have other things to do.
const LOOKS: u32 = 3_000;
const BETWEEN: Duration = Duration::from_millis(20);
const TAG: &str = "#EXT-X-POTLUCK-HASH:";

/// A folder of its own, gone at the end, with a program that follows the playlist in it.
struct Channel {
    folder: PathBuf,
    program: Child,
}

impl Channel {
    fn follow(name: &str, arguments: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("potluck-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        generate(&folder.join("key")).unwrap();
        let program = Command::new(env!("CARGO_BIN_EXE_potluck"))
            .current_dir(&folder)
            .args(["hash", "--follow", "live.m3u8"])
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("potluck");
        Self { folder, program }
    }

    fn segment(&self, number: u8) -> PathBuf {
        self.folder.join(format!("{number}.m4s"))
    }

    /// The packager's work: the last segment's file, then the playlist, at once.
    fn publish(&self, numbers: std::ops::RangeInclusive<u8>, end: &str) -> String {
        fs::write(self.segment(*numbers.end()), vec![*numbers.end(); 100_000]).unwrap();
        let mut text = format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:{}\n",
            numbers.start()
        );
        for number in numbers {
            text += &format!("#EXTINF:4,\n{number}.m4s\n");
        }
        text += end;
        fs::write(self.folder.join("new"), &text).unwrap();
        fs::rename(self.folder.join("new"), self.folder.join("live.m3u8")).unwrap();
        text
    }

    /// Waits until a playlist has an entry for each of these segments and no others, and checks them.
    fn await_entries(&self, playlist: &str, numbers: std::ops::RangeInclusive<u8>) -> String {
        let wanted: Vec<String> = numbers.clone().map(|number| format!("{number}.m4s")).collect();
        let mut text = String::new();
        for _ in 0..LOOKS {
            text = fs::read_to_string(self.folder.join(playlist)).unwrap_or_default();
            let found = entries(&text);
            if found.iter().map(|(uri, _)| uri).eq(&wanted) {
                for ((_, entry), number) in found.iter().zip(numbers) {
                    self.check(entry, &self.segment(number));
                }
                return text;
            }
            std::thread::sleep(BETWEEN);
        }
        panic!("{wanted:?} wanted\n{text}");
    }

    /// An entry is that of the file, and signed.
    fn check(&self, entry: &Entry, file: &Path) {
        let digest = Digest::of(fs::File::open(file).unwrap()).unwrap();
        assert_eq!(entry.proof, Proof::Root(digest.root), "{}", file.display());
        assert_eq!(entry.size.map(u64::from), Some(digest.size));
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(entry.names(&format!("https://cdn.example/news/{name}")));
        let signer = Signer::read(&self.folder.join("key")).unwrap();
        assert_eq!(entry.signature, Some(signer.sign(entry.message().as_bytes())));
    }

    /// The program ends by itself, and content.
    fn await_end(&mut self) {
        for _ in 0..LOOKS {
            if let Some(status) = self.program.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            std::thread::sleep(BETWEEN);
        }
        panic!("it goes on after the end");
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The segments that have an entry, with it.
fn entries(text: &str) -> Vec<(String, Entry)> {
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(entry) = line.strip_prefix(TAG) {
            let uri = lines.next().unwrap_or_default().to_owned();
            found.push((uri, Entry::read(entry).unwrap()));
        }
    }
    found
}

#[test]
fn a_live_playlist_is_followed_from_before_its_first_segment_to_its_end() {
    let mut channel =
        Channel::follow("follow", &["--output", "tagged.m3u8", "--sign", "key", "--name", "news"]);
    // Nothing is there yet: it is waited for.
    std::thread::sleep(Duration::from_millis(300));
    assert!(channel.program.try_wait().unwrap().is_none(), "it has given up");
    channel.publish(0..=0, "");
    channel.await_entries("tagged.m3u8", 0..=0);
    channel.publish(0..=1, "");
    channel.await_entries("tagged.m3u8", 0..=1);
    // The window moves on, and what left it is deleted.
    let text = channel.publish(1..=2, "");
    fs::remove_file(channel.segment(0)).unwrap();
    channel.await_entries("tagged.m3u8", 1..=2);
    assert_eq!(fs::read_to_string(channel.folder.join("live.m3u8")).unwrap(), text);
    assert!(channel.program.try_wait().unwrap().is_none(), "it ends before the stream");
    channel.publish(1..=3, "#EXT-X-ENDLIST\n");
    channel.await_end();
    let text = channel.await_entries("tagged.m3u8", 1..=3);
    assert!(text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
}

#[test]
fn a_live_playlist_that_is_written_anew_gets_its_tags_again() {
    let mut channel = Channel::follow("follow-tags", &["--sign", "key", "--name", "news"]);
    for last in 0..3 {
        channel.publish(0..=last, if last == 2 { "#EXT-X-ENDLIST\n" } else { "" });
        channel.await_entries("live.m3u8", 0..=last);
    }
    channel.await_end();
}

#[cfg(unix)]
#[test]
fn what_is_published_with_the_end_while_others_are_hashed_is_hashed_too() {
    let mut channel = Channel::follow(
        "follow-end",
        &["--output", "tagged.m3u8", "--sign", "key", "--name", "news"],
    );
    // Hashing a pipe goes on until this test closes it.
    let pipe = channel.segment(9);
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let list = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n9.m4s\n";
    fs::write(channel.folder.join("live.m3u8"), list).unwrap();
    let writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    channel.publish(1..=1, "#EXT-X-ENDLIST\n");
    drop(writer);
    channel.await_end();
    channel.await_entries("tagged.m3u8", 1..=1);
}
