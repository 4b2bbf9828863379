//! The wrong route answers: hosts, precedence, conflicts, empty rests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tidegate_gateway::route::{
    PathPattern, PathPatternFault, ROUTE_PARAMS_MAX, RouteConflicts, RouteSpec, RouteTable,
};

fn spec<'a>(host: &str, path: &'a str) -> RouteSpec<&'a str> {
    let path_pattern = match path.strip_prefix('^') {
        Some(prefix) => PathPattern::prefix(prefix).unwrap(),
        None => PathPattern::parse(path).unwrap(),
    };
    RouteSpec {
        host: (!host.is_empty()).then(|| host.parse().unwrap()),
        path: path_pattern,
        target: path,
    }
}

fn table<'a>(specs: &[(&str, &'a str)]) -> Result<RouteTable<&'a str>, RouteConflicts> {
    RouteTable::build(specs.iter().map(|(host, path)| spec(host, path)).collect())
}

fn found(table: &RouteTable<&str>, host: &str, path: &str) -> Option<usize> {
    table.find(host, path).map(|found| found.route)
}

#[test]
fn the_most_specific_host_wins_and_a_miss_falls_through() {
    let table = table(&[
        ("", "/{*any}"),
        ("*.example.com", "/wide"),
        ("*.b.example.com", "/wide"),
        ("a.b.example.com", "/exact"),
    ])
    .unwrap();
    for (host, path, route) in [
        ("a.b.example.com", "/exact", 3),
        ("A.B.Example.Com.:8443", "/exact", 3),
        ("a.b.example.com", "/wide", 2),
        ("x.y.b.example.com", "/wide", 2),
        ("b.example.com", "/wide", 1),
        ("a.b.example.com", "/other", 0),
        ("example.com", "/wide", 0),
        ("notexample.com", "/wide", 0),
        ("[::1]:80", "/wide", 0),
        ("", "/wide", 0),
    ] {
        assert_eq!(found(&table, host, path), Some(route), "{host} {path}");
    }
    assert_eq!(found(&table, &"a".repeat(5000), "/"), Some(0));
}

#[test]
fn a_host_nobody_serves_finds_nothing() {
    let table = table(&[("example.com", "^/"), ("[::1]", "^/")]).unwrap();
    assert_eq!(found(&table, "example.org", "/"), None);
    assert_eq!(found(&table, "example.com", "/"), Some(0));
    assert_eq!(found(&table, "[::1]:8080", "/x"), Some(1));
}

#[test]
fn a_rest_may_be_empty_but_its_slash_is_needed() {
    let table = table(&[("", "/api/{*tail}")]).unwrap();
    assert!(table.find("h", "/api").is_none());
    for (path, tail) in [("/api/", ""), ("/api/x", "x"), ("/api/x/y/", "x/y/")] {
        let found = table.find("h", path).unwrap();
        assert_eq!(found.params.get("tail"), Some(tail), "{path}");
        assert_eq!(found.params.iter().collect::<Vec<_>>(), [("tail", tail)]);
        assert!(!found.params.is_empty());
    }
}

#[test]
fn a_prefix_ends_at_a_segment() {
    let table = table(&[("", "^/api"), ("", "^/users/{id}/")]).unwrap();
    for (path, route, rest) in [
        ("/api", 0, ""),
        ("/api/", 0, ""),
        ("/api/x", 0, "x"),
        ("/users/7", 1, ""),
        ("/users/7/posts", 1, "posts"),
    ] {
        let found = table.find("h", path).unwrap();
        assert_eq!(
            (found.route, found.params.get("rest")),
            (route, Some(rest)),
            "{path}"
        );
    }
    for path in ["/apix", "/", "/users", "/users/", "*"] {
        assert_eq!(found(&table, "h", path), None, "{path}");
    }
}

#[test]
fn an_explicit_path_beats_an_implied_one_in_any_order() {
    let paths = [
        ("", "/api"),
        ("", "^/api"),
        ("", "/api/"),
        ("", "^/"),
        ("", "/"),
    ];
    for turn in 0..paths.len() {
        let mut turned = paths;
        turned.rotate_left(turn);
        let table = table(&turned).unwrap();
        let target = |path| *table.find("h", path).unwrap().target;
        assert_eq!(target("/api"), "/api");
        assert_eq!(target("/api/"), "/api/");
        assert_eq!(target("/api/x"), "^/api");
        assert_eq!(target("/"), "/");
        assert_eq!(target("/other"), "^/");
    }
}

#[test]
fn every_conflict_names_both_routes_as_written() {
    let conflicts = table(&[
        ("", "/users/{id}"),
        ("", "/users/{name}"),
        ("example.com", "/users/{name}"),
        ("", "^/files/"),
        ("", "/files/{*path}"),
        ("example.com", "/users/{x}"),
    ])
    .unwrap_err();
    let seen: Vec<_> = conflicts
        .iter()
        .map(|conflict| (conflict.route, conflict.with_route, conflict.with.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (1, Some(0), "/users/{id}"),
            (4, Some(3), "/files/"),
            (5, Some(2), "/users/{name}")
        ]
    );
    assert_eq!(
        conflicts[2].to_string(),
        "route `/users/{x}` on host `example.com` conflicts with `/users/{name}`"
    );
}

#[test]
fn patterns_are_matched_in_canonical_spelling() {
    let table = table(&[("", "/%7Euser/caf%c3%a9"), ("", "/{{x}}/v{major}/y")]).unwrap();
    assert_eq!(found(&table, "h", "/~user/caf%C3%A9"), Some(0));
    let found = table.find("h", "/{x}/v12/y").unwrap();
    assert_eq!((found.route, found.params.get("major")), (1, Some("12")));
    assert_eq!(found.pattern.to_string(), "/{{x}}/v{major}/y");
}

#[test]
fn ten_thousand_routes_find_each_their_own() {
    let paths: Vec<_> = (0..10_000)
        .map(|n| match n % 3 {
            0 => format!("/static/{n}/leaf"),
            1 => format!("/users/{{id}}/item{n}"),
            _ => format!("/tree/{n}/{{*rest}}"),
        })
        .collect();
    let hosts: Vec<_> = (0..10_000)
        .map(|n| match n % 4 {
            0 => String::new(),
            1 => format!("*.site{}.test", n % 100),
            _ => format!("host{}.test", n % 100),
        })
        .collect();
    let specs: Vec<_> = hosts
        .iter()
        .zip(&paths)
        .map(|(host, path)| (host.as_str(), path.as_str()))
        .collect();
    let table = table(&specs).unwrap();
    for n in 0..10_000 {
        let host = hosts[n].replace('*', "deep.er");
        let path = paths[n].replace("{id}", "7").replace("{*rest}", "a/b");
        assert_eq!(found(&table, &host, &path), Some(n), "{host} {path}");
        assert_eq!(
            found(&table, &host, &format!("{path}x/")),
            None.or(match n % 3 {
                2 => Some(n),
                _ => None,
            })
        );
    }
}

#[test]
fn a_bad_pattern_says_what_is_wrong() {
    use PathPatternFault as Fault;
    let many: String = (0..=ROUTE_PARAMS_MAX)
        .map(|n| format!("/{{p{n}}}"))
        .collect();
    for (text, fault) in [
        ("", Fault::NotAbsolute),
        ("api", Fault::NotAbsolute),
        ("/a//b", Fault::EmptySegment),
        ("/a/../b", Fault::DotSegment),
        ("/a/.", Fault::DotSegment),
        ("/a/%2E%2e", Fault::DotSegment),
        ("/a?b", Fault::Character('?')),
        ("/a b", Fault::Character(' ')),
        ("/é", Fault::Character('é')),
        ("/100%", Fault::Escape),
        ("/{a", Fault::Brace),
        ("/a}", Fault::Brace),
        ("/{a/b}", Fault::Brace),
        ("/{}", Fault::ParamName(String::new())),
        ("/{a b}", Fault::ParamName("a b".into())),
        ("/{*}", Fault::ParamName(String::new())),
        ("/{a}/{a}", Fault::DuplicateParam("a".into())),
        ("/{a}-{b}", Fault::ParamsInSegment),
        ("/{*rest}/x", Fault::MisplacedRest("rest".into())),
        ("/x{*rest}", Fault::MisplacedRest("rest".into())),
        (&many, Fault::TooManyParams),
    ] {
        assert_eq!(PathPattern::parse(text).unwrap_err().fault, fault, "{text}");
    }
    let error = PathPattern::prefix("/a/{*tail}").unwrap_err();
    assert_eq!(error.fault, Fault::RestInPrefix("tail".into()));
    let error = PathPattern::prefix("/{rest}").unwrap_err();
    assert_eq!(error.fault, Fault::DuplicateParam("rest".into()));
}
