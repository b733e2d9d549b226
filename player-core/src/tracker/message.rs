//! The WebTorrent tracker protocol: JSON text messages on a WebSocket, as the npm package
//! `bittorrent-tracker` and `aquatic_ws` speak it. It has no BEP. Client and server share these types.
//!
//! Reading is tolerant: unknown fields are skipped, and fields that servers and clients leave out may
//! be missing. It is bounded too: see [`MAX_MESSAGE_BYTES`], [`MAX_SDP_BYTES`] and [`MAX_OFFERS`].

use super::binary::{OfferId, from_latin1, to_latin1};
use super::json::{self, Fields, Object};
use crate::json::Json;
use crate::ordered::OrderedMap;
use crate::wire::{InfoHash, PeerId};

/// Longest text message that is read, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 256 << 10;
/// Longest session description that is read, in bytes.
pub const MAX_SDP_BYTES: usize = 32 << 10;
/// Most offers in one announce, and most info hashes in one scrape.
pub const MAX_OFFERS: usize = 64;
/// Longest key and longest token that are read, in bytes.
pub const MAX_TOKEN_BYTES: usize = 256;

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// "I am here", possibly with offers for others.
    Announce(Announce),
    /// An answer to someone's offer; it is an `announce` on the wire too.
    Answer(Answer),
    /// Asks for a swarm's size.
    Scrape(Scrape),
}

/// "I am here."
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    pub left: Option<u64>,
    /// Why it announces now; `None` at the regular interval.
    pub event: Option<AnnounceEvent>,
    /// How many others are to get an offer each.
    pub numwant: Option<u32>,
    /// Known to the sender and the tracker alone: by it somebody who comes back on another connection proves to be the
    /// same (`key` of BEP 7).
    pub key: Option<String>,
    /// What the site gave the viewer to be let into the swarm (docs/swarm-tokens.md); no other tracker heeds it.
    pub token: Option<String>,
    /// The offers, one for each of up to `numwant` others, in this order.
    pub offers: Vec<Offer>,
}

/// Why a client announces out of turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnounceEvent {
    /// It has come.
    Started,
    /// It leaves.
    Stopped,
    /// It lacks nothing any more.
    Completed,
}

/// One offer, for whomever the tracker gives it to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Names the offer in its answer.
    pub offer_id: OfferId,
    /// The session description.
    pub sdp: String,
}

/// An answer to an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub sdp: String,
}

/// Asks for the size of swarms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrape {
    /// Which; none means all that the tracker likes to tell.
    pub info_hashes: Vec<InfoHash>,
}

/// What a tracker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerMessage {
    /// Response to an announce.
    Announce(AnnounceResponse),
    /// Another peer's offer.
    Offer(OfferRelay),
    /// Another peer's answer to an offer of ours.
    Answer(AnswerRelay),
    /// Response to a scrape.
    Scrape(ScrapeResponse),
    /// The request was refused.
    Failure(Failure),
    /// The request was served, but.
    Warning(Warning),
}

/// Response to an announce.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnnounceResponse {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Seconds until the next announce.
    pub interval: Option<u32>,
    /// Seconds that have to pass before the next announce at least.
    pub min_interval: Option<u32>,
    /// Members that lack nothing.
    pub complete: Option<u32>,
    /// The other members, the receiver included.
    pub incomplete: Option<u32>,
    /// Words for a human.
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferRelay {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Who made the offer.
    pub peer_id: PeerId,
    /// Names the offer; goes back with the answer.
    pub offer_id: OfferId,
    /// The session description.
    pub sdp: String,
}

/// Another peer's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerRelay {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Who answers.
    pub peer_id: PeerId,
    /// The offer that it answers.
    pub offer_id: OfferId,
    /// The session description.
    pub sdp: String,
}

/// Response to a scrape.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScrapeResponse {
    /// Each swarm's size.
    pub files: OrderedMap<InfoHash, ScrapeFile>,
}

/// A swarm's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrapeFile {
    /// Members that lack nothing.
    pub complete: u32,
    /// The other members.
    pub incomplete: u32,
    /// How many have said `completed` so far.
    pub downloaded: u32,
}

/// The request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failure {
    /// The swarm, when the failure has to do with one.
    pub info_hash: Option<InfoHash>,
    /// Words for a human.
    pub reason: String,
    /// Minutes to wait before trying again (BEP 31); `None`: as long as the client likes.
    pub retry_in: Option<u32>,
}

/// A warning that comes alone, not in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Words for a human.
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
    /// It is no JSON object.
    #[error("the message is not a JSON object")]
    Json,
    /// A field has a wrong type, or an id a wrong length.
    #[error("the message has something else than expected in {0}")]
    WrongType(&'static str),
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
        match self {
            Self::Announce(announce) => announce.to_json(),
            Self::Answer(answer) => answer.to_json(),
            Self::Scrape(scrape) => {
                let mut object = Object::new("scrape");
                if !scrape.info_hashes.is_empty() {
                    object.name("info_hash");
                    object.list(&scrape.info_hashes, |object, info_hash| {
                        object.string(&to_latin1(&info_hash.0));
                    });
                }
                object.finish()
            }
        }
    }

    /// Reads a client's message.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_json(text: &str) -> Result<Self, TrackerMessageError> {
        let value = json::read(text)?;
        let fields = Fields::of(&value).ok_or(TrackerMessageError::Json)?;
        match fields.text("action")? {
            Some("announce") => {}
            Some("scrape") => {
                let info_hashes = match fields.list("info_hash") {
                    Some(list) => {
                        limit(list.len(), MAX_OFFERS, "info_hash")?;
                        list.iter().map(info_hash).collect::<Result<_, _>>()?
                    }
                    None => fields.id("info_hash")?.map(InfoHash).into_iter().collect(),
                };
                return Ok(Self::Scrape(Scrape { info_hashes }));
            }
            _ => return Err(TrackerMessageError::UnknownAction),
        }
        let info_hash = InfoHash(fields.needed_id("info_hash")?);
        let peer_id = PeerId(fields.needed_id("peer_id")?);
        if let Some(sdp) = fields.description("answer")? {
            return Ok(Self::Answer(Answer {
                info_hash,
                peer_id,
                to_peer_id: PeerId(fields.needed_id("to_peer_id")?),
                offer_id: OfferId(fields.needed_id("offer_id")?),
                sdp,
            }));
        }
        let list = fields.list("offers").unwrap_or_default();
        limit(list.len(), MAX_OFFERS, "offers")?;
        let mut offers = Vec::with_capacity(list.len());
        for offer in list {
            let offer = Fields::of(offer).ok_or(TrackerMessageError::WrongType("offers"))?;
            let sdp = offer.description("offer")?.ok_or(TrackerMessageError::Missing("offer"))?;
            offers.push(Offer { offer_id: OfferId(offer.needed_id("offer_id")?), sdp });
        }
        Ok(Self::Announce(Announce {
            info_hash,
            peer_id,
            uploaded: fields.number("uploaded")?.unwrap_or(0),
            downloaded: fields.number("downloaded")?.unwrap_or(0),
            left: fields.number("left")?,
            event: fields.text("event")?.and_then(AnnounceEvent::from_name),
            numwant: fields.count("numwant")?,
            key: fields.secret("key")?,
            token: fields.secret("token")?,
            offers,
        }))
    }
}

impl Answer {
    pub(super) fn to_json(&self) -> String {
        let mut object = Object::new("announce");
        object.id("info_hash", &self.info_hash.0);
        object.id("peer_id", &self.peer_id.0);
        object.id("to_peer_id", &self.to_peer_id.0);
        object.id("offer_id", &self.offer_id.0);
        object.description("answer", &self.sdp);
        object.finish()
    }
}

impl Announce {
    pub(super) fn to_json(&self) -> String {
        let mut object = Object::new("announce");
        object.id("info_hash", &self.info_hash.0);
        object.id("peer_id", &self.peer_id.0);
        object.number("uploaded", Some(self.uploaded));
        object.number("downloaded", Some(self.downloaded));
        object.number("left", self.left);
        object.text("event", self.event.map(AnnounceEvent::name));
        object.number("numwant", self.numwant.map(u64::from));
        object.text("key", self.key.as_deref());
        object.text("token", self.token.as_deref());
        if !self.offers.is_empty() {
            object.name("offers");
            object.list(&self.offers, |object, offer| {
                object.begin();
                object.id("offer_id", &offer.offer_id.0);
                object.description("offer", &offer.sdp);
                object.end();
            });
        }
        object.finish()
    }
}

impl AnnounceEvent {
    const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Completed => "completed",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Started, Self::Stopped, Self::Completed]
            .into_iter()
            .find(|event| event.name() == name)
    }
}

impl ServerMessage {
    /// The message as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let action = if matches!(self, Self::Scrape(_)) { "scrape" } else { "announce" };
        let mut object = Object::new(action);
        match self {
            Self::Announce(response) => {
                object.id("info_hash", &response.info_hash.0);
                object.number("interval", response.interval.map(u64::from));
                object.number("min interval", response.min_interval.map(u64::from));
                object.number("complete", response.complete.map(u64::from));
                object.number("incomplete", response.incomplete.map(u64::from));
                object.text("warning message", response.warning.as_deref());
            }
            Self::Offer(offer) => {
                object.id("info_hash", &offer.info_hash.0);
                object.id("peer_id", &offer.peer_id.0);
                object.id("offer_id", &offer.offer_id.0);
                object.description("offer", &offer.sdp);
            }
            Self::Answer(answer) => {
                object.id("info_hash", &answer.info_hash.0);
                object.id("peer_id", &answer.peer_id.0);
                object.id("offer_id", &answer.offer_id.0);
                object.description("answer", &answer.sdp);
            }
            Self::Scrape(response) => {
                object.name("files");
                object.begin();
                for (info_hash, file) in &response.files {
                    object.id_name(&info_hash.0);
                    object.begin();
                    object.number("complete", Some(file.complete.into()));
                    object.number("incomplete", Some(file.incomplete.into()));
                    object.number("downloaded", Some(file.downloaded.into()));
                    object.end();
                }
                object.end();
            }
            Self::Failure(failure) => {
                if let Some(info_hash) = failure.info_hash {
                    object.id("info_hash", &info_hash.0);
                }
                object.text("failure reason", Some(&failure.reason));
                object.number("retry in", failure.retry_in.map(u64::from));
            }
            Self::Warning(warning) => object.text("warning message", Some(&warning.message)),
        }
        object.finish()
    }

    /// Reads a tracker's message.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_json(text: &str) -> Result<Self, TrackerMessageError> {
        let message = Self::of_announce(text);
        if message != Err(TrackerMessageError::UnknownAction) {
            return message;
        }
        let value = json::read(text)?;
        let fields = Fields::of(&value).ok_or(TrackerMessageError::Json)?;
        match fields.text("action")? {
            Some("scrape") => {
                let files = fields.object("files").ok_or(TrackerMessageError::Missing("files"))?;
                let files = files.entries().map(scrape_file).collect::<Result<_, _>>()?;
                Ok(Self::Scrape(ScrapeResponse { files }))
            }
            _ => message,
        }
    }

    /// Reads what a tracker says to whoever scrapes nothing: any other action is unknown.
    pub(super) fn of_announce(text: &str) -> Result<Self, TrackerMessageError> {
        let value = json::read(text)?;
        let fields = Fields::of(&value).ok_or(TrackerMessageError::Json)?;
        let info_hash = fields.id("info_hash")?.map(InfoHash);
        if let Some(reason) = fields.text("failure reason")? {
            // BEP 31 knows "never" too: then the number is missing, and it is tried at the interval.
            let retry_in = fields.count("retry in")?;
            return Ok(Self::Failure(Failure { info_hash, reason: reason.to_owned(), retry_in }));
        }
        match fields.text("action")? {
            Some("announce") | None => {}
            Some(_) => return Err(TrackerMessageError::UnknownAction),
        }
        let warning = fields.text("warning message")?.map(str::to_owned);
        let Some(info_hash) = info_hash else {
            // A warning may concern the connection as a whole.
            let message = warning.ok_or(TrackerMessageError::Missing("info_hash"))?;
            return Ok(Self::Warning(Warning { message }));
        };
        let offer = fields.description("offer")?;
        let Some((sdp, answers)) =
            offer.map(|sdp| (sdp, false)).or(fields.description("answer")?.map(|sdp| (sdp, true)))
        else {
            return Ok(Self::Announce(AnnounceResponse {
                info_hash,
                interval: fields.count("interval")?,
                min_interval: fields.count("min interval")?,
                complete: fields.count("complete")?,
                incomplete: fields.count("incomplete")?,
                warning,
            }));
        };
        let peer_id = PeerId(fields.needed_id("peer_id")?);
        let offer_id = OfferId(fields.needed_id("offer_id")?);
        Ok(if answers {
            Self::Answer(AnswerRelay { info_hash, peer_id, offer_id, sdp })
        } else {
            Self::Offer(OfferRelay { info_hash, peer_id, offer_id, sdp })
        })
    }
}

/// An info hash in a list.
fn info_hash(value: &Json) -> Result<InfoHash, TrackerMessageError> {
    json::id(value).map(InfoHash).ok_or(TrackerMessageError::WrongType("info_hash"))
}

/// One swarm of a scrape's response.
fn scrape_file(
    (name, value): (&str, &Json),
) -> Result<(InfoHash, ScrapeFile), TrackerMessageError> {
    let info_hash = from_latin1(name).map(InfoHash);
    let (Some(info_hash), Some(fields)) = (info_hash, Fields::of(value)) else {
        return Err(TrackerMessageError::WrongType("files"));
    };
    let file = ScrapeFile {
        complete: fields.count("complete")?.unwrap_or(0),
        incomplete: fields.count("incomplete")?.unwrap_or(0),
        downloaded: fields.count("downloaded")?.unwrap_or(0),
    };
    Ok((info_hash, file))
}

pub(super) fn limit(
    len: usize,
    most: usize,
    what: &'static str,
) -> Result<(), TrackerMessageError> {
    if len > most { Err(TrackerMessageError::TooMuch(what)) } else { Ok(()) }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
