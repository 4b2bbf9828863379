//! What the tests have in common.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate_supervisor::{BoxError, Context, Service};
use tokio::runtime::{Builder, LocalOptions};

/// Runs a test on a runtime like a worker's, with its clock paused.
pub(crate) fn paused<F: Future>(test: F) -> F::Output {
    Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build_local(LocalOptions::default())
        .unwrap()
        .block_on(test)
}

pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// What happened, in order, told from anywhere.
#[derive(Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    pub(crate) fn note(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    pub(crate) fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, entry: &str) -> usize {
        self.entries().iter().filter(|it| *it == entry).count()
    }

    pub(crate) fn position(&self, entry: &str) -> usize {
        let entries = self.entries();
        entries
            .iter()
            .position(|it| it == entry)
            .unwrap_or_else(|| panic!("{entry} is not in {entries:?}"))
    }

    /// Whether `first` came before `second`.
    pub(crate) fn in_order(&self, first: &str, second: &str) -> bool {
        self.position(first) < self.position(second)
    }
}

/// A service that runs until it is to drain, and tells of it.
pub(crate) fn patient(name: &'static str, diary: &Diary) -> Service {
    let (run, shutdown, cleanup) = (diary.clone(), diary.clone(), diary.clone());
    Service::new(name, move |context: Context| {
        let diary = run.clone();
        async move {
            diary.note(format!("{name} runs"));
            context.drain().cancelled().await;
            diary.note(format!("{name} ends"));
        }
    })
    .on_shutdown(move |_| {
        let diary = shutdown.clone();
        async move { diary.note(format!("{name} shuts down")) }
    })
    .on_cleanup(move |_| {
        let diary = cleanup.clone();
        async move { diary.note(format!("{name} cleans up")) }
    })
}

/// A service that fails at once.
pub(crate) fn failing(name: impl Into<Arc<str>>, message: &'static str) -> Service {
    Service::new(
        name,
        move |_| async move { Err::<(), BoxError>(message.into()) },
    )
}

/// Panics, as a function that could have returned.
pub(crate) fn fail(message: &str) {
    panic!("{message}");
}

/// A service that does nothing.
pub(crate) fn instant(name: impl Into<Arc<str>>) -> Service {
    Service::new(name, |_| async {})
}

/// A service that never ends, whatever it is told.
pub(crate) fn stubborn(name: impl Into<Arc<str>>) -> Service {
    Service::new(name, |_| std::future::pending::<()>())
}
