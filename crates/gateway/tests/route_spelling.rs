//! Another spelling of a path slips past its route, or a rewrite makes one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use http::uri::PathAndQuery;
use proptest::prelude::*;
use tidegate_gateway::route::path::{PathFault, canonical, is_ambiguous};
use tidegate_gateway::route::{
    Params, PathPattern, QueryPolicy, RedirectSource, RedirectTarget, Rewrite, RewriteError,
    RouteSpec, RouteTable, TemplateFault,
};

#[test]
fn dot_segments_are_refused_in_every_spelling() {
    for path in [
        "/..",
        "/.",
        "/a/../b",
        "/a/./b",
        "/a/..",
        "/a/%2e%2e/b",
        "/a/%2E./b",
        "/a/.%2e",
        "/%2e",
        "/a/..%2fb",
        "/a%2f..%2Fb",
        "/a%5C..%5cb",
        "/a\\..\\b",
        "/..;/admin",
        "/a/..;x=1/b",
        "/a/.%3Bx/b",
        "/a/%2e%2e%3b",
    ] {
        assert_eq!(canonical(path), Err(PathFault::DotSegment), "{path}");
        assert!(is_ambiguous(path));
    }
    for path in ["/a%", "/a%2", "/a%zz", "/%%41", "/a%+1"] {
        assert_eq!(canonical(path), Err(PathFault::BrokenEscape), "{path}");
    }
    assert_eq!(canonical("/a%00b"), Err(PathFault::Nul));
}

#[test]
fn harmless_paths_stay_as_they_are() {
    for path in [
        "/",
        "*",
        "/a/b/",
        "/.well-known/acme",
        "/...",
        "/a..b/c.",
        "/..a",
        "/a;b/c",
        "/a%2Fb",
        "/%C3%A9",
        "/a%252e%252e/b",
        "/a%20b",
        "/é",
    ] {
        let spelt = canonical(path).unwrap();
        assert!(
            matches!(spelt, std::borrow::Cow::Borrowed(_)),
            "{path} was copied"
        );
        assert_eq!(spelt, path);
    }
}

#[test]
fn equal_paths_become_one_spelling() {
    for (path, expected) in [
        ("/%61dmin", "/admin"),
        ("//admin", "/admin"),
        ("/a///b//", "/a/b/"),
        ("/%7euser", "/~user"),
        ("/a%2fb%c3", "/a%2Fb%C3"),
        ("/a\\b", "/a%5Cb"),
        ("/é//%41", "/é/A"),
        ("/a%2F//b", "/a%2F/b"),
    ] {
        assert_eq!(canonical(path).unwrap(), expected, "{path}");
    }
}

proptest! {
    #[test]
    fn the_canonical_spelling_is_its_own(path in "/([a.;/%\\\\é]|%2[eEfF]|%5c|%41|%00){0,12}") {
        if let Ok(spelt) = canonical(&path) {
            prop_assert_eq!(canonical(&spelt).unwrap(), spelt.clone());
            prop_assert!(!spelt.contains("//"));
            let decoded = spelt.to_lowercase().replace("%2f", "/").replace("%5c", "/");
            let dots = |segment: &str| matches!(segment, "." | "..");
            prop_assert!(!decoded.split('/').any(dots), "{}", spelt);
        }
    }
}

fn rewritten(rewrite: &Rewrite, pattern: &str, path: &str) -> Result<String, RewriteError> {
    let spec = RouteSpec {
        host: None,
        path: PathPattern::parse(pattern).unwrap(),
        target: (),
    };
    let table = RouteTable::build(vec![spec]).unwrap();
    let original = PathAndQuery::try_from(path).unwrap();
    let spelt = canonical(original.path()).unwrap();
    let found = table.find("h", &spelt).expect("the test's path matches");
    rewrite
        .apply(&original, &found.params)
        .map(|path| path.to_string())
}

#[test]
fn rewriting_keeps_escapes_and_query() {
    let replace = Rewrite::replace_path("/v2/{id}/{rest}?api=1").unwrap();
    let strip = Rewrite::strip_prefix("/api/").unwrap();
    let add = Rewrite::add_prefix("/base").unwrap();
    for (rewrite, pattern, path, expected) in [
        (
            &replace,
            "/u/{id}/{*rest}",
            "/u/a%2Fb/x%20y/z?q=%zz&q=/../",
            "/v2/a%2Fb/x%20y/z?api=1&q=%zz&q=/../",
        ),
        (&replace, "/u/{id}/{*rest}", "/u/7/", "/v2/7/?api=1"),
        (&strip, "/{*rest}", "/api/x?q", "/x?q"),
        (&strip, "/{*rest}", "//%61pi//x", "/x"),
        (&strip, "/{*rest}", "/api", "/"),
        (&strip, "/{*rest}", "/api/", "/"),
        (&strip, "/{*rest}", "/apix/y", "/apix/y"),
        (&add, "/{*rest}", "/x?q=1", "/base/x?q=1"),
        (&add, "/{*rest}", "/", "/base/"),
    ] {
        assert_eq!(
            rewritten(rewrite, pattern, path).as_deref(),
            Ok(expected),
            "{path}"
        );
    }
}

#[test]
fn harmless_pieces_do_not_form_a_dot_segment() {
    let rewrite = Rewrite::replace_path("/files/{name}/private").unwrap();
    let error = rewritten(&rewrite, "/x{name}", "/x..").unwrap_err();
    assert_eq!(error, RewriteError::Path(PathFault::DotSegment));
}

#[test]
fn a_rewrite_that_cannot_work_is_an_error_beforehand() {
    let pattern = PathPattern::parse("/api/{id}").unwrap();
    let fault = |rewrite: Result<Rewrite, _>| match rewrite {
        Ok(rewrite) => rewrite.check(&pattern).unwrap_err(),
        Err(error) => error,
    };
    let unknown = fault(Rewrite::replace_path("/v2/{idd}"));
    assert_eq!(
        unknown.to_string(),
        "`/v2/{idd}`: the route's path has no parameter `idd`; it has: `id`"
    );
    for (error, expected) in [
        (
            fault(Rewrite::replace_path("v2")),
            TemplateFault::NotAbsolute,
        ),
        (
            fault(Rewrite::replace_path("{id}")),
            TemplateFault::NotAbsolute,
        ),
        (fault(Rewrite::replace_path("/{id")), TemplateFault::Brace),
        (
            fault(Rewrite::replace_path("/a b")),
            TemplateFault::Character(' '),
        ),
        (
            fault(Rewrite::replace_path("/../{id}")),
            TemplateFault::Ambiguous,
        ),
        (
            fault(Rewrite::replace_path("/x#y")),
            TemplateFault::NotAPath('#'),
        ),
        (
            fault(Rewrite::strip_prefix("/v1")),
            TemplateFault::NothingToStrip,
        ),
        (
            fault(Rewrite::strip_prefix("v1")),
            TemplateFault::NotAbsolute,
        ),
        (
            fault(Rewrite::add_prefix("/a/../b")),
            TemplateFault::Ambiguous,
        ),
        (
            fault(Rewrite::add_prefix("/a?b")),
            TemplateFault::NotAPath('?'),
        ),
    ] {
        assert_eq!(error.fault, expected, "{}", error.template);
    }
    assert!(
        Rewrite::strip_prefix("/api/7")
            .unwrap()
            .check(&pattern)
            .is_ok()
    );
}

fn location(
    target: &str,
    query: QueryPolicy,
    path: &str,
    host: &str,
) -> Result<String, RewriteError> {
    let target = RedirectTarget::parse(target, query).unwrap();
    let path_and_query = PathAndQuery::try_from(path).unwrap();
    let source = RedirectSource {
        scheme: "http",
        host,
        path_and_query: &path_and_query,
    };
    let value = target.location(&source, &Params::none())?;
    Ok(value.to_str().unwrap().to_owned())
}

#[test]
fn redirects_repeat_the_request_safely() {
    let keep = QueryPolicy::Keep;
    for (target, query, path, expected) in [
        (
            "https://{host}{path}",
            keep,
            "/a%20b?x=1",
            "https://example.com/a%20b?x=1",
        ),
        (
            "https://{host}{path}",
            QueryPolicy::Drop,
            "/a?x=1",
            "https://example.com/a",
        ),
        (
            "{scheme}://www.{host}/",
            keep,
            "/a",
            "http://www.example.com/",
        ),
        ("/new?v=2#top", keep, "/a?x=1", "/new?v=2&x=1#top"),
        ("{path}", keep, "//evil.test/x", "/evil.test/x"),
        ("{path}", keep, "/\\evil.test", "/%5Cevil.test"),
    ] {
        let location = location(target, query, path, "example.com:8080");
        assert_eq!(location.as_deref(), Ok(expected), "{target}");
    }
    assert_eq!(
        location("https://{host}/", keep, "/", "a/b"),
        Err(RewriteError::Host)
    );
    for target in ["ftp://x", "new", "{host}/x", ""] {
        let error = RedirectTarget::parse(target, keep).unwrap_err();
        assert_eq!(error.fault, TemplateFault::NotATarget, "{target}");
    }
    let pattern = PathPattern::parse("/a/{id}").unwrap();
    let target = RedirectTarget::parse("https://{host}/{id}", keep).unwrap();
    assert!(target.check(&pattern).is_ok());
    let target = RedirectTarget::parse("https://{hots}/", keep).unwrap();
    assert!(target.check(&pattern).is_err());
}
