//! The guide's chapters, so that what is Rust in them is compiled and run by `cargo test`.
//! What is not Rust is checked by `tests/`.
#![forbid(unsafe_code)]

/// A chapter each.
macro_rules! chapters {
    ($($name:ident: $file:literal),+ $(,)?) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!($file)]
            struct $name;
        )+
    };
}

chapters! {
    Index: "src/index.md",
    Concepts: "src/concepts.md",
    FirstService: "src/first-service.md",
    StateTransfer: "src/state-transfer.md",
    Deploying: "src/deploying.md",
    OwnProtocol: "src/own-protocol.md",
    Layers: "src/layers.md",
    Tower: "src/tower.md",
    Gateway: "src/gateway.md",
    Testing: "src/testing.md",
    Configuration: "src/configuration.md",
    Operating: "src/operating.md",
    Broker: "src/broker.md",
    Supervising: "src/supervising.md",
    Performance: "src/performance.md",
}
