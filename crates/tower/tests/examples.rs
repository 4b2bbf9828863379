//! The example runs, and shows what it says it shows.

#[test]
fn axum_router_is_replaced_under_its_client_and_counts_on() {
    assert_eq!(
        run_example::lines_of(env!("CARGO_PKG_NAME"), "axum_router"),
        [
            "[x-version: 1] Hello, Ada at 127.0.0.1; visit 1",
            "[x-version: 1] [connection: close] Hello, Ada at 127.0.0.1; visit 2",
            "[x-version: 2] Servus, Ada at 127.0.0.1; visit 3",
            "0 connections dropped",
        ]
    );
}
