//! Whole replicas over a simulated API server: what becomes of each thing that may happen.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;

use super::super::{Condition, Move};
use super::sim::{LEASE, Replica, Server, Setup, World, run};

/// The most that a clean move takes: a watch, a list, a write, and a drain of 200 ms.
const SOON: Duration = Duration::from_millis(700);

fn at_work(world: &World) -> Vec<usize> {
    let held = |replica: &Replica| if replica.is_there() { replica.working().len() } else { 0 };
    world.replicas.iter().map(held).collect()
}

#[test]
fn a_single_fresh_replica_owns_everything_at_once() {
    run(async {
        let mut world = World::new(1);
        world.start_as("a", 16);
        let took = world.settle(LEASE).await;
        assert!(
            took < Duration::from_millis(100),
            "{took:?} of virtual time, at 4 ms a round trip"
        );
        let requests = world.server.requests();
        assert_eq!(requests, [("create", 17), ("list", 1)].into());
    });
}

#[test]
fn a_turn_is_two_requests_and_nothing_moves() {
    run(async {
        let mut world = World::new(2);
        for name in ["a", "b", "c"] {
            world.start_as(name, 16);
        }
        world.settle(LEASE).await;
        world.pass(LEASE * 2).await;
        let (before, versions) = (at_work(&world), world.server.dump());
        world.server.requests();
        world.pass(LEASE * 40).await;
        let requests = world.server.requests();
        assert_eq!((at_work(&world), world.server.dump()), (before, versions));
        // 600 s, a turn every 4.3 to 5 s, for three.
        let (lists, updates) = (requests["list"], requests["update"]);
        assert!((360..=420).contains(&updates) && lists == updates, "{requests:?}");
        assert_eq!(requests.len(), 2);
    });
}

#[test]
fn who_comes_gets_a_share_and_who_leaves_hands_over_at_once() {
    run(async {
        let mut world = World::new(3);
        world.start_as("a", 16);
        world.settle(LEASE).await;
        let first = world.start_as("b", 16);
        world.settle(SOON).await;
        world.start_as("c", 16);
        world.settle(SOON).await;
        let mut shares = at_work(&world);
        shares.sort_unstable();
        assert_eq!(shares, [5, 5, 6]);
        let had = world.replicas[first].working();
        world.replicas[first].leave(Duration::from_secs(25));
        world.settle(SOON).await;
        let said = world.replicas[first].told.said();
        assert_eq!(said.aborted, Default::default());
        assert!(had.without(&said.drained).is_empty(), "{said:?}");
        assert!(!world.server.dump().contains("member.b"), "{}", world.server.dump());
    });
}

#[test]
fn work_that_does_not_end_in_time_is_dropped_and_its_bucket_moves() {
    run(async {
        let mut world = World::new(4);
        let mut slow = Setup::new("a", 4);
        slow.drain = Duration::from_secs(1_000_000);
        let place = world.start(&slow);
        world.settle(LEASE).await;
        world.start_as("b", 4);
        // Given up for ever by the one who has them: for two durations they are drained.
        world.settle(LEASE * 2 + SOON).await;
        assert_eq!(world.replicas[place].told.said().aborted.len(), 2);
        // Leaving with work in hand: renewals go on, and in the end it is dropped.
        world.replicas[place].leave(LEASE * 3);
        world.pass(LEASE * 2).await;
        assert_eq!(at_work(&world), [0, 2]);
        world.settle(LEASE + SOON).await;
        assert_eq!(world.replicas[place].told.said().aborted.len(), 4);
    });
}

#[test]
fn what_the_killed_held_is_taken_when_its_lease_is_over() {
    for watch in [true, false] {
        run(async {
            let mut world = World::new(5);
            let mut setup = Setup::new("a", 16);
            setup.weather.watch = watch;
            world.start(&setup);
            let mut setup = Setup::new("b", 16);
            setup.weather.watch = watch;
            let killed = world.start(&setup);
            world.settle(LEASE).await;
            world.pass(LEASE).await;
            world.replicas[killed].kill().await;
            let took = world.settle(LEASE * 2).await;
            let most = if watch { LEASE + SOON } else { LEASE + LEASE / 3 + SOON };
            assert!(took > LEASE * 3 / 5 && took < most, "{took:?}, watch: {watch}");
            world.pass(LEASE * 3).await;
            assert!(!world.server.dump().contains("member.b"), "{}", world.server.dump());
        });
    }
}

#[test]
fn who_comes_after_a_death_does_not_wait_longer_than_the_others() {
    run(async {
        let mut world = World::new(12);
        world.start_as("a", 16);
        let killed = world.start_as("b", 16);
        world.settle(LEASE).await;
        world.pass(LEASE).await;
        world.replicas[killed].kill().await;
        world.pass(LEASE / 2).await;
        world.start_as("c", 16);
        world.settle(LEASE / 2 + SOON).await;
        assert_eq!(at_work(&world), [8, 0, 8]);
    });
}

#[test]
fn a_container_that_is_started_again_goes_on_at_once() {
    run(async {
        let mut world = World::new(6);
        world.start_as("a", 16);
        let killed = world.start_as("b", 16);
        world.settle(LEASE).await;
        world.pass(LEASE).await;
        let had = world.replicas[killed].working();
        world.replicas[killed].kill().await;
        let again = world.start_as("b", 16);
        world.settle(SOON).await;
        assert_eq!(world.replicas[again].working(), had);
    });
}

#[test]
fn of_two_processes_with_one_identity_the_older_lets_go() {
    run(async {
        let mut world = World::new(7);
        let older = world.start_as("a", 4);
        world.settle(LEASE).await;
        world.pass(LEASE).await;
        let newer = world.start_as("a", 4);
        // They overlap until the older one looks: that is told of in the documentation.
        world.pass_without_promise(LEASE / 3).await;
        for _ in 0..10 {
            world.pass(LEASE).await;
            assert_eq!(at_work(&world), [0, 4]);
        }
        let said = world.replicas[older].told.said();
        assert_eq!(said.aborted.len(), 4);
        assert!(
            matches!(said.condition, Some(Condition::Faulty(why)) if why.contains("joining as a"))
        );
        // When the newer one is gone, the older one has been waiting.
        world.replicas[newer].kill().await;
        world.pass(LEASE * 2).await;
        assert_eq!(at_work(&world), [4, 0]);
    });
}

#[test]
fn who_is_cut_off_lets_go_before_others_begin_and_comes_back() {
    run(async {
        let mut world = World::new(8);
        world.start_as("a", 4);
        let cut = world.start_as("b", 4);
        world.settle(LEASE).await;
        world.pass(LEASE).await;
        // For a short time nobody minds.
        world.replicas[cut].change_weather(|weather| weather.cut = true);
        world.pass(LEASE / 6).await;
        world.replicas[cut].change_weather(|weather| weather.cut = false);
        world.pass(LEASE).await;
        assert_eq!(world.replicas[cut].told.said().aborted.len(), 0);
        assert_eq!(at_work(&world), [2, 2]);
        world.replicas[cut].change_weather(|weather| weather.cut = true);
        world.pass(LEASE * 2 / 3).await;
        let said = world.replicas[cut].told.said();
        assert_eq!(said.aborted.len(), 2);
        assert!(matches!(said.condition, Some(Condition::Faulty(_))), "{said:?}");
        assert_eq!(said.moves.last(), Some(&(Move::Lost, 2, 0)));
        world.pass(LEASE).await;
        assert_eq!(at_work(&world), [4, 0]);
        world.replicas[cut].change_weather(|weather| weather.cut = false);
        world.settle(LEASE).await;
        assert_eq!(at_work(&world), [2, 2]);
    });
}

#[test]
fn an_api_server_that_is_down_costs_nothing_for_a_while() {
    run(async {
        let mut world = World::new(9);
        world.start_as("a", 4);
        world.start_as("b", 4);
        world.settle(LEASE).await;
        world.pass(LEASE).await;
        for (down, kept) in [(LEASE / 6, true), (LEASE * 4, false)] {
            for replica in &world.replicas {
                replica.change_weather(|weather| weather.cut = true);
            }
            world.pass(down).await;
            assert_eq!(at_work(&world), if kept { [2, 2] } else { [0, 0] });
            for replica in &world.replicas {
                replica.change_weather(|weather| weather.cut = false);
            }
            world.settle(LEASE).await;
        }
    });
}

#[test]
fn another_total_waits_until_the_first_is_gone() {
    run(async {
        let mut world = World::new(10);
        let old: Vec<usize> = ["a", "b"].iter().map(|name| world.start_as(name, 8)).collect();
        world.settle(LEASE).await;
        let new = world.start_as("c", 16);
        world.pass(LEASE * 2).await;
        assert_eq!(at_work(&world), [4, 4, 0]);
        // Ready all the same: otherwise a rolling update would wait for it for ever.
        let told = |world: &World| match world.replicas[new].told.said().condition {
            Some(Condition::Ready(detail)) => detail,
            other => panic!("{other:?}"),
        };
        let waiting = told(&world);
        assert!(waiting.contains("a (8 buckets), b (8 buckets)"), "{waiting}");
        for place in old {
            assert!(world.replicas[new].working().is_empty());
            world.replicas[place].leave(LEASE);
            world.pass(SOON).await;
        }
        assert_eq!(world.replicas[new].working().len(), 16);
        world.pass(LEASE).await;
        assert_eq!(told(&world), "holding 16 of 16 buckets");
        assert!(!world.server.dump().contains("-of-8"), "{}", world.server.dump());
    });
}

#[test]
fn of_two_totals_that_come_at_once_one_stands_by() {
    for seed in 0..20 {
        run(async {
            let mut world = World::new(seed);
            world.start_as("a", 3);
            world.start_as("b", 4);
            world.pass(LEASE * 2).await;
            assert!([vec![3, 0], vec![0, 4]].contains(&at_work(&world)), "{:?}", at_work(&world));
        });
    }
}

#[test]
fn what_is_deleted_or_edited_by_hand_is_mended() {
    // The hand takes a bucket from its holder, who does not know until it looks: nothing is promised meanwhile.
    async fn check(world: &mut World, part: &str, edit: impl FnOnce(&Server)) {
        edit(&world.server);
        world.pass_without_promise(LEASE / 3).await;
        world.pass(LEASE).await;
        world.settle(LEASE * 2).await;
        world.pass(LEASE).await;
        assert!(world.server.dump().contains(part), "{}", world.server.dump());
    }
    run(async {
        let mut world = World::new(11);
        for name in ["a", "b"] {
            world.start_as(name, 4);
        }
        world.settle(LEASE).await;
        check(&mut world, "bucket-01-of-4", |server| server.delete("bucket-01")).await;
        check(&mut world, "member.a", |server| server.delete("member.a")).await;
        check(&mut world, "member.b", |server| server.delete("")).await;
        let hold = |by: &'static str| {
            move |lease: &mut Lease| {
                lease.spec.get_or_insert_default().holder_identity = Some(by.to_owned());
            }
        };
        let bucket = "tekton-chains-controller.bucket-02-of-4";
        for by in ["", "somebody", "somebody_else", "a", "b_1"] {
            check(&mut world, "member.a", |server| server.edit(bucket, hold(by))).await;
        }
        let member = "tekton-chains-controller.member.a";
        for by in ["", "somebody", "a", "b_1"] {
            check(&mut world, "member.a", |server| server.edit(member, hold(by))).await;
        }
        assert!(!world.server.dump().contains("somebody"), "{}", world.server.dump());
    });
}
