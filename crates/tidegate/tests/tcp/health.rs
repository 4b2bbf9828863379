//! Endpoints come and go: by checks, and by what their users find.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::Value;

use crate::harness::{DEADLINE, Tidegate, free_address, thread};
use crate::peers::{connect, proxy, read};

/// An endpoint that says its letter to whoever connects, until it is dropped.
struct Speaker {
    address: SocketAddr,
    stop: TcpListener,
    speaking: Option<std::thread::JoinHandle<()>>,
}

impl Speaker {
    fn new(letter: u8) -> Self {
        Self::at(free_address(), letter)
    }

    fn at(address: SocketAddr, letter: u8) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let stop = listener.try_clone().unwrap();
        let speaking = thread("speaker", move || {
            while let Ok((mut stream, _)) = listener.accept() {
                // A check hangs up without waiting for the letter.
                let _ = stream.write_all(&[letter]);
            }
        });
        Self {
            address,
            stop,
            speaking: Some(speaking),
        }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        // A listener that is shut down accepts no more, which ends the thread.
        let _ = socket2::SockRef::from(&self.stop).shutdown(std::net::Shutdown::Both);
        self.speaking.take().unwrap().join().unwrap();
    }
}

/// What eight clients in a row hear; a dot from whoever hears nothing.
fn heard(listen: SocketAddr) -> String {
    let hear = |_| {
        let mut letter = [b'.'];
        let mut stream = connect(listen);
        match stream.read_exact(&mut letter) {
            Ok(()) => char::from(letter[0]),
            Err(_) => '.',
        }
    };
    (0..8).map(hear).collect()
}

fn says(process: &Tidegate, message: &str, endpoint: SocketAddr) {
    process.next_that(message, |event: &Value| {
        event["message"] == *message && event["endpoint"] == endpoint.to_string().as_str()
    });
}

const UNHEALTHY: &str = "the endpoint is unhealthy";
const HEALTHY: &str = "the endpoint is healthy";

#[test]
fn checks_take_an_endpoint_out_and_bring_it_back_and_an_update_forgets_nothing() {
    let (one, two) = (Speaker::new(b'1'), Speaker::new(b'2'));
    let endpoints = [one.address, two.address];
    let listen = free_address();
    let admin = free_address();
    // Without retries, whoever is sent to the dead one hears nothing.
    let upstream = format!(
        "retries = 0\nejection = {{ failures = 0 }}\n\
         health = {{ interval = \"50ms\", unhealthy = 2, healthy = 2 }}\n\
         [admin]\nlisten = \"{admin}\""
    );
    let process = Tidegate::start(&proxy(listen, &endpoints, "", &upstream));
    assert_eq!(heard(listen), "12121212");
    let address = two.address;
    drop(two);
    says(&process, UNHEALTHY, address);
    assert_eq!(heard(listen), "11111111");
    let metrics = metrics(admin);
    let gauge =
        |endpoint, value| format!("tidegate_endpoint_healthy{{endpoint=\"{endpoint}\"}} {value}");
    assert!(metrics.contains(&gauge(one.address, "1.0")), "{metrics}");
    assert!(metrics.contains(&gauge(address, "0.0")), "{metrics}");

    process.update(&proxy(
        listen,
        &endpoints,
        "timeouts = { idle = \"1m\" }",
        &upstream,
    ));
    assert_eq!(heard(listen), "11111111");

    let two = Speaker::at(address, b'2');
    says(&process, HEALTHY, address);
    let both = heard(listen);
    assert!(both.contains("12") && !both.contains('.'), "{both}");
    assert_eq!(process.logged(UNHEALTHY).len(), 1);
    drop(two);
}

#[test]
fn when_nobody_is_healthy_everybody_is_tried() {
    let (one, two) = (free_address(), free_address());
    let listen = free_address();
    let upstream = "health = { interval = \"50ms\", unhealthy = 1, healthy = 1000 }";
    let process = Tidegate::start(&proxy(listen, &[one, two], "", upstream));
    says(&process, UNHEALTHY, one.min(two));
    assert_eq!(heard(listen), "........");
    let _speaker = Speaker::at(two, b'2');
    assert_eq!(heard(listen), "22222222");
}

#[test]
fn an_endpoint_that_keeps_failing_its_users_is_left_alone_across_an_update() {
    let one = Speaker::new(b'1');
    let dead = free_address();
    let listen = free_address();
    let endpoints = [dead, one.address];
    let admin = free_address();
    let admin_key = format!("[admin]\nlisten = \"{admin}\"");
    let eject = "ejection = { failures = 3, base = \"60s\" }";
    let text = proxy(listen, &endpoints, "", &format!("{eject}\n{admin_key}"));
    let process = Tidegate::start(&text);
    // Nobody is the worse for it: there is another try.
    assert_eq!(heard(listen), "11111111");
    let event = process.next("an endpoint keeps failing and is left alone for a while");
    assert_eq!(event["endpoint"], dead.to_string());
    let impatient = format!("{eject}\nretries = 0\n{admin_key}");
    process.update(&proxy(listen, &endpoints, "", &impatient));
    assert_eq!(heard(listen), "11111111");
    let metrics = metrics(admin);
    let gauge = format!(
        "tidegate_endpoint_ejected{{site=\"db\",upstream=\"app\",endpoint=\"{dead}\"}} 1.0"
    );
    assert!(metrics.contains(&gauge), "{metrics}");
}

fn metrics(admin: SocketAddr) -> String {
    let mut stream: TcpStream = connect(admin);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    assert_eq!(read(&mut stream, 12), b"HTTP/1.1 200");
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
