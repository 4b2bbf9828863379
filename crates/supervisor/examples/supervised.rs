//! A program of three services: one fails now and then, one depends on it, one tells of it all.
//!
//! Run it with `cargo run -p tidegate-supervisor --example supervised`.

use std::time::Duration;

use tidegate_supervisor::{
    Backoff, BoxError, Budget, Context, Event, Orchestrator, Readiness, Restart, Service,
};
use tokio::runtime::{Builder, LocalOptions};

/// Opens slowly, and fails at its first attempt.
fn store() -> Service {
    Service::new("store", |context: Context| async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        context.notify_ready();
        if context.attempt() == 1 {
            return Err::<(), BoxError>("the disk hiccuped".into());
        }
        context.drain().cancelled().await;
        Ok(())
    })
    .readiness(Readiness::Explicit {
        within: Duration::from_secs(5),
    })
    .restart(Restart::OnFailure(Backoff::every(Duration::from_millis(
        20,
    ))))
    .on_cleanup(|_| async { println!("store: closed") })
}

/// Serves until it is to drain, and then finishes what it does.
fn web() -> Service {
    Service::new("web", |context: Context| async move {
        println!("web: serving");
        context.drain().cancelled().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        println!("web: the last request is answered");
    })
    .requires(["store"])
}

async fn program() -> Result<(), BoxError> {
    let all = Orchestrator::builder("program")
        .budget(Budget {
            total: Duration::from_secs(10),
            ..Budget::default()
        })
        .build();
    let mut events = all.handle().events();
    all.add(web())?;
    all.add(store())?;
    all.start()?;
    let handle = all.handle();
    let watcher = tokio::task::spawn_local(async move {
        while let Ok(Event { service, kind }) = events.recv().await {
            println!("{:>8}: {kind:?}", service.as_deref().unwrap_or("program"));
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    for status in handle.list() {
        println!(
            "{}: {} after {} starts",
            status.name, status.state, status.attempts
        );
    }
    all.close("the example is over");
    let report = all.wait().await?;
    println!("{report}");
    watcher.abort();
    Ok(())
}

fn main() -> Result<(), BoxError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(program())
}
