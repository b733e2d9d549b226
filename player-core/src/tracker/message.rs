//! The WebTorrent tracker protocol: JSON text messages on a WebSocket, as the npm package
//! `bittorrent-tracker` and `aquatic_ws` speak it. It has no BEP. Client and server share these types.
//!
//! Reading is tolerant: unknown fields are skipped, and fields that servers and clients leave out may
//! be missing. It is bounded too: see [`MAX_MESSAGE_BYTES`], [`MAX_SDP_BYTES`] and [`MAX_OFFERS`].

use serde::de::{Deserializer, Error, IntoDeserializer, SeqAccess, Visitor};
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

use super::binary::OfferId;
use crate::wire::{InfoHash, PeerId};

/// Longest text message that is read, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 256 << 10;
/// Longest session description that is read, in bytes.
pub const MAX_SDP_BYTES: usize = 32 << 10;
/// Most offers in one announce, and most info hashes in one scrape.
pub const MAX_OFFERS: usize = 64;

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum ClientMessage {
    /// "I am here", possibly with offers for others.
    Announce(Announce),
    /// An answer to someone's offer; it is an `announce` on the wire too.
    #[serde(rename = "announce")]
    Answer(Answer),
    /// Asks for a swarm's size.
    Scrape(Scrape),
}

/// "I am here."
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Announce {
    /// The swarm.
    pub info_hash: InfoHash,
    /// The sender.
    pub peer_id: PeerId,
    /// Bytes given to peers since `started`.
    pub uploaded: u64,
    /// Bytes taken since `started`.
    pub downloaded: u64,
    /// Bytes that the sender lacks; 0 makes it count as complete. `None`: unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
    /// Why it announces now; `None` at the regular interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<AnnounceEvent>,
    /// How many others are to get an offer each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numwant: Option<u32>,
    /// The offers, one for each of up to `numwant` others, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<Offer>,
}

/// Why a client announces out of turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AnnounceEvent {
    /// It has come.
    Started,
    /// It leaves.
    Stopped,
    /// It lacks nothing any more.
    Completed,
}

/// One offer, for whomever the tracker gives it to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// Names the offer in its answer.
    pub offer_id: OfferId,
    /// The session description.
    #[serde(rename = "offer", serialize_with = "offer_sdp")]
    pub sdp: String,
}

/// An answer to an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The swarm.
    pub info_hash: InfoHash,
    /// The sender.
    pub peer_id: PeerId,
    /// Who made the offer.
    pub to_peer_id: PeerId,
    /// The offer.
    pub offer_id: OfferId,
    /// The session description.
    #[serde(rename = "answer", serialize_with = "answer_sdp")]
    pub sdp: String,
}

/// Asks for the size of swarms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scrape {
    /// Which; none means all that the tracker likes to tell.
    #[serde(rename = "info_hash", skip_serializing_if = "Vec::is_empty")]
    pub info_hashes: Vec<InfoHash>,
}

/// What a tracker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum ServerMessage {
    /// Response to an announce.
    Announce(AnnounceResponse),
    /// Another peer's offer.
    #[serde(rename = "announce")]
    Offer(OfferRelay),
    /// Another peer's answer to an offer of ours.
    #[serde(rename = "announce")]
    Answer(AnswerRelay),
    /// Response to a scrape.
    Scrape(ScrapeResponse),
    /// The request was refused.
    #[serde(rename = "announce")]
    Failure(Failure),
    /// The request was served, but.
    #[serde(rename = "announce")]
    Warning(Warning),
}

/// Response to an announce.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AnnounceResponse {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Seconds until the next announce.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<u32>,
    /// Seconds that have to pass before the next announce at least.
    #[serde(rename = "min interval", skip_serializing_if = "Option::is_none")]
    pub min_interval: Option<u32>,
    /// Members that lack nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete: Option<u32>,
    /// The other members, the receiver included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<u32>,
    /// Words for a human.
    #[serde(rename = "warning message", skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

impl AnnounceResponse {
    /// Number of members, the receiver included; `None` when the tracker does not tell.
    #[must_use]
    pub fn swarm_size(&self) -> Option<u32> {
        match (self.complete, self.incomplete) {
            (None, None) => None,
            (complete, incomplete) => {
                Some(complete.unwrap_or(0).saturating_add(incomplete.unwrap_or(0)))
            }
        }
    }
}

/// Another peer's offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfferRelay {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Who made the offer.
    pub peer_id: PeerId,
    /// Names the offer; goes back with the answer.
    pub offer_id: OfferId,
    /// The session description.
    #[serde(rename = "offer", serialize_with = "offer_sdp")]
    pub sdp: String,
}

/// Another peer's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerRelay {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Who answers.
    pub peer_id: PeerId,
    /// The offer that it answers.
    pub offer_id: OfferId,
    /// The session description.
    #[serde(rename = "answer", serialize_with = "answer_sdp")]
    pub sdp: String,
}

/// Response to a scrape.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ScrapeResponse {
    /// Each swarm's size.
    pub files: BTreeMap<InfoHash, ScrapeFile>,
}

/// A swarm's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ScrapeFile {
    /// Members that lack nothing.
    #[serde(default)]
    pub complete: u32,
    /// The other members.
    #[serde(default)]
    pub incomplete: u32,
    /// How many have said `completed` so far.
    #[serde(default)]
    pub downloaded: u32,
}

/// The request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The swarm, when the failure has to do with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info_hash: Option<InfoHash>,
    /// Words for a human.
    #[serde(rename = "failure reason")]
    pub reason: String,
}

/// A warning that comes alone, not in a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Words for a human.
    #[serde(rename = "warning message")]
    pub message: String,
}

/// Why a text is no tracker message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrackerMessageError {
    /// It is too long to read.
    #[error("the message has {len} bytes, more than {MAX_MESSAGE_BYTES}")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
    },
    /// It is not JSON, or a field has a wrong type.
    #[error("the message is not one of the tracker protocol: {0}")]
    Json(String),
    /// The action is none that the protocol has.
    #[error("the message has an unknown action, or none")]
    UnknownAction,
    /// A field that the message needs is missing.
    #[error("the message lacks {0}")]
    Missing(&'static str),
    /// A list or a description is too long.
    #[error("the message has too much in {0}")]
    TooMuch(&'static str),
}

impl ClientMessage {
    /// The message as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a client's message.
    pub fn from_json(text: &str) -> Result<Self, TrackerMessageError> {
        let raw: RawClient = parse(text)?;
        match raw.action.as_deref() {
            Some("announce") => {}
            Some("scrape") => {
                let info_hashes = match raw.info_hash {
                    None => Vec::new(),
                    Some(OneOrMany::One(info_hash)) => vec![info_hash],
                    Some(OneOrMany::Many(many)) => many,
                };
                limit(info_hashes.len(), MAX_OFFERS, "info_hash")?;
                return Ok(Self::Scrape(Scrape { info_hashes }));
            }
            _ => return Err(TrackerMessageError::UnknownAction),
        }
        let Some(OneOrMany::One(info_hash)) = raw.info_hash else {
            return Err(TrackerMessageError::Missing("info_hash"));
        };
        let peer_id = raw.peer_id.ok_or(TrackerMessageError::Missing("peer_id"))?;
        if let Some(answer) = raw.answer {
            return Ok(Self::Answer(Answer {
                info_hash,
                peer_id,
                to_peer_id: raw.to_peer_id.ok_or(TrackerMessageError::Missing("to_peer_id"))?,
                offer_id: raw.offer_id.ok_or(TrackerMessageError::Missing("offer_id"))?,
                sdp: answer.bounded("answer")?,
            }));
        }
        let raw_offers = raw.offers.unwrap_or_default();
        limit(raw_offers.len(), MAX_OFFERS, "offers")?;
        let mut offers = Vec::with_capacity(raw_offers.len());
        for offer in raw_offers {
            offers.push(Offer { offer_id: offer.offer_id, sdp: offer.offer.bounded("offer")? });
        }
        Ok(Self::Announce(Announce {
            info_hash,
            peer_id,
            uploaded: raw.uploaded.unwrap_or(0),
            downloaded: raw.downloaded.unwrap_or(0),
            left: raw.left,
            event: match raw.event.as_deref() {
                Some("started") => Some(AnnounceEvent::Started),
                Some("stopped") => Some(AnnounceEvent::Stopped),
                Some("completed") => Some(AnnounceEvent::Completed),
                _ => None,
            },
            numwant: raw.numwant.map(saturate),
            offers,
        }))
    }
}

impl ServerMessage {
    /// The message as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a tracker's message.
    pub fn from_json(text: &str) -> Result<Self, TrackerMessageError> {
        let raw: RawServer = parse(text)?;
        if let Some(reason) = raw.failure {
            return Ok(Self::Failure(Failure { info_hash: raw.info_hash, reason }));
        }
        match raw.action.as_deref() {
            Some("scrape") => {
                let files = raw.files.ok_or(TrackerMessageError::Missing("files"))?;
                return Ok(Self::Scrape(ScrapeResponse { files }));
            }
            Some("announce") | None => {}
            Some(_) => return Err(TrackerMessageError::UnknownAction),
        }
        let Some(info_hash) = raw.info_hash else {
            // A warning may concern the connection as a whole.
            let message = raw.warning.ok_or(TrackerMessageError::Missing("info_hash"))?;
            return Ok(Self::Warning(Warning { message }));
        };
        if raw.offer.is_none() && raw.answer.is_none() {
            return Ok(Self::Announce(AnnounceResponse {
                info_hash,
                interval: raw.interval.map(saturate),
                min_interval: raw.min_interval.map(saturate),
                complete: raw.complete.map(saturate),
                incomplete: raw.incomplete.map(saturate),
                warning: raw.warning,
            }));
        }
        let peer_id = raw.peer_id.ok_or(TrackerMessageError::Missing("peer_id"))?;
        let offer_id = raw.offer_id.ok_or(TrackerMessageError::Missing("offer_id"))?;
        if let Some(offer) = raw.offer {
            let sdp = offer.bounded("offer")?;
            return Ok(Self::Offer(OfferRelay { info_hash, peer_id, offer_id, sdp }));
        }
        let answer = raw.answer.ok_or(TrackerMessageError::Missing("answer"))?;
        let sdp = answer.bounded("answer")?;
        Ok(Self::Answer(AnswerRelay { info_hash, peer_id, offer_id, sdp }))
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, TrackerMessageError> {
    if text.len() > MAX_MESSAGE_BYTES {
        return Err(TrackerMessageError::TooLarge { len: text.len() });
    }
    serde_json::from_str(text).map_err(|error| TrackerMessageError::Json(error.to_string()))
}

fn limit(len: usize, most: usize, what: &'static str) -> Result<(), TrackerMessageError> {
    if len > most { Err(TrackerMessageError::TooMuch(what)) } else { Ok(()) }
}

fn saturate(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn offer_sdp<S: Serializer>(sdp: &str, serializer: S) -> Result<S::Ok, S::Error> {
    description("offer", sdp, serializer)
}

fn answer_sdp<S: Serializer>(sdp: &str, serializer: S) -> Result<S::Ok, S::Error> {
    description("answer", sdp, serializer)
}

/// `RTCSessionDescription` as JSON.
fn description<S: Serializer>(kind: &str, sdp: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_struct("description", 2)?;
    object.serialize_field("type", kind)?;
    object.serialize_field("sdp", sdp)?;
    object.end()
}

/// Every field that a client's message may have.
#[derive(Deserialize)]
struct RawClient {
    action: Option<String>,
    info_hash: Option<OneOrMany>,
    peer_id: Option<PeerId>,
    #[serde(default, deserialize_with = "number")]
    uploaded: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    downloaded: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    left: Option<u64>,
    event: Option<String>,
    #[serde(default, deserialize_with = "number")]
    numwant: Option<u64>,
    offers: Option<Vec<RawOffer>>,
    answer: Option<RawDescription>,
    to_peer_id: Option<PeerId>,
    offer_id: Option<OfferId>,
}

/// Every field that a tracker's message may have.
#[derive(Deserialize)]
struct RawServer {
    action: Option<String>,
    info_hash: Option<InfoHash>,
    #[serde(default, deserialize_with = "number")]
    interval: Option<u64>,
    #[serde(rename = "min interval", default, deserialize_with = "number")]
    min_interval: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    complete: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    incomplete: Option<u64>,
    #[serde(rename = "failure reason")]
    failure: Option<String>,
    #[serde(rename = "warning message")]
    warning: Option<String>,
    peer_id: Option<PeerId>,
    offer_id: Option<OfferId>,
    offer: Option<RawDescription>,
    answer: Option<RawDescription>,
    files: Option<BTreeMap<InfoHash, ScrapeFile>>,
}

/// `info_hash` of a scrape is one string, or a list.
enum OneOrMany {
    One(InfoHash),
    Many(Vec<InfoHash>),
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an info hash or a list of them")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany, E> {
                InfoHash::deserialize(text.into_deserializer()).map(OneOrMany::One)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut many = Vec::new();
                while let Some(info_hash) = list.next_element()? {
                    many.push(info_hash);
                }
                Ok(OneOrMany::Many(many))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Deserialize)]
struct RawOffer {
    offer_id: OfferId,
    offer: RawDescription,
}

/// `type` is not read: the field that holds the description says as much.
#[derive(Deserialize)]
struct RawDescription {
    sdp: String,
}

impl RawDescription {
    fn bounded(self, what: &'static str) -> Result<String, TrackerMessageError> {
        limit(self.sdp.len(), MAX_SDP_BYTES, what)?;
        Ok(self.sdp)
    }
}

/// A count, however it is written: JavaScript's `Infinity` comes as `null`, and some write fractions
/// or strings.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    struct Number;
    impl Visitor<'_> for Number {
        type Value = Option<u64>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number")
        }
        fn visit_u64<E: Error>(self, number: u64) -> Result<Option<u64>, E> {
            Ok(Some(number))
        }
        fn visit_i64<E: Error>(self, number: i64) -> Result<Option<u64>, E> {
            Ok(Some(u64::try_from(number).unwrap_or(0)))
        }
        fn visit_f64<E: Error>(self, number: f64) -> Result<Option<u64>, E> {
            Ok(Some(number as u64))
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<Option<u64>, E> {
            Ok(text.parse().ok())
        }
        fn visit_unit<E: Error>(self) -> Result<Option<u64>, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(Number)
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
