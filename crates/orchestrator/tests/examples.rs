//! The examples run, and show what they say they show.

const PACKAGE: &str = env!("CARGO_PKG_NAME");

#[test]
fn echo_hands_its_count_over_and_lets_old_connections_finish() {
    assert_eq!(
        run_example::lines_of(PACKAGE, "echo"),
        [
            "hello 1: one",
            "hello 2: two, by the old chain",
            "bye",
            "servus 3: three, by the new one",
            "0 connections dropped",
        ]
    );
}

#[test]
fn deploy_replaces_one_of_two_servers_without_closing_its_port() {
    let lines = run_example::lines_of(PACKAGE, "deploy");
    let greeted = |site: &str, greeting: &str| {
        let mut lines = lines.iter().filter(|line| line.starts_with(site));
        let line = lines.find(|line| line.ends_with(greeting));
        let address = line.and_then(|line| line.split_whitespace().nth(2));
        address.unwrap_or_else(|| panic!("{site} {greeting}: {lines:?}"))
    };
    let before = greeted("hello at ", "hello (after 0)");
    assert_eq!(before, greeted("hello at ", "hello again (after 1)"));
    greeted("servus at ", "servus (after 0)");
    assert!(
        lines.iter().any(|line| line == "connections dropped: 0"),
        "{lines:?}"
    );
}
