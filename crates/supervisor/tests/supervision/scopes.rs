//! What a context offers, and for how long.

use tidegate_supervisor::{Context, Orchestrator, Service};

use crate::rig::{paused, seconds};

#[test]
fn nearest_shutdown_scope_wins() {
    paused(async {
        let service = Service::new("one", |context: Context| async move {
            let request = context.child_scope();
            let inner = request.child_scope();
            let sibling = context.child_scope();
            request.shutdown().cancel();
            assert!(inner.shutdown().is_cancelled());
            assert!(!sibling.shutdown().is_cancelled());
            assert!(!context.shutdown().is_cancelled());
            context.shutdown().cancel();
            assert!(sibling.shutdown().is_cancelled());
        });
        let handle = service.into_handle();
        handle.start().unwrap();
        let report = handle.wait().await.unwrap();
        assert!(report.is_clean(), "{report}");
    });
}

#[test]
fn base_scope_survives_request() {
    paused(async {
        let all = Orchestrator::builder("all").build();
        let service = Service::new("one", |context: Context| {
            async move {
                let request = context.child_scope();
                let base = request.base();
                request.shutdown().cancel();
                assert!(!base.shutdown().is_cancelled());
                context.drain().cancelled().await;
                // Even the service's own end does not end it.
                assert!(!base.shutdown().is_cancelled());
                base
            }
            .then_forget()
        });
        let handle = all.add(service).unwrap().unwrap();
        all.start().unwrap();
        handle.ready().await.unwrap();
        tokio::time::sleep(seconds(1)).await;
        all.close("now");
        let report = all.wait().await.unwrap();
        assert!(report.is_clean(), "{report}");
    });
}

trait ThenForget: Future + Sized {
    /// The same without its output.
    fn then_forget(self) -> impl Future<Output = ()> {
        async {
            self.await;
        }
    }
}

impl<F: Future> ThenForget for F {}

#[test]
fn values_are_layered_and_the_nearest_wins() {
    paused(async {
        let all = Orchestrator::builder("all")
            .with("outermost")
            .with(7_u32)
            .build();
        let service = Service::new("one", |context: Context| async move {
            assert_eq!(context.get::<&str>().as_deref(), Some(&"outermost"));
            let nearer = context.with("nearer");
            assert_eq!(nearer.get::<&str>().as_deref(), Some(&"nearer"));
            assert_eq!(nearer.get::<u32>().as_deref(), Some(&7));
            assert_eq!(context.get::<&str>().as_deref(), Some(&"outermost"));
            assert!(context.get::<String>().is_none());
        });
        let handle = all.add(service).unwrap().unwrap();
        all.start().unwrap();
        let report = handle.wait().await.unwrap();
        assert!(report.is_clean(), "{report}");
        all.close("now");
        all.wait().await.unwrap();
    });
}

#[test]
fn values_of_the_orchestrator_above_are_seen_below() {
    paused(async {
        let (tell, told) = tokio::sync::oneshot::channel();
        let service = Service::once("one", |context: Context| async move {
            let text = context.get::<&str>().map(|it| *it);
            let number = context.get::<u32>().map(|it| *it);
            let seen = (text, number, context.get::<String>());
            tell.send(seen).unwrap();
        });
        let below = Orchestrator::builder("below").with("nearer").build();
        below.add(service).unwrap();
        let all = Orchestrator::builder("all")
            .with("outermost")
            .with(7_u32)
            .build();
        all.add(below.into_service()).unwrap();
        all.start().unwrap();
        let seen = tokio::time::timeout(seconds(10), told).await;
        assert_eq!(seen.unwrap().unwrap(), (Some("nearer"), Some(7), None));
        all.close("now");
        let report = all.wait().await.unwrap();
        assert!(report.is_clean(), "{report}");
    });
}
