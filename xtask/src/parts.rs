//! The parts of the engine that are files of their own: what is cut off, and by which names.

use crate::split;

/// The engine's function that loads a part (`player-wasm/src/parts.rs`).
const LOADER: &str = "load_part";

/// A part of a module.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// Beginnings of the paths of what is cut off, along with what only that uses.
    cut: &'static [&'static str],
    /// Beginnings of paths that stay all the same.
    keep: &'static [&'static str],
}

/// In the order of their numbers, which `www/src/internal/engine-parts.ts` knows too.
pub(crate) const ENGINE: [Part; 4] = [SHARING, MORE, RECORDER, CACHE];

/// What only viewers who share need. The worker loads it as soon as the page names trackers.
const SHARING: Part = Part {
    name: "sharing",
    cut: &[
        "player_core::swarm::",
        "player_core::tracker::",
        "player_core::wire::codec::",
        "player_core::wire::message::Message>::encode",
        "player_core::player::Player>::sharing_input",
        "player_core::player::Player>::join_swarm",
        "player_core::player::Player>::swarm_token_changed",
        "player_core::player::Player>::leave_swarm",
        "player_core::player::Player>::run_sharing",
        "player_core::player::Player>::sharing_timeout",
        "player_core::player::Player>::report_sharing",
        "player_core::player::Player>::swarm_state",
        "player_core::player::Player>::discovery",
        "player_core::player::Player>::tell_interest",
        "player_core::player::Player>::plays_as_it_comes",
        "player_core::player::Player>::ask_around",
        "player_core::player::Player>::look_at_line",
        "player_core::player::Player>::forget_unwanted",
        "player_core::player::Player>::ask_peers",
        "player_core::player::Player>::fetch_if_due",
        "player_core::player::Player>::is_crowd",
        "player_core::player::Player>::run_crowd",
        "player_core::player::Player>::fetch_in_crowd",
        "player_core::player::Player>::holds_back",
        "player_core::player::Player>::start_at_segment",
        "player_core::player::Player>::crowd_delay",
        "player_core::player::Player>::fetch_handed_over",
        "player_core::player::Player>::fetch_share",
        "player_core::player::Player>::is_open",
        "player_core::player::Player>::is_scarce",
        "player_core::player::Player>::fetch_if_elected",
        "player_core::player::Player>::lead_on",
        "player_core::player::Player>::proof_of",
        "player_core::player::Player>::hashes_done",
        "player_core::player::Player>::signature_verified",
        "player_core::player::Player>::blame",
        "player_core::player::Player>::check_done",
        "player_core::player::Player>::news_of",
        "player_core::player::Player>::origin_spoiled",
        "player_core::store::StoredSegment>::check_whole",
        "player_core::store::StoredSegment>::culprits",
        "player_core::proof::",
        "player_wasm::socket::",
        "player_wasm::channel::",
        "player_wasm::shell::Shell>::adopt",
        "player_wasm::shell::Shell>::send",
        "player_wasm::messages::connection_task",
    ],
    keep: &[
        "player_core::swarm::identity::rendition_id",
        "player_core::swarm::identity::parts_id",
        "player_core::swarm::identity::segment_tag",
        "player_core::swarm::identity::path",
        "player_core::swarm::identity::hash32",
        "player_core::proof::hexadecimal",
        "player_core::proof::Proof",
    ],
};

/// What the first picture of a film or a live channel does not need: reloads, low-latency playlists, steering, keys,
/// texts, and whatever is done about failures. The worker loads it behind the start.
const MORE: Part = Part {
    name: "more",
    cut: &[
        "player_core::hls::media::MediaPlaylist>::copy_lines",
        "player_core::hls::media::MediaPlaylist>::refresh",
        "player_core::hls::media::tag_above",
        "player_core::hls::date_range::DateRange>::from_list",
        "player_core::hls::reader::read_key",
        "player_core::media::boxes::without_empty_edits",
        "player_core::media::boxes::delayed",
        "player_core::error::PlayerError>::message",
        "player_core::player::Player>::leave_pathway",
        "player_core::player::Player>::run_pathways",
        "player_core::player::Player>::steering_done",
        "player_core::player::Player>::set_online",
        "player_core::player::Player>::note_segment_failure",
        "player_core::player::Player>::segment_empty",
        "player_core::player::Player>::segment_broken",
        "player_core::player::Player>::init_failed",
        "player_core::player::Player>::key_failed",
        "player_core::player::Player>::replace_list",
        "player_core::player::load::playlist_error",
        "player_core::player::Player>::reopen",
        "player_core::player::Player>::leave_codecs",
        "player_core::player::Player>::run_low_latency",
        "player_core::player::Player>::switch_by_parts",
        "player_core::player::Player>::give_up_old",
        "player_core::player::Player>::hold_open",
        "player_core::player::Player>::parts_loaded",
        "player_core::player::Player>::carve",
        "player_core::player::Player>::run_latency",
        "player_core::player::Player>::tell_text_sources",
        "player_core::player::Player>::select_text",
        "player_core::player::Player>::run_text",
        "player_core::player::Player>::text_done",
        "player_core::player::Player>::text_failed",
        "player_core::player::Player>::tell_date_ranges",
        "player_core::player::Player>::document_failed",
        "player_core::player::Player>::list_failed",
        "player_core::player::Player>::playlist_reset",
        "player_core::player::Player>::usable_key",
        "player_core::player::Player>::key_done",
        "player_core::player::Player>::document_too_large",
        "player_core::player::Player>::fail",
    ],
    keep: &[],
};

/// Recordings, for bug reports: loaded when one is asked for.
const RECORDER: Part = Part {
    name: "recorder",
    cut: &[
        "player_core::recording::",
        "player_wasm::shell::Shell>::record",
        "player_wasm::shell::Shell>::post_recording",
    ],
    keep: &[],
};

/// The cache across sessions: loaded when the page asks for one.
const CACHE: Part = Part {
    name: "cache",
    cut: &[
        "player_core::player::Player>::look_up",
        "player_core::player::Player>::recalled",
        "player_core::player::Player>::keep_verified",
        "player_wasm::shell::Shell>::cache",
    ],
    keep: &[],
};

impl Part {
    /// Cuts this part off: what is left, and the part.
    pub(crate) fn cut_off(&self, wasm: &[u8], number: usize) -> Result<(Vec<u8>, Vec<u8>), String> {
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        let is_loader = |name: &str| name == LOADER || path_of(name).ends_with("::load_part");
        let halves = split::split(wasm, |name| self.is_cut(name), is_loader, number)
            .map_err(|error| format!("the part {} could not be cut off: {error}", self.name))?;
        let found = |path: &str| halves.moved.iter().any(|name| path_of(name).starts_with(path));
        match self.cut.iter().find(|path| !found(path)) {
            Some(path) => Err(format!(
                "nothing is named {path} any more, which the part {} lists: see xtask/src/parts.rs",
                self.name
            )),
            None => Ok((halves.first, halves.second)),
        }
    }

    /// Whether a function is cut off, by its demangled name.
    fn is_cut(&self, name: &str) -> bool {
        let path = path_of(name);
        let begins = |paths: &[&str]| paths.iter().any(|begin| path.starts_with(begin));
        begins(self.cut) && !begins(self.keep)
    }
}

/// The path of a function or its type, without the crates' hashes: `a[12ab]::b::f`, `<a[12ab]::b::C>::f` and what drops
/// an `a[12ab]::b::C` all begin with `a::b`.
fn path_of(name: &str) -> String {
    let mut path = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('[') {
        path.push_str(before);
        rest = after.split_once(']').map_or("", |(_, after)| after);
    }
    path.push_str(rest);
    let path = path.strip_prefix("core::ptr::drop_in_place::").unwrap_or(&path);
    path.trim_start_matches(['<', '&', '(']).to_owned()
}
