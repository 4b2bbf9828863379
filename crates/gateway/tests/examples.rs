//! The example runs, and shows what it says it shows.

#[test]
fn gateway_takes_turns_answers_itself_and_keeps_its_connections_over_an_update() {
    assert_eq!(
        run_example::lines_of(env!("CARGO_PKG_NAME"), "gateway"),
        [
            "/api/users: first has /api/users",
            "/api/users: second has /api/users",
            "/news: nothing here",
            "/api/users: first has /api/users",
            "/news: an update",
            "first: 1 connections",
            "second: 1 connections",
        ]
    );
}
