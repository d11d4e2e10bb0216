//! Whole replicas over a simulated API server: whatever happens, in whatever order.

use std::time::Duration;

use proptest::prelude::*;

use super::sim::{LEASE, Setup, World, run};

/// Something that happens to the world.
#[derive(Debug, Clone)]
enum Event {
    /// A replica comes, by the name of this number.
    Start {
        name: u8,
        total: u16,
        rough: bool,
        clock: u32,
        drain: u16,
    },
    /// One of those that are there is killed; perhaps a container with the same identity follows at once.
    Kill {
        which: usize,
        again: bool,
    },
    Leave {
        which: usize,
        within: u16,
    },
    /// One is stopped, for so many milliseconds.
    Stop {
        which: usize,
        millis: u64,
    },
    /// One is cut off, for so many milliseconds.
    Cut {
        which: usize,
        millis: u64,
    },
    /// Somebody writes a label on all Leases.
    Label,
    /// Nothing happens for a while.
    Wait {
        millis: u64,
    },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let start = (
        0u8..5,
        prop_oneof![12 => Just(5u16), 1 => Just(3u16)],
        any::<bool>(),
        75u32..135,
        0u16..9000,
    );
    let start = start.prop_map(|(name, total, rough, clock, drain)| Event::Start {
        name,
        total,
        rough,
        clock,
        drain,
    });
    let which = || any::<usize>();
    let event = prop_oneof![
        4 => start,
        2 => (which(), any::<bool>()).prop_map(|(which, again)| Event::Kill { which, again }),
        2 => (which(), 0u16..20_000).prop_map(|(which, within)| Event::Leave { which, within }),
        2 => (which(), 500u64..40_000).prop_map(|(which, millis)| Event::Stop { which, millis }),
        2 => (which(), 500u64..40_000).prop_map(|(which, millis)| Event::Cut { which, millis }),
        1 => Just(Event::Label),
        4 => (1u64..30_000).prop_map(|millis| Event::Wait { millis }),
    ];
    proptest::collection::vec(event, 1..24)
}

async fn happen(world: &mut World, event: Event) {
    let there: Vec<usize> = (0..world.replicas.len())
        .filter(|place| world.replicas.get(*place).is_some_and(|r| r.is_there()))
        .collect();
    let pick = |which: usize| there.get(which % there.len().max(1)).copied();
    match event {
        Event::Start { name, total, rough, clock, drain } => {
            let identity = format!("pod-{name}");
            if world.replicas.iter().any(|r| r.is_there() && r.identity == identity) {
                return;
            }
            let mut setup = Setup::new(&identity, total);
            setup.clock = clock;
            setup.drain = Duration::from_millis(drain.into());
            if rough {
                setup.weather.latency = Duration::from_millis(2900);
                setup.weather.lost = 60;
            }
            world.start(&setup);
        }
        Event::Kill { which, again } => {
            let Some(place) = pick(which) else { return };
            let Some(replica) = world.replicas.get_mut(place) else { return };
            replica.kill().await;
            if again {
                let setup = Setup::new(&replica.identity.clone(), replica.total);
                world.start(&setup);
            }
        }
        Event::Leave { which, within } => {
            let Some(place) = pick(which) else { return };
            if let Some(replica) = world.replicas.get_mut(place) {
                replica.leave(Duration::from_millis(within.into()));
            }
        }
        Event::Stop { which, millis } => {
            let Some(place) = pick(which) else { return };
            world.replicas[place].stop(true);
            world.pass(Duration::from_millis(millis)).await;
            world.replicas[place].stop(false);
        }
        Event::Cut { which, millis } => {
            let Some(place) = pick(which) else { return };
            world.replicas[place].change_weather(|weather| weather.cut = true);
            world.pass(Duration::from_millis(millis)).await;
            world.replicas[place].change_weather(|weather| weather.cut = false);
        }
        Event::Label => {
            let names: Vec<String> =
                world.server.leases().into_iter().filter_map(|l| l.metadata.name).collect();
            for name in names {
                world.server.edit(&name, |lease| {
                    let labels = lease.metadata.labels.get_or_insert_default();
                    *labels.entry("edited".to_owned()).or_default() += "x";
                });
            }
        }
        Event::Wait { millis } => world.pass(Duration::from_millis(millis)).await,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_shares_a_bucket_and_in_the_end_all_are_held(seed in any::<u64>(), events in events()) {
        run(async {
            let mut world = World::new(seed);
            for event in events {
                happen(&mut world, event).await;
                world.pass(Duration::from_millis(40)).await;
            }
            // Now that everybody is left alone.
            for replica in &world.replicas {
                replica.change_weather(|weather| *weather = Setup::new("", 1).weather);
            }
            world.settle(LEASE * 8).await;
            world.pass(LEASE * 2).await;
            world.settle(Duration::ZERO).await;
        });
    }
}
