//! An MQTT broker of one worker, inside a program of its own.
//!
//! `cargo run --release -p tidegate-mqtt --example broker -- 127.0.0.1:1883`

#![forbid(unsafe_code)]

use std::rc::Rc;

use tidegate_mqtt::server::{MqttServer, ServerSettings};
use tidegate_runtime::connections::{Accepted, Connections};
use tidegate_runtime::io::Io;
use tidegate_runtime::local::block_on;
use tidegate_service::Service;
use tokio::net::TcpListener;

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1);
    block_on(serve(address.as_deref().unwrap_or("127.0.0.1:1883")))
}

async fn serve(address: &str) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("MQTT on {}", listener.local_addr()?);
    let server = Rc::new(MqttServer::new(ServerSettings::default()));
    let connections = Connections::new();
    loop {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?.into();
        let server = Rc::clone(&server);
        connections.spawn(peer.into(), None, move |handle| async move {
            let accepted = Accepted {
                io: Io::from_tcp(stream),
                peer: peer.into(),
                local,
                handle,
            };
            server.call(accepted).await
        });
    }
}
