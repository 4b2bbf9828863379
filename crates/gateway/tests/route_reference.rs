//! The table against a matcher too simple to be wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use tidegate_gateway::route::{PathPattern, RouteSpec, RouteTable};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    /// Before parameters in the order of precedence.
    Literal(String),
    Param,
    Rest,
}

#[derive(Clone, Debug)]
struct Route {
    host: Option<&'static str>,
    segments: Vec<Segment>,
    prefix: bool,
}

impl Route {
    fn text(&self) -> String {
        let mut text = String::new();
        for (at, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Literal(literal) => text.push_str(&format!("/{literal}")),
                Segment::Param => text.push_str(&format!("/{{p{at}}}")),
                Segment::Rest => text.push_str("/{*tail}"),
            }
        }
        text
    }

    fn spec(&self, target: usize) -> RouteSpec<usize> {
        let path = if self.prefix {
            PathPattern::prefix(&self.text()).unwrap()
        } else {
            PathPattern::parse(&self.text()).unwrap()
        };
        RouteSpec {
            host: self.host.map(|host| host.parse().unwrap()),
            path,
            target,
        }
    }

    /// How specifically the host is met: more labels, more specific; exact most of all.
    fn host_rank(&self, host: &str) -> Option<usize> {
        match self.host {
            None => Some(0),
            Some(own) => match own.strip_prefix('*') {
                Some(suffix) => host.ends_with(suffix).then_some(suffix.len()),
                None => (own == host).then_some(usize::MAX),
            },
        }
    }

    /// The spellings the pattern stands for; explicit ones rank before implied ones.
    fn spellings(&self) -> Vec<(Vec<Segment>, bool)> {
        let mut with_rest = self.segments.clone();
        let is_rest = with_rest.last() == Some(&Segment::Rest);
        if !self.prefix && !is_rest {
            return vec![(with_rest, true)];
        }
        if is_rest {
            with_rest.pop();
        }
        let base = with_rest.clone();
        let mut with_slash = base.clone();
        with_slash.push(Segment::Literal(String::new()));
        with_rest.push(Segment::Rest);
        let mut spellings = vec![(with_rest, true), (with_slash, false)];
        if self.prefix && !base.is_empty() {
            spellings.push((base, false));
        }
        spellings
    }
}

fn matches(pattern: &[Segment], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((Segment::Rest, _)), Some(_)) => !path.join("/").is_empty(),
        (Some((segment, pattern)), Some((first, path))) => {
            let fits = match segment {
                Segment::Literal(literal) => literal == first,
                _ => !first.is_empty(),
            };
            fits && matches(pattern, path)
        }
        _ => false,
    }
}

fn naive(routes: &[Route], host: &str, path: &str) -> Option<usize> {
    let segments: Vec<_> = path[1..].split('/').collect();
    let mut best = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let Some(rank) = route.host_rank(host) else {
            continue;
        };
        for (spelling, explicit) in route.spellings() {
            if matches(&spelling, &segments) {
                best.push((std::cmp::Reverse(rank), spelling, !explicit, index));
            }
        }
    }
    best.sort();
    best.first().map(|(_, _, _, index)| *index)
}

fn literal() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["a", "b", "ab", "abc", "ac"]).prop_map(str::to_owned)
}

fn route() -> impl Strategy<Value = Route> {
    let segment = prop_oneof![3 => literal().prop_map(Segment::Literal), 1 => Just(Segment::Param)];
    let segments = proptest::collection::vec(segment, 1..4);
    let hosts = vec![None, Some("x.test"), Some("*.test"), Some("*.x.test")];
    let kind = prop_oneof![2 => Just(0), 1 => Just(1), 1 => Just(2)];
    (proptest::sample::select(hosts), segments, kind).prop_map(|(host, mut segments, kind)| {
        if kind == 1 {
            segments.push(Segment::Rest);
        }
        Route {
            host,
            segments,
            prefix: kind == 2,
        }
    })
}

fn path() -> impl Strategy<Value = String> {
    let segment = proptest::sample::select(vec!["a", "b", "ab", "abc", "abcd", "z"]);
    let segments = proptest::collection::vec(segment, 0..5);
    (segments, any::<bool>()).prop_map(|(segments, slash)| {
        let path = format!("/{}", segments.join("/"));
        if slash && path.len() > 1 {
            path + "/"
        } else {
            path
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_table_agrees_with_the_naive_matcher(
        candidates in proptest::collection::vec(route(), 1..10),
        paths in proptest::collection::vec(path(), 1..20),
    ) {
        // Conflicting candidates are left out, as an operator would have to.
        let mut routes: Vec<Route> = Vec::new();
        for candidate in candidates {
            routes.push(candidate);
            let specs = routes.iter().enumerate().map(|(at, route)| route.spec(at)).collect();
            if RouteTable::build(specs).is_err() {
                routes.pop();
            }
        }
        let specs = routes.iter().enumerate().map(|(at, route)| route.spec(at)).collect();
        let table = RouteTable::build(specs).unwrap();
        for path in &paths {
            for host in ["x.test", "y.test", "z.x.test", "other"] {
                let found = table.find(host, path).map(|found| *found.target);
                prop_assert_eq!(found, naive(&routes, host, path), "{} {} {:?}", host, path, routes);
            }
        }
    }

    #[test]
    fn any_text_is_a_pattern_or_an_error(text in "[/a-c{}*%.2e?]{0,12}") {
        let parsed = PathPattern::parse(&text);
        prop_assert!(parsed.is_ok() || !parsed.unwrap_err().to_string().is_empty());
    }
}
