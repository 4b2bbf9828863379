//! An echo protocol of one's own: its codec, the service of its connections, the factory that
//! hands state over, and an update while a client is connected.
//!
//! `cargo run -p tidegate-orchestrator --example echo`: the clients are in the program, too.

// ANCHOR: imports
use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tidegate_orchestrator::{Change, RuntimeConfig, WorkerManager};
use tidegate_runtime::connections::Accepted;
use tidegate_runtime::deadline::Deadline;
use tidegate_runtime::listener::ListenerBuilder;
use tidegate_service::{MakeService, Service};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
// ANCHOR_END: imports
// ANCHOR: codec
const LINE_BYTES_MAX: usize = 1024;

/// The codec: lines out of bytes. It knows no socket, so it can be tested without one.
#[derive(Default)]
struct LineDecoder {
    unread: BytesMut,
}

struct LineTooLong;

impl LineDecoder {
    /// The next line, with its end; `None` until more has been read.
    fn next_line(&mut self) -> Result<Option<BytesMut>, LineTooLong> {
        match self.unread.iter().position(|&byte| byte == b'\n') {
            Some(end) if end <= LINE_BYTES_MAX => Ok(Some(self.unread.split_to(end + 1))),
            None if self.unread.len() <= LINE_BYTES_MAX => Ok(None),
            _ => Err(LineTooLong),
        }
    }
}
// ANCHOR_END: codec
// ANCHOR: service
/// How long a client may neither send a line nor take one.
const STALL_MAX: Duration = Duration::from_secs(60);

/// The service: one call is one connection, from its first byte to its last.
struct Echo {
    greeting: String,
    /// How many lines this worker has echoed: what is handed over.
    echoed: Rc<Cell<u64>>,
}

impl Service<Accepted> for Echo {
    type Response = ();
    type Error = io::Error;

    async fn call(&self, accepted: Accepted) -> io::Result<()> {
        let Accepted { mut io, handle, .. } = accepted;
        let mut decoder = LineDecoder::default();
        let stall = Deadline::new();
        let last_word = loop {
            stall.arm(STALL_MAX);
            match decoder.next_line() {
                Ok(Some(line)) => {
                    stall.run(io.write_all(&self.answer(&line))).await??;
                    // Replaced meanwhile: the client is told to come back, to the newer chain.
                    if handle.is_draining() {
                        break "bye\n";
                    }
                    continue;
                }
                Ok(None) => {}
                Err(LineTooLong) => break "too long\n",
            }
            handle.mark_idle();
            tokio::select! {
                count = stall.run(io.read_buf(&mut decoder.unread)) => if count?? == 0 {
                    return Ok(());
                },
                // It idles, and its time to leave is over or its place is needed.
                () = handle.leaving() => break "bye\n",
            }
            handle.mark_busy();
        };
        stall.run(io.write_all(last_word.as_bytes())).await?
    }
}

impl Echo {
    fn answer(&self, line: &[u8]) -> Vec<u8> {
        self.echoed.set(self.echoed.get() + 1);
        let head = format!("{} {}: ", self.greeting, self.echoed.get());
        [head.as_bytes(), line].concat()
    }
}
// ANCHOR_END: service
// ANCHOR: factory
/// The factory: sent to every worker, where it makes the worker's own service.
#[derive(Clone)]
struct EchoFactory {
    greeting: String,
}

impl MakeService for EchoFactory {
    type Service = Echo;
    type Error = Infallible;

    fn make_via_ref(&self, old: Option<&Echo>) -> Result<Echo, Infallible> {
        Ok(Echo {
            greeting: self.greeting.clone(),
            // Shared, not copied: `old` goes on echoing to those who are connected to it.
            echoed: old.map_or_else(Rc::default, |old| Rc::clone(&old.echoed)),
        })
    }
}
// ANCHOR_END: factory
// ANCHOR: run
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut manager = WorkerManager::new(RuntimeConfig::of_workers(1));
    manager.spawn_workers_async();
    let listeners = ListenerBuilder::try_from("127.0.0.1:0")?;
    let deploy = |greeting: &str| {
        let greeting = greeting.to_owned();
        Change::deploy("echo", EchoFactory { greeting }, listeners.clone())
    };

    manager.apply(vec![deploy("hello")]).await?;
    let address = manager.local_addresses("echo")[0].tcp().ok_or("not TCP")?;
    let mut early = BufReader::new(TcpStream::connect(address).await?);
    ask(&mut early, "one\n").await?;

    manager.apply(vec![deploy("servus")]).await?;
    ask(&mut early, "two, by the old chain\n").await?;
    ask(&mut early, "").await?;
    let mut late = BufReader::new(TcpStream::connect(address).await?);
    ask(&mut late, "three, by the new one\n").await?;

    let report = manager.shutdown(Duration::from_secs(5)).await;
    println!("{} connections dropped", report.connections_dropped);
    Ok(())
}

/// Sends `line` and prints what comes back.
async fn ask(client: &mut BufReader<TcpStream>, line: &str) -> io::Result<()> {
    client.write_all(line.as_bytes()).await?;
    let mut answer = String::new();
    client.read_line(&mut answer).await?;
    print!("{answer}");
    Ok(())
}
// ANCHOR_END: run
