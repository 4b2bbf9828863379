//! The real binary, started once for all tests and stopped when they have ended.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const START_DEADLINE: Duration = Duration::from_secs(20);

/// Runs the binary until its own standard input ends: with the process of the tests,
/// however that ends.
const KEEPER: &str = r#""$@" </dev/null & read -r _; kill -TERM $!; wait"#;

/// Where the brokers of the process listen.
#[derive(Debug)]
pub(crate) struct Broker {
    /// As it comes, but for what tests would have to wait long for.
    pub(crate) plain: SocketAddr,
    /// With limits that a test can reach.
    pub(crate) tight: SocketAddr,
    /// Holds the end of the pipe by which the process learns that it is to stop.
    _keeper: Child,
}

/// The broker that all tests share.
pub(crate) fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(Broker::start)
}

impl Broker {
    fn start() -> Self {
        let (plain, tight) = (free_address(), free_address());
        let keeper = start("brokers", &configuration(plain, tight), &[plain, tight]);
        Self {
            plain,
            tight,
            _keeper: keeper,
        }
    }
}

/// Starts the binary with a configuration, waits until it listens at all `addresses`, and
/// has it stopped when this process ends. `name` is that of its folder.
pub(crate) fn start(name: &str, configuration: &str, addresses: &[SocketAddr]) -> Child {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("conformance")
        .join(name);
    std::fs::create_dir_all(&directory).unwrap();
    let (config, log) = (
        directory.join("tidegate.toml"),
        directory.join("tidegate.log"),
    );
    std::fs::write(&config, configuration).unwrap();
    crate::agreement::check(configuration, &directory);
    let keeper = Command::new("sh")
        .args(["-c", KEEPER, "sh", env!("CARGO_BIN_EXE_tidegate")])
        .args(["run", "--log", "info", "--config"])
        .arg(&config)
        .env("TMPDIR", &directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    for address in addresses {
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < START_DEADLINE, "see {}", log.display());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    keeper
}

fn configuration(plain: SocketAddr, tight: SocketAddr) -> String {
    format!(
        r#"
        [runtime]
        workers = 2

        [servers.plain]
        protocol = "mqtt"
        listen = ["{plain}"]
        drain = "1s"

        [servers.tight]
        protocol = "mqtt"
        listen = ["{tight}"]
        drain = "1s"
        [servers.tight.limits]
        packet_bytes = "1KiB"
        receive_maximum = 2
        subscriptions = 2
        retained_bytes = "64B"
        "#
    )
}

/// An address in 127.0.0.0/8 that belongs to this process, out of the way of the ports
/// that the kernel gives to clients.
pub(crate) fn free_address() -> SocketAddr {
    let host = Ipv4Addr::from_bits(0x7f02_0001 + std::process::id() % 0x00fd_0000);
    TcpListener::bind((host, 0)).unwrap().local_addr().unwrap()
}
