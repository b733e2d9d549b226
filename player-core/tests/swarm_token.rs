//! What a player does with a swarm token, seen from outside: whom it contacts, and what it says there.

use player_core::config::P2pMode;
use player_core::io::{Event, Input, Output, TrackerId};
use player_core::stats::PeerState;
use player_core::swarm::{info_hash, token_swarm};
use player_core::tracker::{Announce, AnnounceEvent, ClientMessage, Failure, ServerMessage};
use player_core::{Config, Instant, Player};

const URL: &str = "https://site.example/film/master.m3u8";

/// A token for the swarm of this number.
fn token(swarm: u8, expires: u32) -> String {
    format!("{}.{expires}.{}", format!("{swarm:02x}").repeat(20), "00".repeat(64))
}

/// A player, and what it has said.
struct Session {
    player: Player,
    now: Instant,
    /// Of trackers' sockets: opened, closed.
    opened: usize,
    closed: usize,
    announces: Vec<Announce>,
    warnings: Vec<String>,
    offers: usize,
}

impl Session {
    fn new(config: Config, seed: u64) -> Self {
        let trackers = vec!["wss://tracker.example/announce".to_owned()];
        let player = Player::new(Config { trackers, ..config }, seed);
        let now = Instant::from_micros(1_000_000);
        let mut session = Self {
            player,
            now,
            opened: 0,
            closed: 0,
            announces: Vec::new(),
            warnings: Vec::new(),
            offers: 0,
        };
        session.tell(Input::Load { url: URL.to_owned() });
        session
    }

    fn with_token(token: &str) -> Self {
        Self::new(Config { swarm_token: Some(token.to_owned()), ..Config::default() }, 1)
    }

    fn tell(&mut self, input: Input) {
        self.player.handle_input(self.now, input);
        while let Some(output) = self.player.poll_output() {
            match output {
                Output::OpenTracker(tracker, _) => {
                    self.opened += 1;
                    self.player.handle_input(self.now, Input::TrackerOpened(tracker));
                }
                Output::CloseTracker(_) => self.closed += 1,
                Output::CreateOffer(connection) => {
                    self.offers += 1;
                    let sdp = "an offer".to_owned();
                    self.player.handle_input(self.now, Input::OfferReady { connection, sdp });
                }
                Output::SendTracker(_, text) => match ClientMessage::from_json(&text) {
                    Ok(ClientMessage::Announce(announce)) => self.announces.push(announce),
                    other => panic!("{other:?}"),
                },
                Output::Event(Event::Error { error, fatal }) => {
                    assert!(!fatal, "{error}");
                    self.warnings.push(error.code().to_owned());
                }
                _ => {}
            }
        }
    }

    fn last(&self) -> &Announce {
        self.announces.last().expect("an announce")
    }

    fn state(&self) -> PeerState {
        self.player.stats(self.now).peer_state
    }
}

#[test]
fn a_token_names_the_swarm_and_is_shown_to_the_tracker() {
    let session = Session::with_token(&token(7, 100));
    assert_eq!(session.last().info_hash.0, [7; 20]);
    assert_eq!(session.last().token, Some(token(7, 100)));
    assert!(session.last().key.is_some());
    let plain = Session::new(Config::default(), 1);
    assert_eq!((plain.last().info_hash, &plain.last().token), (info_hash(URL), &None));
}

#[test]
fn a_token_that_is_none_is_no_reason_to_join_a_swarm_that_anybody_can_name() {
    for (wrong, warnings) in [("no token", 1), ("", 0), (URL, 1)] {
        let mut session = Session::with_token(wrong);
        assert_eq!((session.opened, session.offers), (0, 0), "{wrong}: somebody was contacted");
        assert_eq!(session.warnings.iter().filter(|code| *code == "swarm-token").count(), warnings);
        assert_eq!(session.state(), PeerState::Off);
        session.tell(Input::SetSwarmToken(Some(token(3, 100))));
        assert_eq!(session.opened, 1, "the right one came later");
        assert_eq!(session.last().info_hash.0, [3; 20]);
    }
}

#[test]
fn a_new_token_of_the_same_swarm_is_shown_and_nothing_else_happens() {
    let mut session = Session::with_token(&token(7, 100));
    let (first, told) = (session.last().clone(), session.announces.len());
    session.tell(Input::SetSwarmToken(Some(token(7, 200))));
    assert_eq!((session.opened, session.closed), (1, 0), "the tracker's socket was touched");
    assert_eq!(session.announces.len(), told + 1);
    assert_eq!(session.last().token, Some(token(7, 200)));
    assert_eq!((session.last().peer_id, session.last().event), (first.peer_id, None));
}

#[test]
fn a_token_of_another_swarm_moves_the_viewer_there_as_somebody_new() {
    let mut session = Session::with_token(&token(7, 100));
    let first = session.last().clone();
    session.tell(Input::SetSwarmToken(Some(token(8, 200))));
    let stopped = session.announces.iter().find(|it| it.event == Some(AnnounceEvent::Stopped));
    assert_eq!(stopped.map(|it| it.info_hash.0), Some([7; 20]));
    assert_eq!(session.last().info_hash.0, [8; 20]);
    assert_ne!(session.last().peer_id, first.peer_id, "he can be followed from swarm to swarm");
    assert_ne!(session.last().key, first.key);
    session.tell(Input::SetSwarmToken(Some(String::new())));
    assert_eq!(session.state(), PeerState::Off);
    session.tell(Input::SetSwarmToken(None));
    assert_eq!(session.last().info_hash, info_hash(URL));
}

#[test]
fn a_refusal_is_told_with_the_trackers_words() {
    let mut session = Session::with_token(&token(7, 100));
    let failure = Failure {
        info_hash: token_swarm(&token(7, 100)),
        reason: "the swarm token has expired".to_owned(),
        retry_in: None,
    };
    let text = ServerMessage::Failure(failure).to_json();
    for _ in 0..3 {
        session.tell(Input::TrackerMessage(TrackerId(0), text.clone()));
    }
    assert_eq!(session.warnings, ["tracker-refused"], "once, however often it says so");
    assert_eq!(session.state(), PeerState::TrackerRefused);
    let words = session.player.stats(session.now).tracker_failure;
    assert_eq!(words.as_deref(), Some("the swarm token has expired"));
}

#[test]
fn each_session_has_a_peer_id_and_a_key_of_its_own() {
    let ids = |announce: &Announce| (announce.peer_id, announce.key.clone());
    let mut seen = Vec::new();
    for seed in 0..50 {
        let mut session = Session::new(Config::default(), seed);
        seen.push(ids(session.last()));
        // Who leaves and comes back is not known again.
        session.tell(Input::SetP2p(P2pMode::Off));
        session.tell(Input::SetP2p(P2pMode::On));
        seen.push(ids(session.last()));
    }
    for (at, one) in seen.iter().enumerate() {
        for other in &seen[at + 1..] {
            assert!(one.0 != other.0 && one.1 != other.1, "{one:?} and {other:?}");
        }
    }
}

#[test]
fn nothing_is_gathered_before_the_tracker_counts_enough_viewers() {
    let mut session = Session::new(Config { min_viewers: 3, ..Config::default() }, 1);
    let size = |viewers: u32| {
        let incomplete = Some(viewers);
        let response = player_core::tracker::AnnounceResponse {
            info_hash: info_hash(URL),
            incomplete,
            ..Default::default()
        };
        Input::TrackerMessage(TrackerId(0), ServerMessage::Announce(response).to_json())
    };
    session.tell(size(2));
    assert_eq!((session.offers, session.state()), (0, PeerState::Few));
    session.tell(size(3));
    assert!(session.offers > 0);
    assert_eq!(session.state(), PeerState::Connecting);
}
