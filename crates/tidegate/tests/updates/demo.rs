//! What runs without a file.

use rustix::process::Signal;

use crate::client::{Client, get};
use crate::harness::{Place, Tidegate};

#[test]
fn the_demo_serves_and_stops_and_leaves_nothing_behind() {
    let mut process = Tidegate::spawn(Place::new(), &["run"]);
    let address = process.listening_at("demo");
    let mut client = Client::connect(address);
    assert_eq!(client.get("/hello").body, "Hello from tidegate.\n");
    let told = client.get("/anything?at=all").body;
    assert!(told.contains("GET /anything?at=all"), "{told}");
    assert!(told.contains("x-forwarded-for: 127.0.0.1"), "{told}");
    assert_eq!(get(address, "/old/page").status, 308);

    let leftovers = || {
        std::fs::read_dir(process.place.directory.path())
            .unwrap()
            .count()
    };
    assert_eq!(
        leftovers(),
        1,
        "the origin's socket is in a directory of its own"
    );
    process.signal(Signal::HUP);
    process.next("the demo has no file to read again");
    assert_eq!(client.get("/hello").status, 200);
    process.signal(Signal::TERM);
    assert_eq!(process.ended().code(), Some(0));
    let left = std::fs::read_dir(process.place.directory.path())
        .unwrap()
        .count();
    assert_eq!(left, 0);
    assert!(client.ends());
}
