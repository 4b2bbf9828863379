//! The example runs, and shows what it says it shows.

#[test]
fn supervised_starts_the_failed_service_anew_and_stops_in_reverse() {
    let lines = run_example::lines_of(env!("CARGO_PKG_NAME"), "supervised");
    let at = |wanted: &str| {
        let found = lines.iter().position(|line| line == wanted);
        found.unwrap_or_else(|| panic!("{wanted:?} is not among {lines:?}"))
    };
    let answered = at("web: the last request is answered");
    assert!(at("web: serving") < answered);
    // Each attempt cleans up: that of the stop is the last.
    let closed = lines.iter().rposition(|line| line == "store: closed");
    assert!(closed > Some(answered), "{lines:?}");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("store: ") && line.ends_with(" after 2 starts"))
    );
}
