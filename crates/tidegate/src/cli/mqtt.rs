//! `tidegate mqtt ...`: what is asked of a broker.

use clap::{Args, Subcommand};

use super::OperateArgs;
use crate::mqtt_passwd::PasswdArgs;

/// What `mqtt` has to be told.
#[derive(Debug, Clone, Args)]
pub struct MqttArgs {
    /// What is wanted.
    #[command(subcommand)]
    pub verb: MqttVerb,
}

/// What is wanted.
#[derive(Debug, Clone, Subcommand)]
pub enum MqttVerb {
    /// Set a user's password in a file, or take the user out of it.
    Passwd(PasswdArgs),
    /// Something of a running broker.
    #[command(flatten)]
    Ask(BrokerVerb),
}

/// What is wanted of a broker.
#[derive(Debug, Clone, Subcommand)]
pub enum BrokerVerb {
    /// List the clients that are connected.
    Clients(ListArgs),
    /// List the sessions, connected or not.
    Sessions(ListArgs),
    /// List who subscribes to what.
    Subscriptions(SubscriptionsArgs),
    /// List the topics of retained messages.
    Retained(RetainedArgs),
    /// Send a client away; exit code 1 if it is not connected.
    Kick(KickArgs),
    /// Publish a message.
    Publish(PublishArgs),
    /// Print messages as they pass, until interrupted.
    Subscribe(SubscribeArgs),
}

/// Which broker of which process.
#[derive(Debug, Clone, Args)]
pub struct BrokerArgs {
    /// The name of the MQTT server; may be left out if there is one only.
    #[arg(long, value_name = "NAME")]
    pub server: Option<String>,
    /// Which process.
    #[command(flatten)]
    pub operate: OperateArgs,
}

/// How much of a list is wanted.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// The most entries to list.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub limit: usize,
    /// Where to go on: what a list before says is next.
    #[arg(long, value_name = "NEXT")]
    pub from: Option<String>,
    /// Which broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
}

/// Whose subscriptions are wanted.
#[derive(Debug, Clone, Args)]
pub struct SubscriptionsArgs {
    /// Those of one client only.
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,
    /// How many.
    #[command(flatten)]
    pub list: ListArgs,
}

/// Which retained messages are wanted.
#[derive(Debug, Clone, Args)]
pub struct RetainedArgs {
    /// Those whose topics match.
    #[arg(value_name = "FILTER", default_value = "#")]
    pub filter: String,
    /// How many.
    #[command(flatten)]
    pub list: ListArgs,
}

/// Who is sent away.
#[derive(Debug, Clone, Args)]
pub struct KickArgs {
    /// The client identifier.
    #[arg(value_name = "CLIENT")]
    pub client: String,
    /// Which broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
}

/// What is published.
#[derive(Debug, Clone, Args)]
pub struct PublishArgs {
    /// Where to.
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// What; standard input when it is left out.
    #[arg(value_name = "PAYLOAD")]
    pub payload: Option<String>,
    /// The quality of service.
    #[arg(long, value_name = "QOS", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub qos: u8,
    /// Keep it for clients that subscribe later; an empty payload removes it.
    #[arg(long)]
    pub retain: bool,
    /// Which broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
}

/// What is to be seen.
#[derive(Debug, Clone, Args)]
pub struct SubscribeArgs {
    /// Messages to topics that match.
    #[arg(value_name = "FILTER")]
    pub filter: String,
    /// End after so many messages.
    #[arg(long, value_name = "COUNT")]
    pub count: Option<u64>,
    /// Which broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
}
