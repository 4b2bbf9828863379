//! How a changed file is noticed without a signal.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::{get, try_get};
use crate::harness::{Place, Tidegate, eventually, free_address};

/// A content that has stayed the same for this long is read.
const SETTLE: Duration = Duration::from_millis(100);
const ATTEMPTS_MAX: usize = 20;

fn server(name: &str, listen: SocketAddr, body: &str) -> String {
    format!(
        r#"
[servers.{name}]
protocol = "http"
listen = ["{listen}"]
[[servers.{name}.routes]]
prefix = "/"
respond = {{ status = 200, body = "{body}" }}
"#
    )
}

#[test]
fn an_empty_file_is_one_that_is_being_written() {
    let listen = free_address();
    let process = Tidegate::start(&server("web", listen, "old"));
    let mut file = std::fs::File::create(process.place.config()).unwrap();
    // For longer than it takes to settle.
    std::thread::sleep(Duration::from_millis(250));
    let text = server("web", listen, "new");
    file.write_all(text.as_bytes()).unwrap();
    process.next("reloaded");
    let rejected = process.logged("reload rejected: the file is wrong; serving on");
    assert!(rejected.is_empty(), "{rejected:?}");
    assert_eq!(get(listen, "/").body, "new");
}

#[test]
fn a_slow_writer_is_waited_for() {
    let (first, second) = (free_address(), free_address());
    let text = |body: &str| server("first", first, body) + &server("second", second, body);
    let process = Tidegate::start(&text("old"));
    for attempt in 0..ATTEMPTS_MAX {
        let body = format!("new {attempt}");
        let before = process.logged("reloaded").len();
        let mut file = std::fs::File::create(process.place.config()).unwrap();
        let begun = Instant::now();
        // The first half is a good file by itself, and would remove the other server.
        let text = server("first", first, &body);
        file.write_all(text.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        let text = server("second", second, &body);
        file.write_all(text.as_bytes()).unwrap();
        let took = begun.elapsed();
        eventually("both servers as they should be", || {
            let reply = try_get(second, "/").ok()?;
            (reply.body == body).then_some(())
        });
        let reloads = eventually("word of it in the log", || {
            let reloads = process.logged("reloaded").split_off(before);
            (!reloads.is_empty()).then_some(reloads)
        });
        if took < SETTLE {
            assert_eq!(reloads.len(), 1, "{reloads:?}");
            assert_eq!(reloads[0]["deployed"], "first second");
            return;
        }
        // The machine was too busy for the writer to be merely slow.
    }
    panic!("no attempt of {ATTEMPTS_MAX} was quick enough");
}

#[test]
fn a_change_is_not_forgotten_for_another_signal() {
    let listen = free_address();
    let process = Tidegate::start(&server("web", listen, "old"));
    process.place.write(&server("web", listen, "new"));
    // While the file settles.
    for _ in 0..8 {
        process.signal(Signal::USR1);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(process.next("reloaded")["cause"], "file change");
    assert_eq!(get(listen, "/").body, "new");
}

/// A version of a mounted volume, as orchestrators swap them in.
fn swap_in(place: &Place, version: &str, text: &str) {
    std::fs::create_dir(place.path(version)).unwrap();
    std::fs::write(place.path(version).join("tidegate.toml"), text).unwrap();
    symlink(version, place.path("..data.new")).unwrap();
    std::fs::rename(place.path("..data.new"), place.path("..data")).unwrap();
}

#[test]
fn a_volume_that_swaps_a_link_is_a_change() {
    let place = Place::new();
    let listen = free_address();
    swap_in(&place, "..1", &server("web", listen, "old"));
    symlink("..data/tidegate.toml", place.config()).unwrap();
    let config = place.config();
    let arguments = ["run", "--config", config.to_str().unwrap()];
    let process = Tidegate::spawn(place, &arguments);
    process.listening();
    assert_eq!(get(listen, "/").body, "old");
    swap_in(&process.place, "..2", &server("web", listen, "new"));
    assert_eq!(process.next("reloaded")["cause"], "file change");
    assert_eq!(get(listen, "/").body, "new");
}
