//! Reason codes (MQTT 5.0 section 2.4).

use super::packet::PacketType;

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        /// Why something was done or refused. One name a value; where the standard has
        /// several for one value (0x00), the first.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum ReasonCode {
            $($(#[$doc])* $name = $value,)*
        }

        impl ReasonCode {
            /// All of them, in the order of their values.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name here, as `QuotaExceeded`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The reason with this value on the wire.
            #[must_use]
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($value => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

reason_codes! {
    /// Success, normal disconnection, or granted QoS 0.
    Success = 0x00,
    /// A subscription with QoS 1 at most.
    GrantedQos1 = 0x01,
    /// A subscription with QoS 2 at most.
    GrantedQos2 = 0x02,
    /// The client leaves and wants its will published.
    DisconnectWithWill = 0x04,
    /// Accepted, but nobody subscribes to it.
    NoMatchingSubscribers = 0x10,
    /// There was nothing to unsubscribe from.
    NoSubscriptionExisted = 0x11,
    /// Another step of the authentication follows.
    ContinueAuthentication = 0x18,
    /// The client starts to authenticate again.
    ReAuthenticate = 0x19,
    /// The server does not say why, or no other code fits.
    UnspecifiedError = 0x80,
    /// A packet cannot be read as the standard has it.
    MalformedPacket = 0x81,
    /// A packet that can be read and may not be sent, or not now.
    ProtocolError = 0x82,
    /// Valid, but not accepted here.
    ImplementationSpecificError = 0x83,
    /// This version of the protocol is not spoken here.
    UnsupportedProtocolVersion = 0x84,
    /// A client identifier that is not allowed.
    ClientIdentifierNotValid = 0x85,
    /// User name or password is wrong.
    BadUserNameOrPassword = 0x86,
    /// The client may not do this.
    NotAuthorized = 0x87,
    /// The server is not there.
    ServerUnavailable = 0x88,
    /// The server is busy; try later.
    ServerBusy = 0x89,
    /// An administrator has banned this client.
    Banned = 0x8a,
    /// The server is going down.
    ServerShuttingDown = 0x8b,
    /// The authentication method is not known or not the one before.
    BadAuthenticationMethod = 0x8c,
    /// Nothing was heard for one and a half times the keep-alive.
    KeepAliveTimeout = 0x8d,
    /// Another connection uses this client identifier now.
    SessionTakenOver = 0x8e,
    /// A topic filter that is not accepted.
    TopicFilterInvalid = 0x8f,
    /// A topic name that is not accepted.
    TopicNameInvalid = 0x90,
    /// The packet identifier is in use already.
    PacketIdentifierInUse = 0x91,
    /// The packet identifier is not known.
    PacketIdentifierNotFound = 0x92,
    /// More publishes in flight than the receiver had allowed.
    ReceiveMaximumExceeded = 0x93,
    /// A topic alias that is zero, too high, or not set.
    TopicAliasInvalid = 0x94,
    /// A packet larger than the receiver had allowed.
    PacketTooLarge = 0x95,
    /// More data than the receiver wants to take.
    MessageRateTooHigh = 0x96,
    /// A limit of the implementation or of the administrator is reached.
    QuotaExceeded = 0x97,
    /// An administrator closed the connection.
    AdministrativeAction = 0x98,
    /// The payload is not what its format indicator says.
    PayloadFormatInvalid = 0x99,
    /// The server keeps no retained messages.
    RetainNotSupported = 0x9a,
    /// A QoS above the maximum that the server had announced.
    QosNotSupported = 0x9b,
    /// Use another server this time.
    UseAnotherServer = 0x9c,
    /// Use another server from now on.
    ServerMoved = 0x9d,
    /// Shared subscriptions are not supported.
    SharedSubscriptionsNotSupported = 0x9e,
    /// Connections come too fast.
    ConnectionRateExceeded = 0x9f,
    /// The connection has lasted as long as is allowed.
    MaximumConnectTime = 0xa0,
    /// Subscription identifiers are not supported.
    SubscriptionIdentifiersNotSupported = 0xa1,
    /// Wildcard subscriptions are not supported.
    WildcardSubscriptionsNotSupported = 0xa2,
}

impl ReasonCode {
    /// Its value on the wire.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self as u8
    }

    /// Whether it tells of a failure: 0x80 or above.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        self.to_byte() >= 0x80
    }

    /// Whether the standard lists it for this type of packet (table 2-6).
    #[must_use]
    pub fn is_allowed_in(self, packet: PacketType) -> bool {
        let code = self.to_byte();
        match packet {
            PacketType::ConnectAck => matches!(
                code,
                0x00 | 0x80..=0x8a | 0x8c | 0x90 | 0x95 | 0x97 | 0x99..=0x9d | 0x9f
            ),
            PacketType::PublishAck | PacketType::PublishReceived => matches!(
                code,
                0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99
            ),
            PacketType::PublishRelease | PacketType::PublishComplete => {
                matches!(code, 0x00 | 0x92)
            }
            PacketType::SubscribeAck => matches!(
                code,
                0x00..=0x02 | 0x80 | 0x83 | 0x87 | 0x8f | 0x91 | 0x97 | 0x9e | 0xa1 | 0xa2
            ),
            PacketType::UnsubscribeAck => {
                matches!(code, 0x00 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8f | 0x91)
            }
            PacketType::Disconnect => matches!(
                code,
                0x00 | 0x04 | 0x80..=0x83 | 0x87 | 0x89 | 0x8b | 0x8d..=0x90 | 0x93..=0xa2
            ),
            PacketType::Auth => matches!(code, 0x00 | 0x18 | 0x19),
            _ => false,
        }
    }

    /// The CONNACK return code of MQTT 3.1.1 (section 3.2.2.3) that says nearest the same.
    #[must_use]
    pub const fn to_return_code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::UnsupportedProtocolVersion => 1,
            Self::ClientIdentifierNotValid => 2,
            Self::BadUserNameOrPassword | Self::BadAuthenticationMethod => 4,
            Self::NotAuthorized | Self::Banned => 5,
            _ => 3,
        }
    }

    /// The reason that a CONNACK return code of MQTT 3.1.1 stands for.
    #[must_use]
    pub const fn from_return_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Success),
            1 => Some(Self::UnsupportedProtocolVersion),
            2 => Some(Self::ClientIdentifierNotValid),
            3 => Some(Self::ServerUnavailable),
            4 => Some(Self::BadUserNameOrPassword),
            5 => Some(Self::NotAuthorized),
            _ => None,
        }
    }
}
