//! Potluck's playlist reader as a bare WebAssembly module, compiled as the engine is: `cargo xtask bench playlists`.
//!
//! `reserve` says where the text goes, `parse` reads it so many times, `heap` says what the playlist that was read last
//! takes, and `reload` takes another text as a reload of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use player_core::OrderedMap;
use player_core::hls::{self, MediaPlaylist, Playlist};

const URL: &str = "https://media.example/show/index.m3u8";

struct State {
    text: Vec<u8>,
    playlist: Option<MediaPlaylist>,
    /// Bytes of heap of the playlist, its text left out.
    heap: usize,
}

static STATE: Mutex<State> = Mutex::new(State { text: Vec::new(), playlist: None, heap: 0 });

/// The system's allocator, which counts what is in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        IN_USE.fetch_add(size, Ordering::Relaxed);
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Where a text of so many bytes is to be written.
#[unsafe(no_mangle)]
pub extern "C" fn reserve(bytes: usize) -> *mut u8 {
    let Ok(mut state) = STATE.lock() else { return std::ptr::null_mut() };
    state.text = vec![b'\n'; bytes];
    state.text.as_mut_ptr()
}

/// Reads the text so many times; the number of its segments, 0 if it cannot be read.
#[unsafe(no_mangle)]
pub extern "C" fn parse(times: u32) -> u32 {
    let Ok(mut state) = STATE.lock() else { return 0 };
    let none = OrderedMap::new();
    let mut segments = 0;
    for _ in 0..times {
        state.playlist = None;
        let before = IN_USE.load(Ordering::Relaxed);
        let Ok(text) = std::str::from_utf8(&state.text) else { return 0 };
        let Ok(Playlist::Media(playlist)) = hls::parse(text, URL, &none) else { return 0 };
        segments = playlist.segments.len() as u32;
        let taken = IN_USE.load(Ordering::Relaxed).saturating_sub(before);
        state.heap = taken.saturating_sub(state.text.len());
        state.playlist = Some(playlist);
    }
    segments
}

/// Bytes of heap that the playlist which was read last takes beyond its text.
#[unsafe(no_mangle)]
pub extern "C" fn heap() -> usize {
    STATE.lock().map_or(0, |state| state.heap)
}

/// Takes the text as a reload; the number of segments that it added.
#[unsafe(no_mangle)]
pub extern "C" fn reload() -> u32 {
    let Ok(mut state) = STATE.lock() else { return 0 };
    let State { text, playlist, .. } = &mut *state;
    let (Ok(text), Some(playlist)) = (std::str::from_utf8(text), playlist) else { return 0 };
    playlist.refresh_text(text, URL, &OrderedMap::new()).map_or(0, |refresh| refresh.added as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a segment may take beyond its text.
    const MOST: usize = 100;

    /// Heap beyond the text, by segment.
    fn heap_of(name: &str, count: u64, tags: impl Fn(u64) -> String) -> usize {
        let mut text = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n".to_owned();
        for sequence in 0..count {
            text += &tags(sequence);
            text += &format!(
                "#EXTINF:4.000,\nhttps://cdn.media.example/title/v5/1080p/segment-{sequence:08}.ts\n"
            );
        }
        STATE.lock().expect("nobody panicked").text = text.into_bytes();
        assert_eq!(u64::from(parse(1)), count);
        let each = heap().div_ceil(count as usize);
        eprintln!("{name}: {each} bytes of heap a segment beyond its text");
        each
    }

    fn date(sequence: u64) -> String {
        let (hour, rest) = (sequence / 900, sequence % 900 * 4);
        let (day, hour) = (hour / 24 + 1, hour % 24);
        format!(
            "#EXT-X-PROGRAM-DATE-TIME:2026-01-{day:02}T{hour:02}:{:02}:{:02}.000Z\n",
            rest / 60,
            rest % 60
        )
    }

    fn key(sequence: u64, every: u64) -> String {
        if !sequence.is_multiple_of(every) {
            return String::new();
        }
        format!(
            "#EXT-X-KEY:METHOD=AES-128,URI=\"https://keys.example/title/k{}.bin\",IV=0x{sequence:032x}\n",
            sequence / every
        )
    }

    // One test, as all share the allocator.
    #[test]
    fn a_segment_of_a_rich_list_takes_a_hundred_bytes_beyond_its_text() {
        // The list of `cargo xtask bench playlists`: a date for each segment, a key for every 150.
        let rich =
            heap_of("dates and keys", 10_000, |sequence| key(sequence, 150) + &date(sequence));
        assert!(rich <= MOST, "{rich} bytes");
        let most = heap_of(
            "dates, keys, hashes, byte ranges, discontinuities",
            10_000,
            |sequence| {
                let seam = if sequence.is_multiple_of(40) { "#EXT-X-DISCONTINUITY\n" } else { "" };
                let map = if sequence.is_multiple_of(40) {
                    format!(
                        "#EXT-X-MAP:URI=\"https://cdn.media.example/title/v5/init-{sequence}.mp4\"\n"
                    )
                } else {
                    String::new()
                };
                key(sequence, 40)
                    + seam
                    + &map
                    + &date(sequence)
                    + &format!("#EXT-X-POTLUCK-HASH:ROOT=0x{sequence:064x},SIZE=500000\n")
                    + &format!("#EXT-X-BITRATE:{}\n", 900 + sequence % 50)
                    + &format!("#EXT-X-BYTERANGE:500000@{}\n", sequence * 500_000)
            },
        );
        assert!(most <= MOST, "{most} bytes");
        let plain = heap_of("nothing but durations", 10_000, |_| String::new());
        assert!(plain < 70, "{plain} bytes");
    }
}
