//! stub
#![allow(missing_docs, reason = "stub")]
/// QoS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QoS {
    AtMostOnce,
    AtLeastOnce,
    ExactlyOnce,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V311,
    V5,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReasonCode {
    Success,
    GrantedQoS1,
    GrantedQoS2,
    DisconnectWithWill,
    NoMatchingSubscribers,
    NoSubscriptionExisted,
    ContinueAuthentication,
    ReAuthenticate,
    UnspecifiedError,
    MalformedPacket,
    ProtocolError,
    ClientIdentifierNotValid,
    NotAuthorized,
    ServerUnavailable,
    ServerShuttingDown,
    BadAuthenticationMethod,
    KeepAliveTimeout,
    SessionTakenOver,
    TopicFilterInvalid,
    TopicNameInvalid,
    PacketIdentifierNotFound,
    ReceiveMaximumExceeded,
    TopicAliasInvalid,
    PacketTooLarge,
    MessageRateTooHigh,
    QuotaExceeded,
    ConnectionRateExceeded,
}
impl ReasonCode {
    pub fn is_error(self) -> bool {
        self as u8 >= Self::UnspecifiedError as u8
    }
}
#[derive(Debug, Clone, Copy)]
pub struct Publish<'a> {
    pub dup: bool,
    pub qos: QoS,
    pub retain: bool,
    pub topic: &'a str,
    pub packet_id: u16,
    pub topic_alias: Option<u16>,
    pub message_expiry: Option<u32>,
    pub forwarded_properties: &'a [u8],
    pub payload: &'a [u8],
}
impl Publish<'_> {
    pub fn topic_alias(&self) -> Option<u16> {
        self.topic_alias
    }
    pub fn packet_id(&self) -> u16 {
        self.packet_id
    }
}
#[derive(Debug, Clone)]
pub struct Will<'a> {
    pub qos: QoS,
    pub retain: bool,
    pub topic: &'a str,
    pub delay: u32,
    pub message_expiry: Option<u32>,
    pub forwarded_properties: &'a [u8],
    pub payload: &'a [u8],
}
#[derive(Debug, Clone)]
pub struct Connect<'a> {
    pub version: Version,
    pub clean_start: bool,
    pub keep_alive: u16,
    pub client_id: &'a str,
    pub will: Option<Will<'a>>,
    pub session_expiry: Option<u32>,
    pub receive_maximum: Option<u16>,
    pub maximum_packet_size: Option<u32>,
    pub topic_alias_maximum: u16,
    pub request_response_information: bool,
    pub request_problem_information: bool,
    pub auth_method: Option<&'a str>,
    pub auth_data: Option<&'a [u8]>,
}
#[derive(Debug, Clone, Copy)]
pub struct Filter<'a> {
    pub filter: &'a str,
    pub qos: QoS,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub retain_handling: RetainHandling,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetainHandling {
    Send,
    SendIfNew,
    DoNotSend,
}
#[derive(Debug, Clone)]
pub struct Subscribe<'a> {
    pub packet_id: u16,
    pub identifier: Option<u32>,
    pub filters: Vec<Filter<'a>>,
}
#[derive(Debug, Clone)]
pub struct Unsubscribe<'a> {
    pub packet_id: u16,
    pub filters: Vec<&'a str>,
}
#[derive(Debug, Clone, Copy)]
pub struct Ack {
    pub packet_id: u16,
    pub reason: ReasonCode,
}
#[derive(Debug, Clone, Copy)]
pub struct Disconnect {
    pub reason: ReasonCode,
    pub session_expiry: Option<u32>,
}
#[derive(Debug, Clone, Copy)]
pub struct Auth<'a> {
    pub reason: ReasonCode,
    pub method: Option<&'a str>,
    pub data: Option<&'a [u8]>,
}
#[derive(Debug, Clone)]
pub enum Packet<'a> {
    Connect(Box<Connect<'a>>),
    Publish(Publish<'a>),
    PubAck(Ack),
    PubRec(Ack),
    PubRel(Ack),
    PubComp(Ack),
    Subscribe(Subscribe<'a>),
    Unsubscribe(Unsubscribe<'a>),
    PingReq,
    Disconnect(Disconnect),
    Auth(Auth<'a>),
}
