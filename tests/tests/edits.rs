//! Edit lists of fragmented MP4: what a browser gets has no empty edits, and shows each sample when ffprobe says that the
//! original does.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Presentation times in seconds, by stream; in the order of the file.
type Times = Vec<Vec<f64>>;

fn has_ffmpeg() -> bool {
    let found = ["ffmpeg", "ffprobe"]
        .iter()
        .all(|program| Command::new(program).arg("-version").output().is_ok());
    if !found {
        eprintln!("skipped: ffmpeg and ffprobe are not on the path");
    }
    found
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("edits-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    folder
}

fn presented(file: &Path) -> Times {
    let run = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "packet=stream_index,pts_time", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .expect("ffprobe runs");
    let mut times = Times::new();
    for line in String::from_utf8_lossy(&run.stdout).lines() {
        let mut fields = line.split(',');
        let (Some(stream), Some(time)) = (fields.next(), fields.next()) else { continue };
        let stream: usize = stream.parse().expect("a stream's index");
        times.resize(times.len().max(stream + 1), Vec::new());
        times[stream].push(time.parse().expect("a time"));
    }
    times
}

/// Compares what ffprobe says of a stream with what it says of the same behind the init section that browsers get, and
/// with what the player takes for its start.
fn check(name: &str, init: &[u8], media: &[u8]) {
    let folder = folder(name);
    let file = |name: &str, init: &[u8], media: &[u8]| {
        let file = folder.join(name);
        std::fs::write(&file, [init, media].concat()).expect("a temporary file");
        presented(&file)
    };
    let theirs = file("theirs.mp4", init, media);
    let ours = player_core::without_empty_edits(init, media).expect("an init section");
    let ours = file("ours.mp4", &ours.0, &ours.1);
    let _ = std::fs::remove_dir_all(&folder);
    assert!(theirs.iter().all(|times| !times.is_empty()), "{name}: ffprobe finds samples");
    assert_eq!(ours.len(), theirs.len(), "{name}: streams");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours.len(), theirs.len(), "{name}: samples");
        let off = ours.iter().zip(theirs).map(|(ours, theirs)| (ours - theirs).abs());
        let off = off.fold(0.0, f64::max);
        assert!(off < 0.0005, "{name}: {off} s off");
    }
    let start = player_core::read_fmp4(init, media).expect("a start");
    let first = theirs[0].iter().take(10).copied().fold(f64::INFINITY, f64::min);
    assert!(
        (start - first).abs() < 0.0005,
        "{name}: starts at {first}, and the player says {start}"
    );
}

/// Pictures, or sound, that begin `late` seconds after the other.
fn make(name: &str, pictures: f64, sound: f64) -> Option<(Vec<u8>, Vec<u8>)> {
    let folder = folder(name);
    let file = folder.join("made.mp4");
    let words = format!(
        "-hide_banner -loglevel error -y -nostdin -f lavfi -i testsrc2=s=160x90:r=24:d=4 -f lavfi -i sine=f=440:d=4 \
         -vf setpts=PTS+{pictures}/TB -af asetpts=PTS+{sound}/TB -fps_mode passthrough -c:v libx264 -preset ultrafast \
         -bf 2 -g 48 -pix_fmt yuv420p -c:a aac -movflags +frag_keyframe+delay_moov+default_base_moof -use_editlist 1"
    );
    let run = Command::new("ffmpeg").args(words.split_whitespace()).arg(&file).output();
    let run = run.expect("ffmpeg runs");
    let whole = std::fs::read(&file).unwrap_or_default();
    let _ = std::fs::remove_dir_all(&folder);
    if !run.status.success() {
        eprintln!("skipped: {}", String::from_utf8_lossy(&run.stderr));
        return None;
    }
    let at = whole.windows(4).position(|word| word == b"moof").expect("fragments") - 4;
    let (init, media) = whole.split_at(at);
    Some((init.to_vec(), media.to_vec()))
}

#[test]
fn empty_edits_and_priming_are_shown_as_ffprobe_says() {
    if !has_ffmpeg() {
        return;
    }
    for (name, pictures, sound) in
        [("neither", 0.0, 0.0), ("pictures", 0.9, 0.0), ("sound", 0.0, 1.7), ("both", 0.35, 2.2)]
    {
        let Some((init, media)) = make(name, pictures, sound) else { return };
        let empty = init.windows(4).any(|word| word == [0xff; 4]);
        assert_eq!(empty, pictures + sound > 0.0, "{name}: there are empty edits");
        check(name, &init, &media);
    }
}

#[test]
fn edits_of_streams_of_the_field_are_shown_as_ffprobe_says() {
    let stream = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/fixtures/hls/hls-mp4-muxed-aac-h264");
    if !stream.exists() {
        eprintln!("skipped: there is no ../shared/fixtures/hls beside the project");
        return;
    }
    if has_ffmpeg() {
        let read = |name: &str| std::fs::read(stream.join(name)).expect("a file of the stream");
        check("field", &read("init.mp4"), &read("hls11.m4s"));
    }
}
