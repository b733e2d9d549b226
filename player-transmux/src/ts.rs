//! MPEG-2 transport streams (ISO/IEC 13818-1 §2.4.3): packets to elementary streams.

use crate::audio::Audio;
use crate::error::TransmuxError;
use crate::mux::{AUDIO, VIDEO};
use crate::pes::{self, Header};
use crate::psi::{self, Program, Sections};
use crate::tracks::Tracks;
use crate::video::Video;

/// Bytes of a packet.
pub(crate) const PACKET: usize = 188;
/// Each packet's first byte.
pub(crate) const SYNC: u8 = 0x47;
/// The largest ID3 tag.
pub(crate) const MAX_TAG: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Video,
    Audio,
    Id3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between packets, or in one that is not used.
    Idle,
    Header,
    Data,
}

/// One elementary stream's PES packets.
#[derive(Debug)]
struct Stream {
    pid: u16,
    what: Use,
    state: State,
    header: Vec<u8>,
    /// Bytes that the packet says it has.
    told: Option<usize>,
    taken: usize,
    /// The last transport packet had no room left: the PES packet may go on.
    full: bool,
    /// Continuity counter and first bytes of the last packet: a packet may be sent twice (§2.4.3.3).
    last: Option<(u8, [u8; 16])>,
}

/// The state of a transport stream.
#[derive(Debug, Default)]
pub(crate) struct Demux {
    /// The beginning of a packet.
    carry: Vec<u8>,
    pat: Sections,
    pmt: Sections,
    /// The program's number and the PID of its map.
    program: Option<(u16, u16)>,
    map: Option<Program>,
    streams: Vec<Stream>,
    /// The current tag and its time.
    tag: Vec<u8>,
    tag_pts: Option<i64>,
}

impl Demux {
    /// A new segment begins: counters may start anew.
    pub(crate) fn begin(&mut self) {
        for stream in &mut self.streams {
            stream.last = None;
        }
    }

    /// A segment whose first whole packet begins at `offset`: what is left of the last one either fits before
    /// it or is of no use.
    pub(crate) fn align(&mut self, offset: usize) -> usize {
        if self.carry.len() + offset == PACKET {
            return 0;
        }
        self.carry.clear();
        offset
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.carry.len() + self.tag.len()
    }

    pub(crate) fn push(
        &mut self,
        tracks: &mut Tracks,
        mut data: &[u8],
    ) -> Result<(), TransmuxError> {
        while !self.carry.is_empty() {
            let wanted = (PACKET - self.carry.len()).min(data.len());
            self.carry.extend_from_slice(&data[..wanted]);
            data = &data[wanted..];
            if self.carry.len() < PACKET {
                return Ok(());
            }
            let packet = std::mem::take(&mut self.carry);
            if packet[0] == SYNC {
                self.packet(tracks, &packet)?;
            } else if let Some(at) = packet.iter().position(|&byte| byte == SYNC) {
                self.carry = packet[at..].to_vec();
            }
        }
        while let Some(packet) = data.get(..PACKET) {
            if packet[0] == SYNC {
                self.packet(tracks, packet)?;
                data = &data[PACKET..];
                continue;
            }
            // Lost: go on where packets seem to begin.
            let at = (1..data.len()).find(|&at| {
                data[at] == SYNC && data.get(at + PACKET).is_none_or(|&byte| byte == SYNC)
            });
            data = at.map_or(&[], |at| &data[at..]);
        }
        self.carry.extend_from_slice(data);
        Ok(())
    }

    /// The segment ends: hands out what is complete.
    pub(crate) fn end(&mut self, tracks: &mut Tracks) -> Result<(), TransmuxError> {
        if self.program.is_none() {
            return Err(TransmuxError::NoPat);
        }
        if self.map.is_none() {
            return Err(TransmuxError::NoPmt);
        }
        for at in 0..self.streams.len() {
            let stream = &mut self.streams[at];
            // A packet that knows its length is whole when it has come. One that doesn't ends in a transport
            // packet with stuffing (but for the one in 184 that fits exactly).
            let whole = match stream.told {
                Some(told) => stream.taken >= told,
                None => !stream.full,
            };
            if stream.state != State::Idle && whole {
                stream.state = State::Idle;
                let what = stream.what;
                self.finish(tracks, what, true)?;
            }
        }
        if let Some(audio) = &mut tracks.audio {
            audio.push(&mut tracks.mux, &[], true)?;
        }
        Ok(())
    }

    /// Nothing comes after: hands out everything.
    pub(crate) fn finish_all(&mut self, tracks: &mut Tracks) -> Result<(), TransmuxError> {
        for stream in &mut self.streams {
            stream.state = State::Idle;
        }
        self.tag(tracks);
        tracks.finish()
    }

    fn packet(&mut self, tracks: &mut Tracks, packet: &[u8]) -> Result<(), TransmuxError> {
        let &[_, b1, b2, b3, adaptation, ..] = packet else { return Ok(()) };
        let pid = u16::from_be_bytes([b1 & 31, b2]);
        let begin = match b3 >> 4 & 3 {
            1 => 4,
            3 => 5 + usize::from(adaptation),
            _ => return Ok(()),
        };
        // Transport errors are left out, as is what has no payload.
        let payload = packet.get(begin..).unwrap_or(&[]);
        if payload.is_empty() || b1 & 0x80 != 0 {
            return Ok(());
        }
        let start = b1 & 0x40 != 0;
        if pid == 0 {
            let mut found = None;
            self.pat.push(start, payload, |section| found = psi::pat(section).or(found));
            if found.is_some() && found != self.program {
                self.program = found;
                self.pmt = Sections::default();
            }
            return Ok(());
        }
        if let Some((number, map)) = self.program
            && map == pid
        {
            let mut found = None;
            self.pmt.push(start, payload, |section| found = psi::pmt(section, number).or(found));
            return match found {
                Some(Ok(map)) if self.map != Some(map) => self.remap(tracks, map),
                Some(Err(error)) => Err(error),
                _ => Ok(()),
            };
        }
        let Some(at) = self.streams.iter().position(|stream| stream.pid == pid) else {
            return Ok(());
        };
        if b3 & 0xc0 != 0 {
            return Err(TransmuxError::Scrambled);
        }
        let stream = &mut self.streams[at];
        let mut head = [0; 16];
        let known = payload.len().min(16);
        head[..known].copy_from_slice(&payload[..known]);
        if stream.last.replace((b3 & 15, head)) == Some((b3 & 15, head)) {
            return Ok(());
        }
        stream.full = b3 & 0x20 == 0;
        self.payload(tracks, at, start, payload)
    }

    /// Takes a transport packet's share of a PES packet.
    fn payload(
        &mut self,
        tracks: &mut Tracks,
        at: usize,
        start: bool,
        payload: &[u8],
    ) -> Result<(), TransmuxError> {
        let stream = &mut self.streams[at];
        let what = stream.what;
        if start {
            stream.state = State::Header;
            stream.header.clear();
            stream.taken = 0;
            if what == Use::Id3 {
                self.tag(tracks);
            }
        }
        let stream = &mut self.streams[at];
        match stream.state {
            State::Idle => return Ok(()),
            State::Data => {
                stream.taken += payload.len();
                return self.data(tracks, what, payload);
            }
            State::Header => {}
        }
        // Nearly always the whole header is in the first packet.
        let mut joined = std::mem::take(&mut stream.header);
        let bytes = if joined.is_empty() {
            payload
        } else {
            joined.extend_from_slice(payload);
            joined.as_slice()
        };
        match pes::header(bytes) {
            Header::Bad => stream.state = State::Idle,
            Header::More => stream.header = bytes.to_vec(),
            Header::Whole { size, times, data } => {
                stream.state = State::Data;
                stream.told = data;
                stream.taken = bytes.len() - size;
                let stamp = times.map(|(pts, dts)| tracks.clock.stamp(pts, dts));
                match (what, stamp) {
                    (Use::Video, Some(stamp)) => {
                        if let Some(video) = &mut tracks.video {
                            video.stamp(stamp);
                        }
                    }
                    (Use::Audio, Some(stamp)) => {
                        if let Some(audio) = &mut tracks.audio {
                            audio.stamp(stamp);
                        }
                    }
                    (Use::Id3, _) => self.tag_pts = stamp.map(|stamp| stamp.pts),
                    (_, None) => {}
                }
                self.data(tracks, what, &bytes[size..])?;
                self.finish(tracks, what, false)?;
            }
        }
        Ok(())
    }

    fn data(&mut self, tracks: &mut Tracks, what: Use, data: &[u8]) -> Result<(), TransmuxError> {
        match what {
            Use::Video => {
                if let Some(video) = &mut tracks.video {
                    video.push(data);
                    if video.is_ripe() {
                        video.scan(&mut tracks.mux, false)?;
                    }
                }
            }
            Use::Audio => {
                if let Some(audio) = &mut tracks.audio {
                    audio.push(&mut tracks.mux, data, false)?;
                }
            }
            Use::Id3 => {
                if self.tag.len() + data.len() > MAX_TAG {
                    self.tag.clear();
                    return Err(TransmuxError::Oversized { limit: MAX_TAG });
                }
                self.tag.extend_from_slice(data);
            }
        }
        Ok(())
    }

    /// Hands out what is complete: with `last` all, else what came before this packet.
    fn finish(&mut self, tracks: &mut Tracks, what: Use, last: bool) -> Result<(), TransmuxError> {
        match what {
            Use::Video => {
                if let Some(video) = &mut tracks.video {
                    video.scan(&mut tracks.mux, last)?;
                }
            }
            Use::Id3 if last => self.tag(tracks),
            Use::Audio | Use::Id3 => {}
        }
        Ok(())
    }

    /// The tag is complete.
    fn tag(&mut self, tracks: &mut Tracks) {
        let data = std::mem::take(&mut self.tag);
        if let Some(pts) = self.tag_pts.take().filter(|_| !data.is_empty()) {
            tracks.mux.event(pts, &data);
        }
    }

    /// The program's streams are others now.
    fn remap(&mut self, tracks: &mut Tracks, map: Program) -> Result<(), TransmuxError> {
        let old = self.map.replace(map).unwrap_or_default();
        if map.video != old.video {
            if let Some(video) = &mut tracks.video {
                video.scan(&mut tracks.mux, true)?;
            }
            let hevc = map.video.map(|(_, hevc)| hevc);
            if tracks.video.as_ref().map(Video::is_hevc) != hevc {
                tracks.mux.configure(VIDEO, None);
                tracks.video = hevc.map(Video::new);
            }
            tracks.mux.awaited[VIDEO] = hevc.is_some();
        }
        if map.audio != old.audio {
            if let Some(audio) = &mut tracks.audio {
                audio.push(&mut tracks.mux, &[], true)?;
                audio.drop_partial();
            }
            let format = map.audio.map(|(_, format)| format);
            if tracks.audio.as_ref().map(Audio::format) != format {
                tracks.mux.configure(AUDIO, None);
                tracks.audio = format.map(|format| Audio::new(format, false, tracks.he_aac));
            }
            tracks.mux.awaited[AUDIO] = format.is_some();
        }
        let used = [
            (map.video.map(|(pid, _)| pid), Use::Video),
            (map.audio.map(|(pid, _)| pid), Use::Audio),
            (map.id3, Use::Id3),
        ];
        self.streams.retain(|stream| used.contains(&(Some(stream.pid), stream.what)));
        for (pid, what) in used {
            let Some(pid) = pid else { continue };
            if self.streams.iter().all(|stream| stream.pid != pid) {
                self.streams.push(Stream {
                    pid,
                    what,
                    state: State::Idle,
                    header: Vec::new(),
                    told: None,
                    taken: 0,
                    full: false,
                    last: None,
                });
            }
        }
        Ok(())
    }
}
