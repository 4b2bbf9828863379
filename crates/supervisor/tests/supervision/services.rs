//! The ready-made services.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream;
use tidegate_supervisor::services::{
    Broker, broker_service, group, operation, process_stream, server_service, wait_all,
};
use tidegate_supervisor::{BoxError, Context, Orchestrator, Strategy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::RecvError;

use crate::rig::{Diary, fail, failing, patient, paused, seconds};

#[test]
fn group_long_running_stays_up() {
    paused(async {
        let diary = Diary::default();
        let members = [patient("a", &diary), patient("b", &diary)];
        let handle = group("both", Strategy::OneForOne, members)
            .unwrap()
            .into_handle();
        handle.start().unwrap();
        tokio::time::sleep(seconds(3600)).await;
        assert!(handle.is_running());
        assert_eq!(diary.entries(), ["a runs", "b runs"]);
        handle.close("now");
        assert!(handle.wait().await.unwrap().is_clean());
        assert_eq!(diary.count("b cleans up"), 1);
    });
}

#[test]
fn group_aggregates_errors() {
    paused(async {
        let members = (0..10).map(|number| failing(format!("number {number}"), "no"));
        let service = group("many", Strategy::OneForOne, members).unwrap();
        let handle = service.into_handle();
        handle.start().unwrap();
        let report = handle.wait().await.unwrap();
        assert_eq!(report.errors.len(), 10);
        assert_eq!(&*report.errors[3].path, "many/number 3");
    });
}

#[test]
fn wait_all_panic_never_lost() {
    paused(async {
        let operations = [
            operation(|_| async { tokio::time::sleep(seconds(1)).await }),
            operation(|_| async { fail("the last word") }),
            operation(|_| async { Err::<(), BoxError>("no".into()) }),
        ];
        let handle = wait_all("all of it", operations).into_handle();
        handle.start().unwrap();
        let told = handle.wait().await.unwrap().to_string();
        assert!(
            told.contains("the last word") && told.contains(": no"),
            "{told}"
        );
    });
}

#[test]
fn process_stream_all_items() {
    paused(async {
        let done = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&done);
        let service = process_stream(
            "items",
            4,
            || stream::iter(0..100),
            move |item| {
                let done = Arc::clone(&counted);
                async move {
                    tokio::time::sleep(seconds(1)).await;
                    done.fetch_add(1, Ordering::Relaxed);
                    match item {
                        7 => Err::<(), BoxError>("unlucky".into()),
                        13 => panic!("unluckier"),
                        _ => Ok(()),
                    }
                }
            },
        );
        let begun = tokio::time::Instant::now();
        let handle = service.into_handle();
        handle.start().unwrap();
        let report = handle.wait().await.unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 100);
        assert_eq!(report.errors.len(), 2);
        assert_eq!(begun.elapsed().as_secs(), 25);
    });
}

/// Echoes one byte a connection, slowly; lets go of the listener when it is to drain.
async fn echo(listener: TcpListener, context: Context) -> Result<(), BoxError> {
    let mut answering = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            () = context.drain().cancelled() => break,
            accepted = listener.accept() => {
                let (mut stream, _) = accepted?;
                answering.spawn_local(async move {
                    let byte = stream.read_u8().await?;
                    // Until the stop has begun: the request is under way then.
                    tokio::time::sleep(seconds(2)).await;
                    stream.write_u8(byte + 1).await
                });
            }
        }
    }
    drop(listener);
    while let Some(answered) = answering.join_next().await {
        answered??;
    }
    Ok(())
}

#[test]
fn server_inflight_survives_drain() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default());
    runtime.unwrap().block_on(async {
        let address = Arc::new(std::sync::Mutex::new(None));
        let told = Arc::clone(&address);
        let bind = move || {
            let told = Arc::clone(&told);
            async move {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                *told.lock().unwrap() = Some(listener.local_addr()?);
                Ok(listener)
            }
        };
        let handle = server_service("echo", bind, echo).into_handle();
        handle.start().unwrap();
        handle.ready().await.unwrap();
        let address = address.lock().unwrap().unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_u8(41).await.unwrap();
        // The server has it when a second connection, made later, is accepted as well.
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_u8(1).await.unwrap();
        tokio::task::yield_now().await;
        while handle.is_running() {
            handle.close("now");
        }
        assert_eq!(stream.read_u8().await.unwrap(), 42);
        assert!(handle.wait().await.unwrap().unstopped.is_empty());
    });
}

#[test]
fn server_bind_error_fails_ready() {
    paused(async {
        let all = Orchestrator::builder("all").build();
        let bind = || async { Err::<TcpListener, BoxError>("the port is taken".into()) };
        let handle = all
            .add(server_service("echo", bind, echo))
            .unwrap()
            .unwrap();
        all.start().unwrap();
        assert!(handle.ready().await.is_err());
        let report = handle.wait().await.unwrap();
        assert!(report.errors[0].to_string().contains("port is taken"));
        all.close("now");
        all.wait().await.unwrap();
    });
}

#[test]
fn a_slow_subscriber_misses_the_oldest_and_is_told_how_many() {
    paused(async {
        let broker = Broker::new(4);
        assert_eq!(broker.publish(0), 0, "nobody listens yet");
        let mut slow = broker.subscribe().unwrap();
        let mut prompt = broker.subscribe().unwrap();
        for number in 1..=10 {
            assert_eq!(broker.publish(number), 2, "the slow one holds up nobody");
            assert_eq!(prompt.recv().await, Ok(number));
        }
        assert_eq!(slow.recv().await, Err(RecvError::Lagged(6)));
        assert_eq!(slow.recv().await, Ok(7));
    });
}

#[test]
fn subscribers_get_what_was_published_and_then_the_broker_s_end() {
    paused(async {
        let broker = Broker::new(4);
        let handle = broker_service("news", broker.clone()).into_handle();
        handle.start().unwrap();
        handle.ready().await.unwrap();
        let mut subscriber = broker.subscribe().unwrap();
        broker.publish("the last");
        handle.close("now");
        assert!(handle.wait().await.unwrap().is_clean());
        assert_eq!(subscriber.recv().await, Ok("the last"));
        assert_eq!(subscriber.recv().await, Err(RecvError::Closed));
        assert!(broker.subscribe().is_none());
        assert_eq!(broker.publish("too late"), 0);
    });
}
