//! Containers: what the core has to know of a segment's bytes to place them on the timeline.

mod boxes;
mod codecs;

pub(crate) use boxes::{
    Container, InitSection, delayed, fragment_end, presentation_start, read_init, sniff,
    without_empty_edits,
};
pub(crate) use codecs::{mime_type, track_codecs};
