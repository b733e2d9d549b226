//! Potluck's playlist reader as a bare WebAssembly module, compiled as the engine is: `cargo xtask bench playlists`.
//!
//! `reserve` says where the text goes, `parse` reads it so many times, and `reload` takes another text as a reload of
//! the playlist that was read last.

use std::sync::Mutex;

use player_core::OrderedMap;
use player_core::hls::{self, MediaPlaylist, Playlist};

const URL: &str = "https://media.example/show/index.m3u8";

struct State {
    text: Vec<u8>,
    playlist: Option<MediaPlaylist>,
}

static STATE: Mutex<State> = Mutex::new(State { text: Vec::new(), playlist: None });

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
        let Ok(text) = std::str::from_utf8(&state.text) else { return 0 };
        let Ok(Playlist::Media(playlist)) = hls::parse(text, URL, &none) else { return 0 };
        segments = playlist.segments.len() as u32;
        state.playlist = Some(playlist);
    }
    segments
}

/// Takes the text as a reload; the number of segments that it added.
#[unsafe(no_mangle)]
pub extern "C" fn reload() -> u32 {
    let Ok(mut state) = STATE.lock() else { return 0 };
    let State { text, playlist } = &mut *state;
    let (Ok(text), Some(playlist)) = (std::str::from_utf8(text), playlist) else { return 0 };
    playlist.refresh_text(text, URL, &OrderedMap::new()).map_or(0, |refresh| refresh.added as u32)
}
