//! What trackers pass on of an origin that is overrun.

use super::*;

pub(super) fn counted(world: &mut World, complete: u32, incomplete: u32) -> bool {
    let response = AnnounceResponse {
        info_hash: HASH,
        complete: Some(complete),
        incomplete: Some(incomplete),
        ..AnnounceResponse::default()
    };
    world.text(0, &ServerMessage::Announce(response));
    world.viewers[0].signaling.status().overrun
}

#[test]
fn an_overrun_origin_is_told_at_once_and_its_recovery_with_the_next_announce() {
    let mut world = World::new(1);
    world.join();
    world.run(10.0);
    let left = |world: &World| -> Vec<(u32, Option<u64>)> {
        let announces = world.viewers[0].announces();
        announces.iter().map(|(at, announce)| (*at as u32, announce.left)).collect()
    };
    assert_eq!(left(&world), [(0, Some(1))]);
    world.tell(0, |signaling, now| signaling.set_overrun(now, true));
    world.run(5.0);
    world.tell(0, |signaling, now| signaling.set_overrun(now, true));
    assert_eq!(left(&world), [(0, Some(1)), (10, Some(0))], "it is said once");
    world.tell(0, |signaling, now| signaling.set_overrun(now, false));
    world.run(130.0);
    assert_eq!(left(&world), [(0, Some(1)), (10, Some(0)), (130, Some(1))]);
}

#[test]
fn an_origin_is_overrun_when_a_sixth_of_the_members_say_so_and_more_than_a_few() {
    let mut world = World::new(1);
    world.join();
    world.run(1.0);
    assert!(!counted(&mut world, 4, 2), "four lines may be slow by chance");
    assert!(!counted(&mut world, 5, 26));
    assert!(counted(&mut world, 5, 25));
    assert!(counted(&mut world, 5, 55), "a little less says nothing else");
    assert!(!counted(&mut world, 5, 56));
    assert!(!counted(&mut world, 100, 900));
    assert!(counted(&mut world, 170, 830));
    assert!(counted(&mut world, u32::MAX, u32::MAX));
}
