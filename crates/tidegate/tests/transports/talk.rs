//! What a broker is for, over whatever carries it.

use tidegate_mqtt::codec::QualityOfService;

use crate::mqtt::{Carrier, Client};

/// Subscribers over what `carrier` gives, enough that both workers have some of them, hear
/// one more. All are still connected; the one that spoke is the last.
pub(crate) fn all_hear_each_other(mut carrier: impl FnMut() -> Box<dyn Carrier>) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..8)
        .map(|number| Client::connected(carrier(), &format!("client-{number}")))
        .collect();
    for client in &mut clients {
        client.subscribe("news/#", QualityOfService::AtMostOnce);
    }
    let mut sender = Client::connected(carrier(), "sender");
    let mut heard = vec![0; clients.len()];
    // What a subscriber wants takes a moment to be known to the other worker.
    let sizes = [1, 10, 5000, 200_000].iter().cycle().take(60);
    let mut sent = 0;
    for size in sizes {
        sender.publish("news/today", vec![b'.'; *size]);
        sent += 1;
    }
    sender.publish("news/last", "last");
    for (client, heard) in clients.iter_mut().zip(&mut heard) {
        loop {
            let message = client.message();
            if message == b"last" {
                break;
            }
            assert!(message.iter().all(|byte| *byte == b'.'));
            *heard += 1;
        }
    }
    assert!(heard.iter().all(|count| *count > sent / 2), "{heard:?}");
    clients.push(sender);
    clients
}
