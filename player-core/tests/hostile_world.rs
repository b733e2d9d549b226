//! Whatever servers, peers, trackers and pages send, in whatever order: nothing panics, nothing grows without bound,
//! and nothing is asked for that is there.

use hostile::{Dice, World};
use player_core::recording::{Entry, Recorder, Replay, entries};
use proptest::prelude::*;

mod hostile;

#[test]
fn these_worlds_get_as_far_as_playing() {
    let mut rng = fastrand::Rng::with_seed(1);
    let (mut played, mut shared) = (0, 0);
    let (mut recalled, mut kept) = (0, 0);
    for seed in 0..100 {
        let mut world = World::new(seed, None);
        if seed % 2 == 0 {
            world.warm_up();
        }
        for _ in 0..300 {
            world.step((rng.u8(..), rng.u8(..), rng.u32(..), rng.u16(..)));
        }
        played += usize::from(world.appended > 1);
        shared += usize::from(world.requested > 3);
        recalled += usize::from(world.recalled > 0);
        kept += world.kept;
    }
    assert!(played >= 20, "only {played} of 100 appended media");
    assert!(shared >= 20, "only {shared} of 100 asked peers");
    assert!(recalled >= 10 && kept > 0, "{recalled} of 50 looked into the cache, {kept} were kept");
}

#[test]
fn a_recording_replays_to_the_same_outputs() {
    let mut rng = fastrand::Rng::with_seed(5);
    let (mut steps, mut said) = (0, 0);
    for seed in 0..24 {
        let mut world = World::new(seed, Some(Recorder::default()));
        world.warm_up();
        for _ in 0..150 {
            world.step((rng.u8(..), rng.u8(..), rng.u32(..), rng.u16(..)));
        }
        let recording = world.recorder.as_mut().expect("it records").take();
        let mut replay = Replay::default();
        for entry in entries(recording.into()) {
            let entry = entry.expect("a whole recording");
            let what = format!("{entry:.60?}");
            let (outputs, divergence) = replay.step(entry);
            assert_eq!(divergence, None, "world {seed}, step {steps}: {what}");
            steps += 1;
            said += outputs.len();
        }
    }
    assert!(steps > 24 * 150 && said > steps / 2, "{said} outputs in {steps} steps");
}

#[test]
fn a_replay_notices_that_something_was_told_otherwise() {
    let mut world = World::new(2, Some(Recorder::default()));
    world.warm_up();
    let recording = world.recorder.as_mut().expect("it records").take();
    let mut replay = Replay::default();
    let mut diverged = 0;
    for entry in entries(recording.into()) {
        let entry = match entry.expect("a whole recording") {
            // Another core: its ids and its choices are others.
            Entry::Player { config, seed } => Entry::Player { config, seed: seed + 1 },
            entry => entry,
        };
        diverged += usize::from(replay.step(entry).1.is_some());
    }
    assert!(diverged > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_order_of_inputs_panics_or_grows_without_bound(
        seed in any::<u64>(),
        dice in proptest::collection::vec(any::<Dice>(), 1..400),
    ) {
        let mut world = World::new(seed, None);
        if seed % 2 == 0 {
            world.warm_up();
        }
        for dice in dice {
            world.step(dice);
        }
    }
}
