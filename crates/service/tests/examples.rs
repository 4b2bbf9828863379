//! The example runs, prints its lines, and shows that state survives.

const PRINTED: [&str; 8] = [
    "SvcB called! 0->1",
    "SvcA called! pass_flag = false, not_pass_flag = false",
    "SvcB called! 1->3",
    "SvcA called! pass_flag = false, not_pass_flag = false",
    "SvcB called! 3->6",
    "SvcA called! pass_flag = false, not_pass_flag = false",
    "SvcB called! 6->10",
    "SvcA called! pass_flag = false, not_pass_flag = true",
];

#[test]
fn the_example_prints_its_lines_and_keeps_its_counter() {
    let printed = run_example::lines_of(env!("CARGO_PKG_NAME"), "state_survives_an_update");
    assert_eq!(printed, PRINTED);
}
