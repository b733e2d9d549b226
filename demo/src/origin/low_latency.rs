//! A low-latency channel out of a film: the live channel, with each segment in parts that can be had as soon as they
//! have been shown (draft-pantos-hls-rfc8216bis §4.4.4.9, §6.2.5).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Bytes;

use super::folder::{Content, Folder};
use super::fragment::{Fragment, split, tracks};
use super::live::{Channel, EPOCH, Rendition, Window, ending, media_playlists, prefix, removed};
use crate::clock::rfc3339;

/// Longest part.
const PART: Duration = Duration::from_nanos(333_334_000);
/// Segments in the window: enough for delta updates to leave some out.
const WINDOW: u64 = 12;
/// Target durations whose segments are listed with their parts.
const IN_PARTS: u64 = 3;
/// Target durations that a delta update has at least (bis §4.4.3.8).
const SKIP_UNTIL: u64 = 6;
/// Parts behind the edge to play at (`PART-HOLD-BACK`): one more than the least.
const HOLD_BACK: u32 = 4;
/// Media held in memory at most; larger films have no such channel.
const MAX_BYTES: usize = 64 << 20;

/// A channel that never ends, in parts.
#[derive(Debug)]
pub(crate) struct LowLatency {
    channel: Channel,
    /// Parts of each segment of one loop, by the names of the media playlists.
    parts: BTreeMap<String, Vec<Vec<Fragment>>>,
}

/// What is answered to a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// This, now.
    Content(Content),
    /// A file of the film's folder.
    File(String),
    /// What there will be at this age of the channel: until then the request waits.
    Later(Duration),
    /// An HTTP status.
    Error(u16),
}

impl LowLatency {
    /// Makes a channel of a film, if [`Channel::of`] can and its segments can be cut.
    pub(crate) async fn of(folder: Folder, entry: String) -> Option<Self> {
        let channel = Channel::with_window(folder.clone(), entry.clone(), WINDOW).await?;
        let mut parts = BTreeMap::new();
        let mut bytes = 0;
        for name in media_playlists(&folder.playlist(&entry).await?)? {
            let rendition = channel.renditions.get(&name)?;
            let below = name.rsplit_once('/').map_or("", |parts| parts.0);
            let path = |file: &str| {
                if below.is_empty() { file.to_owned() } else { format!("{below}/{file}") }
            };
            let read = async |file: &str| folder.open(&path(file)).await?.bytes(MAX_BYTES).await;
            let info = tracks(&read(rendition.init.as_deref()?).await?)?;
            let mut segments = Vec::new();
            for (uri, _) in &rendition.segments {
                let cut = split(&read(uri).await?, &info, PART)?;
                bytes += cut.iter().map(|part| part.bytes.len()).sum::<usize>();
                if bytes > MAX_BYTES {
                    return None;
                }
                segments.push(cut);
            }
            parts.insert(name, segments);
        }
        // The same cuts in all renditions: one clock serves them all.
        let counts = |of: &Vec<Vec<Fragment>>| of.iter().map(Vec::len).collect::<Vec<_>>();
        let first = counts(parts.values().next()?);
        parts.values().all(|of| counts(of) == first).then_some(Self { channel, parts })
    }

    /// The folder that its init sections come from.
    pub(crate) fn folder(&self) -> &Folder {
        self.channel.folder()
    }

    /// What `name` with this query stands for at `age`, the time since [`EPOCH`].
    pub(crate) fn find(&self, name: &str, query: &str, age: Duration) -> Answer {
        if name == self.channel.entry {
            let text = self.channel.multivariant.clone();
            return Answer::Content(Content::Memory(text.into()));
        }
        if let Some(rendition) = self.channel.renditions.get(name) {
            return self.playlist(name, rendition, query, age);
        }
        let window = self.channel.window(age);
        for (playlist, rendition) in &self.channel.renditions {
            let Some(file) = name.strip_prefix(folder_of(playlist)) else { continue };
            if rendition.init.as_deref() == Some(file) {
                return Answer::File(name.to_owned());
            }
            let Some(found) = file.strip_prefix(&prefix(playlist)).and_then(numbers) else {
                continue;
            };
            let (number, part) = found;
            let segment = &self.parts[playlist][(number % self.count()) as usize];
            if number + 2 * window.count < window.first {
                break;
            }
            let Some(part) = part else {
                if number >= window.end() {
                    break;
                }
                let whole: Vec<u8> =
                    segment.iter().flat_map(|part| part.bytes.iter().copied()).collect();
                return Answer::Content(Content::Memory(whole.into()));
            };
            let Some(fragment) = segment.get(part) else { break };
            let done = self.part_end(number, part);
            // The part that is being shown, and the one behind it, can be waited for.
            if done <= age {
                return Answer::Content(Content::Memory(fragment.bytes.clone()));
            }
            if done <= age + 2 * PART {
                return Answer::Later(done);
            }
        }
        Answer::Error(404)
    }

    fn playlist(&self, name: &str, rendition: &Rendition, query: &str, age: Duration) -> Answer {
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|pair| pair.0 == name).map(|pair| pair.1)
        };
        let number = |name: &str| value(name).map(str::parse::<u64>).transpose();
        let window = self.channel.window(age);
        let (Ok(sequence), Ok(part)) = (number("_HLS_msn"), number("_HLS_part")) else {
            return Answer::Error(400);
        };
        match (sequence, part) {
            (None, None) => {}
            (None, Some(_)) => return Answer::Error(400),
            // bis §6.2.5.2: that is no request of a client that has seen this playlist.
            (Some(sequence), _) if sequence > window.end() + 1 => return Answer::Error(400),
            (Some(sequence), part) => {
                let count = self.parts[name][(sequence % self.count()) as usize].len();
                let done = match part.and_then(|part| usize::try_from(part).ok()) {
                    Some(part) if part < count => self.part_end(sequence, part),
                    // Behind the last part comes the next segment's first.
                    Some(_) => self.part_end(sequence + 1, 0),
                    None => self.part_end(sequence, count - 1),
                };
                if done > age {
                    return Answer::Later(done);
                }
            }
        }
        let delta = value("_HLS_skip").is_some_and(|value| value == "YES" || value == "v2");
        let text = self.write(name, rendition, window, age, delta);
        Answer::Content(Content::Memory(Bytes::from(text)))
    }

    fn write(
        &self,
        name: &str,
        rendition: &Rendition,
        window: Window,
        age: Duration,
        delta: bool,
    ) -> String {
        let target = self.channel.target_duration();
        let part = PART.as_secs_f64();
        let mut out = format!(
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{target}\n\
             #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={}.0,HOLD-BACK={}.0,PART-HOLD-BACK={:.3}\n\
             #EXT-X-PART-INF:PART-TARGET={part:.6}\n#EXT-X-MEDIA-SEQUENCE:{}\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:{}\n#EXT-X-INDEPENDENT-SEGMENTS\n",
            SKIP_UNTIL * target,
            3 * target,
            f64::from(HOLD_BACK) * part,
            window.first,
            removed(window.first, self.count()),
        );
        let mut first = window.first;
        let skipped = window.count.saturating_sub(SKIP_UNTIL);
        if delta && skipped > 0 {
            let _ = writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
            first += skipped;
        } else if let Some(init) = &rendition.init {
            let _ = writeln!(out, "#EXT-X-MAP:URI=\"{init}\"");
        }
        let stem = prefix(name);
        for number in first..window.end() + 1 {
            let index = (number % self.count()) as usize;
            let parts = &self.parts[name][index];
            let ready =
                (0..parts.len()).take_while(|part| self.part_end(number, *part) <= age).count();
            let open = number == window.end();
            if ready > 0 {
                if number > 0 && index == 0 {
                    // Timestamps begin anew with each round.
                    out.push_str("#EXT-X-DISCONTINUITY\n");
                }
                let date =
                    (EPOCH + self.channel.start_of(number)).saturating_sub(self.channel.preroll());
                let _ = writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", rfc3339(date));
            }
            let (uri, length) = &rendition.segments[index];
            let ending = ending(uri);
            if number + IN_PARTS >= window.end() {
                for (index, part) in parts[..ready].iter().enumerate() {
                    let _ = writeln!(
                        out,
                        "#EXT-X-PART:DURATION={:.6},URI=\"{stem}{number}.{index}.{ending}\"{}",
                        part.length.as_secs_f64(),
                        if part.independent { ",INDEPENDENT=YES" } else { "" }
                    );
                }
            }
            if open {
                let _ = writeln!(
                    out,
                    "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{stem}{number}.{ready}.{ending}\""
                );
            } else {
                let _ =
                    writeln!(out, "#EXTINF:{:.6},\n{stem}{number}.{ending}", length.as_secs_f64());
            }
        }
        let (sequence, part) = self.newest(age);
        for other in self.parts.keys().filter(|other| *other != name) {
            let up = if folder_of(name).is_empty() { "" } else { "../" };
            let _ = writeln!(
                out,
                "#EXT-X-RENDITION-REPORT:URI=\"{up}{other}\",LAST-MSN={sequence},LAST-PART={part}"
            );
        }
        out
    }

    /// Media sequence number and index of the last part at `age`.
    fn newest(&self, age: Duration) -> (u64, usize) {
        let open = self.channel.window(age).end();
        let of = |number: u64| {
            let parts = self.lead(number);
            (0..parts.len()).take_while(|part| self.part_end(number, *part) <= age).count()
        };
        match of(open) {
            0 => {
                (open.saturating_sub(1), self.lead(open.saturating_sub(1)).len().saturating_sub(1))
            }
            parts => (open, parts - 1),
        }
    }

    /// When a part has been shown to its end, as an age of the channel.
    fn part_end(&self, number: u64, part: usize) -> Duration {
        let parts = self.lead(number);
        let length = if part + 1 == parts.len() {
            // The segment's own length: sums of parts are rounded.
            self.channel.lengths[(number % self.count()) as usize]
        } else {
            parts.iter().take(part + 1).map(|part| part.length).sum()
        };
        (self.channel.start_of(number) + length).saturating_sub(self.channel.preroll())
    }

    /// The parts of a segment in the first rendition.
    fn lead(&self, number: u64) -> &[Fragment] {
        self.parts
            .values()
            .next()
            .map_or(&[], |segments| segments[(number % self.count()) as usize].as_slice())
    }

    fn count(&self) -> u64 {
        self.channel.lengths.len() as u64
    }
}

/// The folder of a playlist, with its `/`.
fn folder_of(playlist: &str) -> &str {
    playlist.rfind('/').map_or("", |at| &playlist[..=at])
}

/// The numbers in `12.m4s` or `12.3.m4s`.
fn numbers(rest: &str) -> Option<(u64, Option<usize>)> {
    let mut pieces = rest.split('.');
    let plain = |text: &str| text.parse::<u64>().ok().filter(|number| number.to_string() == text);
    let number = plain(pieces.next()?)?;
    let (second, third) = (pieces.next()?, pieces.next());
    match (third, pieces.next()) {
        (None, None) => Some((number, None)),
        (Some(_), None) => Some((number, Some(usize::try_from(plain(second)?).ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn channel() -> LowLatency {
        LowLatency::of(Folder::Sample, "master.m3u8".into()).await.expect("the sample can be cut")
    }

    fn text(channel: &LowLatency, query: &str, age: Duration) -> String {
        match channel.find("480p/index.m3u8", query, age) {
            Answer::Content(Content::Memory(text)) => String::from_utf8(text.to_vec()).unwrap(),
            other => panic!("{query} is {other:?}"),
        }
    }

    #[tokio::test]
    async fn parts_appear_when_they_have_been_shown_and_the_next_one_is_hinted_at() {
        let channel = channel().await;
        let base = Duration::from_secs(400);
        let at = |ms: u64| text(&channel, "", base + Duration::from_millis(ms));
        let open = channel.channel.window(base).end();
        assert!(at(0).contains(&format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"seg-{open}.0.m4s\"")));
        assert!(!at(333).contains(&format!("seg-{open}.0.m4s\",INDEPENDENT=YES")));
        assert!(at(334).contains(&format!("seg-{open}.0.m4s\",INDEPENDENT=YES")));
        assert!(at(3990).contains(&format!("URI=\"seg-{open}.11.m4s\"\n")));
        assert!(at(4000).contains(&format!("\nseg-{open}.m4s\n")));
        assert!(at(4000).contains("URI=\"../720p/index.m3u8\",LAST-MSN="));
    }

    #[tokio::test]
    async fn a_reload_waits_for_the_part_that_it_names() {
        let channel = channel().await;
        let base = Duration::from_secs(400);
        let open = channel.channel.window(base).end();
        let find = |query: &str| channel.find("480p/index.m3u8", query, base);
        let later = |answer| match answer {
            Answer::Later(age) => (age - base).as_secs_f64(),
            other => panic!("{other:?}"),
        };
        assert!((later(find(&format!("_HLS_msn={open}&_HLS_part=1"))) - 2.0 / 3.0).abs() < 0.001);
        assert!((later(find(&format!("_HLS_msn={open}"))) - 4.0).abs() < 0.001);
        assert!((later(find(&format!("_HLS_msn={open}&_HLS_part=12"))) - 4.3333).abs() < 0.001);
        assert!(matches!(find(&format!("_HLS_msn={}", open + 2)), Answer::Error(400)));
        assert!(matches!(find("_HLS_part=1"), Answer::Error(400)));
        let known = text(&channel, &format!("_HLS_msn={}&_HLS_part=3", open - 1), base);
        assert!(known.starts_with("#EXTM3U"));
        let file = format!("480p/seg-{open}.0.m4s");
        assert!((later(channel.find(&file, "", base)) - 1.0 / 3.0).abs() < 0.001);
        let far = format!("480p/seg-{open}.5.m4s");
        assert!(matches!(channel.find(&far, "", base), Answer::Error(404)));
    }

    #[tokio::test]
    async fn a_delta_update_leaves_out_what_is_old() {
        let channel = channel().await;
        let base = Duration::from_secs(400);
        let whole = text(&channel, "", base);
        let delta = text(&channel, "_HLS_skip=YES", base);
        assert!(delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=6\n"));
        let segments = |text: &str| text.lines().filter(|line| line.starts_with("#EXTINF")).count();
        assert_eq!((segments(&whole), segments(&delta)), (12, 6));
        assert!(whole.ends_with(&delta[delta.find("#EXT-X-PRELOAD-HINT").unwrap()..]));
    }

    #[tokio::test]
    async fn a_segment_is_its_parts_one_after_the_other() {
        let channel = channel().await;
        let base = Duration::from_secs(400);
        let last = channel.channel.window(base).end() - 1;
        let get = |name: &str| match channel.find(name, "", base) {
            Answer::Content(Content::Memory(bytes)) => bytes,
            other => panic!("{name} is {other:?}"),
        };
        let whole = get(&format!("240p/seg-{last}.m4s"));
        let parts: Vec<u8> =
            (0..12).flat_map(|part| get(&format!("240p/seg-{last}.{part}.m4s")).to_vec()).collect();
        assert!(whole == parts, "{} and {} bytes", whole.len(), parts.len());
    }
}
