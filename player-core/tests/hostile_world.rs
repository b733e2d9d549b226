//! Whatever servers, peers, trackers and pages send, in whatever order: nothing panics, nothing grows without bound,
//! and nothing is asked for that is there.

use hostile::{Dice, World};
use proptest::prelude::*;

mod hostile;

#[test]
fn these_worlds_get_as_far_as_playing() {
    let mut rng = fastrand::Rng::with_seed(1);
    let (mut played, mut shared) = (0, 0);
    for seed in 0..100 {
        let mut world = World::new(seed);
        if seed % 2 == 0 {
            world.warm_up();
        }
        for _ in 0..300 {
            world.step((rng.u8(..), rng.u8(..), rng.u32(..), rng.u16(..)));
        }
        played += usize::from(world.appended > 1);
        shared += usize::from(world.requested > 3);
    }
    assert!(played >= 20, "only {played} of 100 appended media");
    assert!(shared >= 20, "only {shared} of 100 asked peers");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_order_of_inputs_panics_or_grows_without_bound(
        seed in any::<u64>(),
        dice in proptest::collection::vec(any::<Dice>(), 1..400),
    ) {
        let mut world = World::new(seed);
        if seed % 2 == 0 {
            world.warm_up();
        }
        for dice in dice {
            world.step(dice);
        }
    }
}
