//! Programs of others: real ones, on the real clock.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_supervisor::ServiceHandle;
use tidegate_supervisor::command::{CommandPolicy, CommandSpec, command};
use tokio::runtime::{Builder, LocalOptions};

use crate::rig::{Diary, millis, seconds};

fn run<F: Future>(test: F) -> F::Output {
    Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .unwrap()
        .block_on(test)
}

/// A shell script as a service, whose lines are noted.
fn shell(script: &str, stop_timeout: Duration, diary: &Diary) -> ServiceHandle {
    let spec = CommandSpec {
        program: "sh".into(),
        arguments: vec![OsString::from("-c"), script.into()],
        ..CommandSpec::default()
    };
    let diary = diary.clone();
    let lines = Arc::new(move |_, line: &str| diary.note(line));
    let handle = command("sh", spec, CommandPolicy { stop_timeout }, lines).into_handle();
    handle.start().unwrap();
    handle
}

/// Waits for the script to say something.
async fn said(diary: &Diary, line: &str) {
    let deadline = Instant::now() + seconds(10);
    while diary.count(line) == 0 {
        assert!(Instant::now() < deadline, "{:?}", diary.entries());
        tokio::time::sleep(millis(5)).await;
    }
}

#[test]
fn cmd_term_then_kill() {
    run(async {
        let diary = Diary::default();
        let script = "trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done";
        let handle = shell(script, millis(400), &diary);
        said(&diary, "up").await;
        let begun = Instant::now();
        handle.close("now");
        let report = handle.wait().await.unwrap();
        assert!(report.is_clean(), "{report}");
        assert_eq!(diary.count("asked"), 1);
        assert!(begun.elapsed() >= millis(400), "{:?}", begun.elapsed());
    });
}

#[test]
fn cmd_prompt_exit_no_full_wait() {
    run(async {
        let diary = Diary::default();
        let script = "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done";
        let handle = shell(script, seconds(60), &diary);
        said(&diary, "up").await;
        let begun = Instant::now();
        handle.close("now");
        assert!(handle.wait().await.unwrap().is_clean());
        assert!(begun.elapsed() < seconds(10), "{:?}", begun.elapsed());
    });
}

#[test]
fn cmd_kills_process_group() {
    run(async {
        let diary = Diary::default();
        // A grandchild that does not listen to TERM.
        let script = "sh -c 'trap \"\" TERM; echo $$; exec sleep 600' & echo up; wait";
        let handle = shell(script, millis(300), &diary);
        said(&diary, "up").await;
        let pid = loop {
            let entries = diary.entries();
            if let Some(pid) = entries.iter().find_map(|it| it.parse::<u32>().ok()) {
                break pid;
            }
            tokio::time::sleep(millis(5)).await;
        };
        handle.close("now");
        handle.wait().await.unwrap();
        let deadline = Instant::now() + seconds(10);
        let alive = || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            // A zombie that waits for init has ended as well.
            status.is_ok_and(|it| !it.contains(") Z"))
        };
        while Path::new(&format!("/proc/{pid}")).exists() && alive() {
            assert!(Instant::now() < deadline, "the grandchild lives on");
            tokio::time::sleep(millis(5)).await;
        }
    });
}

#[test]
fn cmd_stop_signal_is_ok() {
    run(async {
        let diary = Diary::default();
        let handle = shell("echo up; exec sleep 600", seconds(10), &diary);
        said(&diary, "up").await;
        handle.close("now");
        let report = handle.wait().await.unwrap();
        assert!(report.is_clean(), "{report}");
    });
}

#[test]
fn a_program_that_fails_says_how() {
    run(async {
        let diary = Diary::default();
        let handle = shell("echo one; printf two; exit 7", seconds(10), &diary);
        let report = handle.wait().await.unwrap();
        assert!(report.to_string().contains("exit status: 7"), "{report}");
        assert_eq!(diary.count("one"), 1);
        let missing = CommandSpec {
            program: "/no/such/program".into(),
            ..CommandSpec::default()
        };
        let policy = CommandPolicy::default();
        let handle = command("missing", missing, policy, Arc::new(|_, _| {})).into_handle();
        handle.start().unwrap();
        let told = handle.wait().await.unwrap().to_string();
        assert!(told.contains("/no/such/program"), "{told}");
    });
}

#[test]
fn the_last_words_of_a_program_are_heard() {
    run(async {
        // More than a pipe takes in one go, and the end of it just before the program's own.
        let script = "i=0; while [ $i -lt 3000 ]; do echo \"line $i\"; i=$((i + 1)); done; \
                      echo why >&2; printf 'the end'; exit 3";
        for _ in 0..20 {
            let diary = Diary::default();
            let handle = shell(script, seconds(10), &diary);
            handle.wait().await.unwrap();
            assert_eq!(diary.count("line 2999"), 1);
            assert_eq!(diary.count("why"), 1);
            assert_eq!(diary.count("the end"), 1);
        }
    });
}

#[test]
fn a_descendant_that_left_the_group_holds_nothing_up() {
    run(async {
        let diary = Diary::default();
        // It has the pipes, and no signal to the group reaches it.
        let script = "setsid sh -c 'echo $$; exec sleep 60' & sleep 0.2; exit 0";
        let begun = Instant::now();
        let handle = shell(script, seconds(10), &diary);
        assert!(handle.wait().await.unwrap().is_clean());
        let took = begun.elapsed();
        let entries = diary.entries();
        let gone = std::process::Command::new("kill").args(&entries).status();
        assert!(gone.unwrap().success(), "{entries:?}");
        assert!(took < seconds(10), "{took:?}");
    });
}
