//! Running out of descriptors. In a process of its own, because the limit is the process's.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use tidegate_runtime::listener::{ListenerBuilder, ListenerCounters, ListenerSet};
use tidegate_runtime::local;
use tidegate_runtime::worker::WorkerIndex;
use tidegate_service::MakeService;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(10);

fn counters(set: &ListenerSet) -> ListenerCounters {
    set.counters().remove(0).1[0]
}

fn limit_descriptors(limit: Rlimit) {
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
fn without_descriptors_accepting_pauses_and_recovers() {
    local::block_on(async {
        let set = ListenerBuilder::try_from("127.0.0.1:0").unwrap();
        let set = set.make().unwrap();
        let mut listener = set.for_worker(WorkerIndex(0)).unwrap().remove(0);
        let address = set.local_addresses()[0].tcp().unwrap();
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();

        let before = getrlimit(Resource::Nofile);
        let open = fs::read_dir("/proc/self/fd").unwrap();
        let highest = open
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok())
            .max();
        limit_descriptors(Rlimit {
            // Descriptors below the limit may be free; those are used up first.
            current: Some(highest.unwrap() + 1),
            maximum: before.maximum,
        });
        let mut used_up = Vec::new();
        while let Ok(file) = fs::File::open("/dev/null") {
            used_up.push(file);
        }
        client.connect(&address.into()).unwrap();

        // Accepting goes on until it has paused a few times; the connection is not lost by that.
        let paused = async {
            while counters(&set).backoffs < 4 {
                tokio::select! {
                    _ = listener.accept() => panic!("there is no descriptor for it"),
                    () = tokio::time::sleep(Duration::from_millis(1)) => {}
                }
            }
        };
        timeout(DEADLINE, paused).await.unwrap();
        let seen = counters(&set);
        assert_eq!(seen.accept_errors, seen.backoffs, "each failure pauses");
        assert_eq!(seen.backoffs, 4);

        drop(used_up);
        limit_descriptors(before);
        let accepted = timeout(DEADLINE, listener.accept()).await.unwrap();
        assert_eq!(
            accepted.unwrap().peer(),
            client.local_addr().unwrap().as_socket().unwrap().into()
        );
    });
}
