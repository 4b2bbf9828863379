//! What is read from IDL files, and where their mistakes are said to be.

use std::collections::BTreeMap;

use tidegate_thrift::codec::{IDL_FILE_BYTES_MAX, IDL_FILES_MAX, Idl, IdlError, Schema};

fn load(files: &[(&str, &str)]) -> Result<Idl, IdlError> {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    Idl::load("main.thrift", &mut |name| {
        let text = files.get(name).copied();
        text.map(str::to_owned)
            .ok_or_else(|| "no such file".to_owned())
    })
}

fn alone(text: &str) -> [(&str, &str); 1] {
    [("main.thrift", text)]
}

fn compile(files: &[(&str, &str)]) -> Result<Schema, IdlError> {
    load(files)?.compile("S")
}

#[track_caller]
fn refused(files: &[(&str, &str)], place: &str, message: &str) {
    let error = compile(files).unwrap_err().to_string();
    assert!(error.starts_with(place), "{error:?} is at {place:?}");
    assert!(error.contains(message), "{error:?} says {message:?}");
}

#[test]
fn everything_a_file_may_declare_is_understood() {
    let schema = compile(&[
        (
            "main.thrift",
            r#"
            // A comment with struct Nothing {
            namespace py main
            include "types/base.thrift"
            cpp_include "nothing.h"
            typedef list<base.User> Users (go.tag = "x")
            const i32 LIMIT = 0x10
            service S extends base.Base {
                Users find(1: string name, 2: i32 limit = LIMIT, 3: optional base.Level level)
                    throws (1: base.Missing missing),
                oneway void forget(1: base.User who);
                /* returns nothing */ void touch()
            }
            "#,
        ),
        (
            "types/base.thrift",
            r#"
            include "./deeper/../kinds.thrift"
            enum Level { LOW, HIGH = 7, HIGHER }
            union Either { 1: i32 number, 2: string text }
            struct User { 1: required string name, 2: kinds.Id id, 3: list<User> friends, 4: Either either }
            exception Missing { 1: string name }
            service Base { string version() }
            "#,
        ),
        ("types/kinds.thrift", "typedef uuid Id"),
    ])
    .unwrap();
    let names: Vec<&str> = schema.methods().map(|it| &**it.name()).collect();
    assert_eq!(names, ["find", "forget", "touch", "version"]);
    assert!(schema.method("forget").unwrap().is_one_way());
    assert!(!schema.method("touch").unwrap().is_one_way());
    assert_eq!(schema.exceptions().collect::<Vec<_>>(), ["Missing"]);
}

#[test]
fn what_only_reads_otherwise_is_the_same() {
    let text = "struct A { 1: i32 a } service S { A get(1: A a) }";
    let other =
        "# a comment\nservice S{A get(1:A a);}\nstruct A{1:i32 a;}\nstruct Unused { 1: i32 x }";
    let of = |text| compile(&[("main.thrift", text)]).unwrap();
    assert_eq!(of(text), of(other));
    assert_ne!(of(text), of(&text.replace("i32", "i64")));
}

#[test]
fn mistakes_are_said_to_be_where_they_are() {
    let cases = [
        (
            "service S {\n  i32 get(1: strin name)\n}",
            "main.thrift:2:7: ",
            "the type `strin`",
        ),
        (
            "struct A {\n  1: i32 a\n  2: B b\n}\nservice S { A get() }",
            "main.thrift:3:8: ",
            "the type `B`",
        ),
        (
            "service S {\n  i32 get(1: other.A name)\n}",
            "main.thrift:2:7: ",
            "`other.A`",
        ),
        (
            "struct A { 1: i32 a, 1: i32 b }\nservice S { A get() }",
            "main.thrift:1:8: ",
            "both number 1",
        ),
        (
            "struct A { 1: i32 a, 2: i32 a }\nservice S { A get() }",
            "main.thrift:1:8: ",
            "one name",
        ),
        (
            "struct A {}\nstruct A {}\nservice S {}",
            "main.thrift:1:8: ",
            "declared twice",
        ),
        (
            "service S { void a(), void a() }",
            "main.thrift:1:18: ",
            "declared twice",
        ),
        (
            "service S extends T {}",
            "main.thrift:1:9: ",
            "the service `T`",
        ),
        ("service S extends S {}", "main.thrift:1:9: ", "without end"),
        (
            "service S { oneway i32 a() }",
            "main.thrift:1:24: ",
            "one-way",
        ),
        (
            "service S { void a() throws (1: i32 e) }",
            "main.thrift:1:18: ",
            "not an exception",
        ),
        (
            "service S { void a(1: void b) }",
            "main.thrift:1:18: ",
            "`void`",
        ),
        (
            "typedef B A\ntypedef A B\nservice S { A get() }",
            "main.thrift:3:15: ",
            "by itself",
        ),
        (
            "service S { i32 get(1: S s) }",
            "main.thrift:1:17: ",
            "not a type",
        ),
        (
            "enum E { A = 5000000000 }\nservice S { E get() }",
            "main.thrift:1:10: ",
            "does not fit",
        ),
        (
            "service S {\n  void a(1: i32 b = \"c\")\n}",
            "main.thrift:2:8: ",
            "no i32",
        ),
        (
            "service S { void a(1: i8 b = 300) }",
            "main.thrift:1:18: ",
            "does not fit into an i8",
        ),
        (
            "service S { void a(1: i32 b = NONE) }",
            "main.thrift:1:18: ",
            "the constant `NONE`",
        ),
        (
            "const i32 A = B\nconst i32 B = A\nservice S { void a(1: i32 b = A) }",
            "main.thrift:3:18: ",
            "by itself",
        ),
        (
            "struct P { 1: required i32 x }\nstruct A {\n 1: P p = {}\n}\nservice S { A a() }",
            "main.thrift:3:7: ",
            "has no `x`",
        ),
        (
            "struct A { 1: i32 a\nservice S {}",
            "main.thrift:",
            "cannot be parsed",
        ),
        (
            "service S {\n  void get(1: i32)\n}",
            "main.thrift:2:",
            "cannot be parsed",
        ),
        ("struct T {}", "main.thrift: ", "there is no service `S`"),
    ];
    for (text, place, message) in cases {
        refused(&alone(text), place, message);
    }
}

#[test]
fn an_included_file_is_blamed_for_its_own_mistakes() {
    let main = "include \"base.thrift\"\nservice S { base.A get() }";
    let files = [
        ("main.thrift", main),
        ("base.thrift", "\nstruct A { 1: B b }"),
    ];
    refused(&files, "base.thrift:2:17: ", "the type `B`");
    let files = [("main.thrift", main), ("base.thrift", "struct A {")];
    refused(&files, "base.thrift:1:", "cannot be parsed");
    refused(
        &[("main.thrift", main)],
        "main.thrift:1:9: ",
        "no such file",
    );
}

#[test]
fn no_file_outside_the_directory_is_read() {
    for path in ["../secret.thrift", "/etc/passwd", "a/../../b.thrift", ""] {
        let text = format!("include \"{path}\"\nservice S {{}}");
        let mut asked = Vec::new();
        let error = Idl::load("main.thrift", &mut |name| {
            asked.push(name.to_owned());
            Ok(text.clone())
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("not within the directory"), "{error}");
        assert_eq!(asked, ["main.thrift"]);
    }
}

#[test]
fn files_that_include_each_other_are_read_once() {
    let schema = compile(&[
        (
            "main.thrift",
            "include \"b.thrift\"\nstruct A { 1: b.B b }\nservice S { A get() }",
        ),
        (
            "b.thrift",
            "include \"main.thrift\"\nstruct B { 1: optional main.A a }",
        ),
    ]);
    assert!(schema.is_ok(), "{schema:?}");
}

#[test]
fn an_idl_has_its_limits() {
    let mut count = 0;
    let error = Idl::load("0.thrift", &mut |_| {
        count += 1;
        Ok(format!("include \"{count}.thrift\""))
    });
    assert!(error.unwrap_err().message.contains("files"));
    assert_eq!(count, IDL_FILES_MAX);
    let large = "/".repeat(IDL_FILE_BYTES_MAX + 1);
    assert!(load(&[("main.thrift", &large)]).is_err());
    let deep = format!("typedef {}i32{} A", "list<".repeat(2000), ">".repeat(2000));
    let error = load(&[("main.thrift", &deep)]).unwrap_err();
    assert!(error.message.contains("deep"), "{error}");
}

#[test]
fn what_doubles_with_every_line_is_refused() {
    let mut types = "typedef i32 T0\n".to_owned();
    let mut constants = "typedef list<i32> L0\nconst L0 C0 = [1]\n".to_owned();
    for at in 1..30 {
        let before = at - 1;
        types += &format!("typedef map<T{before}, T{before}> T{at}\n");
        constants += &format!("typedef list<L{before}> L{at}\n");
        constants += &format!("const L{at} C{at} = [C{before}, C{before}]\n");
    }
    types += "service S { T29 get() }";
    constants += "service S { void get(1: L29 a = C29) }";
    refused(&alone(&types), "main.thrift:", "more than 100000 types");
    refused(
        &alone(&constants),
        "main.thrift:61:18: ",
        "more than 65536 bytes",
    );
    let itself = "typedef list<B> A\ntypedef set<A> B\nservice S { A get() }";
    refused(&alone(itself), "main.thrift:", "more than 64 deep");
}

#[test]
fn no_text_is_the_end_of_the_process() {
    for text in [
        "",
        "\u{feff}",
        "\0",
        "struct \u{fc} {",
        "const string A = \"\\",
        "/*",
        "service S { void f( }",
    ] {
        let _ = load(&[("main.thrift", text)]).map(|idl| idl.compile("S"));
    }
}
