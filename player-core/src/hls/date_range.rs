//! `EXT-X-DATERANGE` (RFC 8216 §4.3.2.7, bis §4.4.5.1).

use super::attributes::{AttributeList, Attributes};
use super::date::parse_date;
use super::number;

/// An interval of dates with attributes: an ad break, an interstitial, a programme.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DateRange {
    /// `ID`.
    pub id: String,
    /// `CLASS`.
    pub class: Option<String>,
    /// `START-DATE` in milliseconds since the epoch.
    pub start_date: Option<f64>,
    /// `END-DATE`, or start plus duration, in milliseconds since the epoch.
    pub end_date: Option<f64>,
    /// `DURATION`, or from start to end, in seconds.
    pub duration: Option<f64>,
    /// `PLANNED-DURATION` in seconds.
    pub planned_duration: Option<f64>,
    /// `END-ON-NEXT`: it ends where the next of its class begins.
    pub end_on_next: bool,
    /// `CUE`.
    pub cue: Cue,
    /// Whether the tag conforms. One that does not is kept only in a delta update, to be merged with what it updates.
    pub valid: bool,
    /// All attributes as written, `X-…` and `SCTE35-…` among them.
    pub attributes: AttributeList,
}

/// `CUE`: when an interstitial is triggered besides its start date (bis, appendix D).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cue {
    /// Before the primary asset.
    pub pre: bool,
    /// After the primary asset.
    pub post: bool,
    /// Only once.
    pub once: bool,
}

const INTERSTITIAL: &str = "com.apple.hls.interstitial";

impl DateRange {
    /// Whether it is an interstitial (bis, appendix D).
    #[must_use]
    pub fn is_interstitial(&self) -> bool {
        self.class.as_deref() == Some(INTERSTITIAL)
    }

    /// `None` without an `ID`.
    pub(super) fn read(attributes: &Attributes<'_>) -> Option<Self> {
        let id = attributes.filled("ID")?.to_owned();
        Some(Self::from_list(id, attributes.to_list()))
    }

    /// Adds the attributes of a later tag with the same `ID`. Attributes in both have to be the same.
    pub(super) fn merge(&mut self, later: &Self) {
        let mut attributes = self.attributes.clone();
        let mut same = true;
        for (name, value) in later.attributes.iter() {
            same &= attributes.value(name).is_none_or(|before| before == value);
            attributes.set(name, value);
        }
        let merged = Self::from_list(std::mem::take(&mut self.id), attributes);
        *self = merged;
        self.valid &= same;
    }

    #[inline(never)]
    fn from_list(id: String, attributes: AttributeList) -> Self {
        let start_date = attributes.value("START-DATE").and_then(parse_date);
        let stated_end = attributes.value("END-DATE").and_then(parse_date);
        let duration = match attributes.value("DURATION") {
            Some(text) => number::float(text),
            None => stated_end.zip(start_date).map(|(end, start)| (end - start) / 1000.0),
        };
        let end_date = stated_end.or_else(|| {
            start_date.zip(duration).map(|(start, duration)| start + duration * 1000.0)
        });
        let class = attributes.value("CLASS").map(str::to_owned);
        let has = |trigger: &str| {
            attributes
                .value("CUE")
                .or_else(|| attributes.value("X-CUE"))
                .is_some_and(|cue| cue.split([',', ' ']).any(|part| part == trigger))
        };
        let cue = Cue { pre: has("PRE"), post: has("POST"), once: has("ONCE") };
        let end_on_next = attributes.value("END-ON-NEXT") == Some("YES");
        let asset =
            attributes.value("X-ASSET-URI").is_some() || attributes.value("X-ASSET-LIST").is_some();
        let valid = start_date.is_some()
            && duration.is_none_or(|duration| duration >= 0.0)
            && (!end_on_next || class.as_ref().is_some_and(|class| !class.is_empty()))
            // `X-CUE` is the client's own: nothing says what may be in it.
            && !(cue.pre && cue.post && attributes.value("CUE").is_some())
            && (class.as_deref() != Some(INTERSTITIAL) || asset);
        Self {
            id,
            class,
            start_date,
            end_date,
            duration,
            planned_duration: attributes.value("PLANNED-DURATION").and_then(number::float),
            end_on_next,
            cue,
            valid,
            attributes,
        }
    }
}
