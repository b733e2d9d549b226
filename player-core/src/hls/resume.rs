//! Incremental refresh.

/// What an incremental refresh needs to know of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks;
