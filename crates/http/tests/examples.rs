//! The example runs, and shows what it says it shows.

#[test]
fn rate_limit_keeps_its_counts_when_the_limit_changes() {
    assert_eq!(
        run_example::lines_of(env!("CARGO_PKG_NAME"), "rate_limit"),
        [
            "at most 2 in a minute",
            "  HTTP/1.1 200 OK",
            "  HTTP/1.1 200 OK",
            "  HTTP/1.1 429 Too Many Requests",
            "at most 4 in a minute",
            "  HTTP/1.1 200 OK",
            "  HTTP/1.1 429 Too Many Requests",
            "  HTTP/1.1 429 Too Many Requests",
        ]
    );
}
