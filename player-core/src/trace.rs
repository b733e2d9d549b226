//! What the player did about faults, and why: the last actions, for a page to show and a test to read.

use crate::time::Instant;

/// Actions that are kept.
pub const TRACE_LENGTH: usize = 64;

/// What was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Nothing is buffered where playback is to begin, but something behind it.
    StartGap,
    /// A hole in what is buffered, in front of the playhead.
    Hole,
    /// The playhead stands still though frames are buffered, and the element says that it lacks them.
    Decoder,
    /// A seek does not end though its place is buffered.
    Seek,
    /// The playhead stands still though the element says that it has plenty.
    HighBuffer,
    /// The browser could not decode what it was given.
    DecodeError,
    /// The browser's buffer is full.
    Quota,
    /// The playlist says that a segment is absent (`EXT-X-GAP`).
    DeclaredGap,
    /// The origin does not have a segment, or what it sends is no media.
    SegmentMissing,
    /// An init section cannot be had.
    InitMissing,
    /// A key cannot be had.
    KeyMissing,
    /// A media playlist cannot be had.
    PlaylistMissing,
    /// A pathway does not answer.
    PathwayFailed,
    /// The steering manifest prefers another pathway, or a penalty is over.
    Steering,
    /// The live playlist began anew.
    PlaylistReset,
    /// The live window has moved past the playhead.
    WindowPassed,
    /// The browser is offline.
    Offline,
}

impl Cause {
    /// A stable name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartGap => "start-gap",
            Self::Hole => "hole",
            Self::Decoder => "decoder",
            Self::Seek => "seek",
            Self::HighBuffer => "high-buffer",
            Self::DecodeError => "decode-error",
            Self::Quota => "quota",
            Self::DeclaredGap => "declared-gap",
            Self::SegmentMissing => "segment-missing",
            Self::InitMissing => "init-missing",
            Self::KeyMissing => "key-missing",
            Self::PlaylistMissing => "playlist-missing",
            Self::PathwayFailed => "pathway-failed",
            Self::Steering => "steering",
            Self::PlaylistReset => "playlist-reset",
            Self::WindowPassed => "window-passed",
            Self::Offline => "offline",
        }
    }
}

/// What was done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The playhead was set behind the hole.
    Jump,
    /// The playhead was set a little forward.
    Nudge,
    /// The media source was opened again at the playhead.
    Reopen,
    /// Another variant is taken.
    SwitchVariant,
    /// Another pathway is taken.
    SwitchPathway,
    /// It is left out.
    Skip,
    /// Less is buffered from now on.
    ShrinkBuffer,
    /// It goes on with the new playlist.
    Restart,
    /// Nothing is asked for until the network is back.
    Park,
    /// Everything is asked for again.
    Resume,
    /// Nothing more is tried.
    GiveUp,
}

impl Remedy {
    /// A stable name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jump => "jump",
            Self::Nudge => "nudge",
            Self::Reopen => "reopen",
            Self::SwitchVariant => "switch-variant",
            Self::SwitchPathway => "switch-pathway",
            Self::Skip => "skip",
            Self::ShrinkBuffer => "shrink-buffer",
            Self::Restart => "restart",
            Self::Park => "park",
            Self::Resume => "resume",
            Self::GiveUp => "give-up",
        }
    }
}

/// One action and its cause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Incident {
    /// When.
    pub at: Instant,
    /// The playhead then, in seconds.
    pub position: f64,
    /// Why.
    pub cause: Cause,
    /// What was done.
    pub remedy: Remedy,
}

/// The last incidents.
#[derive(Debug, Default)]
pub(crate) struct Trace(Vec<Incident>);

impl Trace {
    pub(crate) fn push(&mut self, incident: Incident) {
        if self.0.len() == TRACE_LENGTH {
            self.0.remove(0);
        }
        self.0.push(incident);
    }

    pub(crate) fn all(&self) -> &[Incident] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_incidents_are_kept() {
        let mut trace = Trace::default();
        for at in 0..100u64 {
            let at = Instant::from_micros(at);
            trace.push(Incident { at, position: 0.0, cause: Cause::Hole, remedy: Remedy::Jump });
        }
        assert_eq!(trace.all().len(), TRACE_LENGTH);
        assert_eq!(trace.all()[0].at, Instant::from_micros(36));
    }
}
