//! All workers or none, and what the successor gets from its predecessor.

use std::time::Duration;

use tidegate_orchestrator::{ApplyError, CommandError, Phase, ServiceCommand};

use crate::rig::*;

#[tokio::test]
async fn an_update_is_made_from_what_it_replaces_on_every_worker() {
    let manager = manager();
    let first = apply(&manager, vec![deploy("web", echo("one"), any_port())]).await;
    let address = address(&manager, "web").await;
    assert_eq!(greeting(address).await, "one");

    let second = apply(&manager, vec![deploy("web", echo("two"), any_port())]).await;
    assert!(second.generation > first.generation);
    for _ in 0..20 {
        assert_eq!(greeting(address).await, "two after one");
    }
    let status = site(&manager, "web").await;
    let serving = status
        .connections
        .iter()
        .filter(|it| it.phase == Phase::Serving);
    let generations: Vec<_> = serving.map(|it| (it.worker, it.generation)).collect();
    let expected = [FIRST, SECOND].map(|worker| (worker, second.generation));
    assert_eq!(generations, expected, "one number on all workers");
    finish(manager).await;
}

#[tokio::test]
async fn one_failing_worker_of_two_aborts_everywhere() {
    let manager = manager();
    let first = apply(&manager, vec![deploy("web", echo("one"), any_port())]).await;
    let address = address(&manager, "web").await;
    for (mischief, hint) in [
        (Mischief::Fail, "bad key file"),
        (Mischief::Panic, "empty list of upstreams"),
    ] {
        let factory = echo("two").with(SECOND, mischief);
        let error = manager
            .apply(vec![deploy("web", factory, any_port())])
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("site `web` on worker 1"), "{text}");
        assert!(text.contains(hint), "{text}");

        let status = site(&manager, "web").await;
        assert_eq!(status.generation, Some(first.generation));
        assert!(
            status
                .connections
                .iter()
                .all(|it| it.generation == first.generation)
        );
        for _ in 0..20 {
            assert_eq!(greeting(address).await, "one");
        }
    }
    apply(&manager, vec![deploy("web", echo("three"), any_port())]).await;
    assert_eq!(greeting(address).await, "three after one");
    finish(manager).await;
}

#[tokio::test]
async fn a_worker_that_does_not_answer_rejects_and_is_free_afterwards() {
    let manager = manager_with(Duration::from_millis(300));
    apply(&manager, vec![deploy("web", echo("one"), any_port())]).await;
    let address = address(&manager, "web").await;
    let changes = vec![
        deploy("other", echo("other"), any_port()),
        deploy("web", echo("two").with(FIRST, Mischief::Hang), any_port()),
    ];
    let error = manager.apply(changes).await.unwrap_err();
    let expected = ApplyError::Rejected {
        site: "web".into(),
        worker: Some(FIRST),
        cause: CommandError::TimedOut(Duration::from_millis(300)),
    };
    assert_eq!(error, expected);
    assert_eq!(greeting(address).await, "one");
    assert_eq!(site(&manager, "other").await.generation, None);

    apply(&manager, vec![deploy("web", echo("three"), any_port())]).await;
    assert_eq!(greeting(address).await, "three after one");
    finish(manager).await;
}

#[tokio::test]
async fn the_time_to_answer_can_change_while_the_workers_run() {
    let manager = manager();
    apply(&manager, vec![deploy("web", echo("one"), any_port())]).await;
    let shorter = Duration::from_millis(200);
    manager.set_command_timeout(shorter);
    let hangs = deploy("web", echo("two").with(FIRST, Mischief::Hang), any_port());
    let error = manager.apply(vec![hangs]).await.unwrap_err();
    let expected = ApplyError::Rejected {
        site: "web".into(),
        worker: Some(FIRST),
        cause: CommandError::TimedOut(shorter),
    };
    assert_eq!(error, expected);
    finish(manager).await;
}

#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_nothing_staged() {
    let manager = manager();
    apply(&manager, vec![deploy("web", echo("one"), any_port())]).await;
    let free = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap()
    };
    let new = echo("new").with(SECOND, Mischief::Hang);
    let begun = std::sync::Arc::clone(&new.begun);
    let hanging = manager.apply(vec![
        deploy("web", echo("two"), any_port()),
        deploy("new", new, listen(&[&free.to_string()])),
    ]);
    tokio::select! {
        _ = hanging => panic!("the worker hangs"),
        () = eventually("both workers are at it", async || {
            begun.load(std::sync::atomic::Ordering::SeqCst) == 2
        }) => {}
    }
    eventually("the new address is closed again", async || {
        is_refused(free).await
    })
    .await;
    apply(&manager, vec![deploy("web", echo("three"), any_port())]).await;
    let address = address(&manager, "web").await;
    assert_eq!(greeting(address).await, "three after one");
    finish(manager).await;
}

#[tokio::test]
async fn a_transaction_is_checked_before_anything_is_done() {
    let manager = manager();
    let twice = vec![deploy("web", echo("one"), any_port()), remove("web")];
    let error = manager.apply(twice).await.unwrap_err();
    assert_eq!(error, ApplyError::ChangedTwice { site: "web".into() });
    let error = manager.apply(vec![remove("nobody")]).await.unwrap_err();
    assert!(error.to_string().contains("not deployed"), "{error}");
    finish(manager).await;

    let idle = Manager::new(tidegate_orchestrator::RuntimeConfig::default());
    assert_eq!(idle.apply(Vec::new()).await, Err(ApplyError::NotRunning));
}

async fn dispatch(
    manager: &Manager,
    command: ServiceCommand<EchoFactory, tidegate_runtime::listener::ListenerBuilder>,
) -> Result<(), CommandError> {
    let outcome = manager.dispatch_service_command(command).await;
    assert_eq!(outcome.outcomes().len(), 2, "every worker has its say");
    outcome.err().map_err(|error| error.cause)
}

#[tokio::test]
async fn staging_and_deploying_are_two_steps_with_their_own_errors() {
    use ServiceCommand::{Abort, Commit, Precommit, Update};
    let manager = manager();
    let stage = |name| Precommit("web".into(), echo(name), any_port());

    let missing = dispatch(&manager, Commit("web".into())).await;
    assert_eq!(missing, Err(CommandError::NotStaged));
    assert_eq!(dispatch(&manager, stage("one")).await, Ok(()));
    let premature = dispatch(&manager, Update("web".into())).await;
    assert_eq!(premature, Err(CommandError::NotDeployed));
    assert_eq!(dispatch(&manager, Commit("web".into())).await, Ok(()));
    let address = address(&manager, "web").await;
    assert_eq!(greeting(address).await, "one");

    assert_eq!(dispatch(&manager, stage("two")).await, Ok(()));
    let wrong = dispatch(&manager, Commit("web".into())).await;
    assert_eq!(wrong, Err(CommandError::AlreadyDeployed));
    assert_eq!(greeting(address).await, "one", "staged is not deployed");
    assert_eq!(dispatch(&manager, Update("web".into())).await, Ok(()));
    assert_eq!(greeting(address).await, "two after one");

    assert_eq!(dispatch(&manager, stage("three")).await, Ok(()));
    assert_eq!(dispatch(&manager, Abort("web".into())).await, Ok(()));
    let aborted = dispatch(&manager, Update("web".into())).await;
    assert_eq!(aborted, Err(CommandError::NotStaged));
    assert_eq!(greeting(address).await, "two after one");
    finish(manager).await;
}

#[tokio::test]
async fn single_stage_hands_nothing_over_and_is_all_or_nothing_too() {
    use ServiceCommand::{PrepareAndCommit, Remove};
    let manager = manager();
    let put = |factory| PrepareAndCommit("web".into(), factory, any_port());
    assert_eq!(dispatch(&manager, put(echo("one"))).await, Ok(()));
    let address = address(&manager, "web").await;
    assert_eq!(dispatch(&manager, put(echo("two"))).await, Ok(()));
    assert_eq!(greeting(address).await, "two");

    let failing = echo("three").with(FIRST, Mischief::Fail);
    let failed = dispatch(&manager, put(failing)).await;
    assert!(matches!(failed, Err(CommandError::Build(_))), "{failed:?}");
    for _ in 0..20 {
        assert_eq!(greeting(address).await, "two");
    }
    assert_eq!(dispatch(&manager, Remove("web".into())).await, Ok(()));
    assert!(is_refused(address).await);
    finish(manager).await;
}

#[tokio::test]
async fn a_transaction_drops_what_single_commands_have_staged() {
    use ServiceCommand::{Precommit, PrepareAndCommit, Update};
    let manager = manager();
    let web = || "web".into();
    let first = PrepareAndCommit(web(), echo("one"), any_port());
    assert_eq!(dispatch(&manager, first).await, Ok(()));
    let second = Precommit(web(), echo("two"), any_port());
    assert_eq!(dispatch(&manager, second).await, Ok(()));
    apply(&manager, vec![deploy("web", echo("three"), any_port())]).await;
    let late = dispatch(&manager, Update(web())).await;
    assert_eq!(late, Err(CommandError::NotStaged));
    let address = address(&manager, "web").await;
    assert_eq!(greeting(address).await, "three after one");
    finish(manager).await;
}
