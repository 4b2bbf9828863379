//! Addresses that come, go, stay and move.

use std::cell::Cell;
use std::net::TcpListener;

use tidegate_orchestrator::CommandError;
use tidegate_runtime::listener::ListenerOptions;

use crate::rig::*;

#[tokio::test]
async fn a_port_in_use_rejects_and_the_old_chain_serves_on() {
    let manager = manager();
    let first = apply(&manager, vec![deploy("web", echo("one"), any_port())]).await;
    let present = address(&manager, "web").await;
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();

    let update = deploy("web", echo("two"), listen(&["127.0.0.1:0", &taken]));
    let error = manager.apply(vec![update]).await.unwrap_err().to_string();
    assert!(error.contains("web") && error.contains(&taken), "{error}");
    assert_eq!(greeting(present).await, "one");
    let status = site(&manager, "web").await;
    assert_eq!(status.generation, Some(first.generation));
    assert_eq!(status.addresses.len(), 1);
    finish(manager).await;
}

#[tokio::test]
async fn addresses_are_added_changed_and_removed_by_updates() {
    let manager = manager();
    apply(&manager, vec![deploy("web", echo("one"), any_port())]).await;
    let kept = address(&manager, "web").await;

    let two = listen(&[&kept.to_string(), "127.0.0.1:0"]);
    apply(&manager, vec![deploy("web", echo("two"), two)]).await;
    let both = addresses(&manager, "web").await;
    assert_eq!(both[0], kept);
    for address in &both {
        assert_eq!(greeting(*address).await, "two after one");
    }

    let one = listen(&[&both[1].to_string()]);
    apply(&manager, vec![deploy("web", echo("three"), one)]).await;
    assert!(is_refused(kept).await, "closed when the update is answered");
    assert_eq!(greeting(both[1]).await, "three after two");

    let again = listen(&[&kept.to_string()]);
    apply(&manager, vec![deploy("web", echo("four"), again)]).await;
    assert_eq!(greeting(kept).await, "four after three");
    assert!(is_refused(both[1]).await);
    finish(manager).await;
}

/// Connects again and again while `work` is done; every connection is greeted.
async fn under_connections(
    address: std::net::SocketAddr,
    work: impl Future<Output = ()>,
) -> Vec<String> {
    let is_done = Cell::new(false);
    let connecting = async {
        let mut greetings = Vec::new();
        while !is_done.get() {
            match Client::try_connect(address).await {
                Ok(client) => greetings.push(client.greeting),
                Err(error) => panic!("after {}: {error}", greetings.len()),
            }
        }
        greetings
    };
    let working = async {
        work.await;
        is_done.set(true);
    };
    tokio::join!(connecting, working).0
}

#[tokio::test]
async fn addresses_swap_sites_with_nobody_refused() {
    const SWAPS: usize = 30;
    let manager = manager();
    let start = vec![
        deploy("left", echo("left"), any_port()),
        deploy("right", echo("right"), any_port()),
    ];
    apply(&manager, start).await;
    let mut of_left = address(&manager, "left").await;
    let mut of_right = address(&manager, "right").await;
    let watched = of_left;
    let work = async {
        for _ in 0..SWAPS {
            std::mem::swap(&mut of_left, &mut of_right);
            let swap = vec![
                deploy("left", echo("left"), listen(&[&of_left.to_string()])),
                deploy("right", echo("right"), listen(&[&of_right.to_string()])),
            ];
            apply(&manager, swap).await;
            assert!(greeting(of_left).await.starts_with("left"));
            assert!(greeting(of_right).await.starts_with("right"));
        }
    };
    let greetings = under_connections(watched, work).await;
    for site in ["left", "right"] {
        assert!(greetings.iter().any(|greeting| greeting.starts_with(site)));
    }
    finish(manager).await;
}

#[tokio::test]
async fn updates_refuse_nobody() {
    const UPDATES: usize = 100;
    let manager = manager();
    apply(&manager, vec![deploy("web", echo("web"), any_port())]).await;
    let address = address(&manager, "web").await;
    let work = async {
        for _ in 0..UPDATES {
            apply(&manager, vec![deploy("web", echo("web"), any_port())]).await;
        }
    };
    let greetings = under_connections(address, work).await;
    assert!(greetings.iter().any(|greeting| greeting == "web after web"));
    eventually("old generations are gone", async || {
        site(&manager, "web").await.connections.len() == 2
    })
    .await;
    finish(manager).await;
}

#[tokio::test]
async fn two_sites_cannot_have_the_same_address() {
    let manager = manager();
    apply(&manager, vec![deploy("left", echo("left"), any_port())]).await;
    let address = address(&manager, "left").await;
    let same = deploy("right", echo("right"), listen(&[&address.to_string()]));
    let error = manager.apply(vec![same]).await.unwrap_err();
    let expected = CommandError::AddressTaken {
        address: address.into(),
        other: "left".into(),
    };
    assert!(error.to_string().contains(&expected.to_string()), "{error}");
    assert_eq!(greeting(address).await, "left");
    finish(manager).await;
}

#[tokio::test]
async fn a_full_site_makes_room_by_sending_the_longest_idle_away() {
    let manager = manager();
    let options = ListenerOptions {
        connections_max: 4,
        ..ListenerOptions::default()
    };
    let listeners = listen_with(&["127.0.0.1:0"], options);
    apply(&manager, vec![deploy("web", echo("one"), listeners)]).await;
    let address = address(&manager, "web").await;
    // One worker alone may have all places, so that the other finds nobody to send away.
    let mut clients = Vec::new();
    eventually("twenty were served, four at a time", async || {
        clients.extend(Client::try_connect(address).await);
        assert!(site(&manager, "web").await.open() <= 4);
        clients.len() == 20
    })
    .await;
    let last = clients.last_mut().unwrap();
    assert_eq!(last.say("still here").await.unwrap(), "still here");
    finish(manager).await;
}

#[tokio::test]
async fn connections_are_spread_over_the_workers() {
    const CROWD: usize = 200;
    let manager = manager();
    apply(&manager, vec![deploy("web", echo("one"), any_port())]).await;
    let address = address(&manager, "web").await;
    let mut clients = Vec::new();
    for _ in 0..CROWD {
        clients.push(Client::connect(address).await);
    }
    let open = site(&manager, "web").await.connections;
    let (least, most) = (
        open[0].open.min(open[1].open),
        open[0].open.max(open[1].open),
    );
    assert_eq!(least + most, CROWD);
    assert!(most <= least + 8 + least / 8, "{least} and {most}");
    finish(manager).await;
}
