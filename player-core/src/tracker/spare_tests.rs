//! Offers that are answered in small and young swarms only.

use super::overrun::counted;
use super::pool::SPARE;
use super::*;

/// Whether a viewer who has been there for so long, and is told of so many members, answers a spare offer.
fn answers(age: f64, overrun: u32, others: u32) -> bool {
    let mut world = World::new(1);
    world.join();
    world.run(age);
    counted(&mut world, overrun, others);
    world.text(0, &stranger(1, SPARE));
    let answered = world.viewers[0].introduced.len();
    world.text(0, &stranger(2, b'A'));
    assert_eq!(world.viewers[0].introduced.len(), answered + 1);
    // So many offers at once are a crowd's.
    world.text(0, &stranger(3, SPARE));
    assert_eq!(world.viewers[0].introduced.len(), answered + 2);
    answered == 1
}

#[test]
fn a_spare_offer_is_answered_unless_the_swarm_is_settled() {
    assert!(!answers(15.0, 0, 10));
    assert!(answers(15.0, 0, 9), "a small one");
    assert!(answers(15.0, 5, 5), "the origin is overrun");
    assert!(answers(5.0, 0, 10), "who has just come may be one of a crowd");
}

#[test]
fn a_newcomer_costs_a_settled_swarm_two_messages() {
    for (members, answers) in [(8, 2), (12, 1)] {
        let mut world = World::new(1);
        for _ in 0..members {
            world.join();
        }
        // All have heard how many they are.
        world.run(145.0);
        let newcomer = world.join();
        world.run(1.0);
        let announces = world.viewers[newcomer].announces();
        let [(_, announce)] = announces[..] else { panic!("{announces:?}") };
        let spare: Vec<bool> = announce.offers.iter().map(|it| it.offer_id.0[0] == SPARE).collect();
        assert_eq!(spare, [false, true]);
        let answered = world.viewers.iter().flat_map(|viewer| &viewer.sent).filter(|(.., message)| {
            matches!(message, ClientMessage::Answer(it) if it.to_peer_id == peer(newcomer))
        });
        assert_eq!(answered.count(), answers, "of {members}");
    }
}
