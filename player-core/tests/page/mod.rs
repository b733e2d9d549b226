//! What a page answers a player, at once: a server's responses, what plays, and that commands to MSE are carried out.

use std::ops::Range;

use player_core::io::{FetchRequest, Input, MediaCommand, Output};

/// A whole response: all of this body, or the range of it that was asked for.
pub(crate) fn response(request: FetchRequest, body: &[u8]) -> [Input; 3] {
    let FetchRequest { id, url, range, .. } = request;
    let (first, end) = range.unwrap_or((0, None));
    let total = body.len() as u64;
    assert!(first < total, "{url} {range:?} of {total}");
    let part = body[first as usize..end.unwrap_or(total).min(total) as usize].to_vec();
    let head = Input::FetchHead {
        id,
        status: if range.is_some() { 206 } else { 200 },
        content_length: Some(part.len() as u64),
        content_range: range.map(|_| (first, Some(total))),
        content_type: None,
        url,
    };
    [head, Input::FetchChunk { id, data: part.into() }, Input::FetchDone { id }]
}

/// What an output is answered with: each codec plays, each command to MSE is carried out, and from when to when (s) is buffered then.
pub(crate) fn carried_out(output: &Output, buffered: &Range<f64>) -> Vec<Input> {
    let done = |track| Input::MediaDone { track, buffered: vec![buffered.clone()] };
    match output {
        Output::CheckCodecs(types) => vec![Input::CodecSupport(vec![true; types.len()])],
        Output::Media(MediaCommand::Open(tracks)) => {
            tracks.iter().map(|(track, _)| done(*track)).collect()
        }
        Output::Media(
            MediaCommand::Append { track, .. }
            | MediaCommand::ChangeType(track, _)
            | MediaCommand::Remove(track, ..)
            | MediaCommand::ResetParser(track),
        ) => vec![done(*track)],
        _ => Vec::new(),
    }
}
