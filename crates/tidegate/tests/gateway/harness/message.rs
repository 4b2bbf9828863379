//! HTTP/1.1 messages as the peers of the gateway read them: strictly, and with a
//! parser of their own.

/// A start line and its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The start line.
    pub(crate) line: String,
    /// Names in lower case, values without surrounding blanks.
    pub(crate) fields: Vec<(String, String)>,
}

/// How a body is told from what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(usize),
    Chunked,
    UntilEnd,
}

/// A message read to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Head {
    /// Parses what stands before the empty line.
    pub(crate) fn parse(block: &[u8]) -> Self {
        let text = String::from_utf8_lossy(block);
        let mut lines = text.split("\r\n");
        Self {
            line: lines.next().unwrap_or_default().to_owned(),
            fields: lines.filter(|line| !line.is_empty()).map(field).collect(),
        }
    }

    /// The only value of a field; panics if there are several.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} is repeated: {values:?}");
        values.first().copied()
    }

    /// All values of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|(it, _)| it == name);
        fields.map(|(_, value)| value.as_str()).collect()
    }

    /// The status of a response.
    #[track_caller]
    pub(crate) fn status(&self) -> u16 {
        let word = self.line.split(' ').nth(1);
        let status = word.and_then(|word| word.parse().ok());
        status.unwrap_or_else(|| panic!("no status line: {:?}", self.line))
    }

    /// How the body of this message is framed. `asked` is the request's method
    /// for a response, `None` for a request.
    #[track_caller]
    pub(crate) fn framing(&self, asked: Option<&str>) -> Framing {
        let chunked = self.field("transfer-encoding").is_some_and(|coding| {
            assert_eq!(coding, "chunked", "an unknown coding");
            true
        });
        let length = self.field("content-length").map(|it| it.parse().unwrap());
        if let Some(method) = asked {
            let status = self.status();
            if method == "HEAD" || status < 200 || status == 204 || status == 304 {
                return Framing::None;
            }
        }
        match (chunked, length) {
            (true, Some(_)) => panic!("framed twice: {self:?}"),
            (true, None) => Framing::Chunked,
            (false, Some(length)) => Framing::Length(length),
            (false, None) if asked.is_some() => Framing::UntilEnd,
            (false, None) => Framing::None,
        }
    }
}

impl Message {
    /// The status of a response.
    #[track_caller]
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    /// The only value of a field.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The path of a request, with its query.
    pub(crate) fn path(&self) -> &str {
        self.head.line.split(' ').nth(1).unwrap_or_default()
    }

    /// The method of a request.
    pub(crate) fn method(&self) -> &str {
        self.head.line.split(' ').next().unwrap_or_default()
    }
}

/// One field line.
pub(crate) fn field(line: &str) -> (String, String) {
    let (name, value) = line
        .split_once(':')
        .unwrap_or_else(|| panic!("no field line: {line:?}"));
    (name.to_ascii_lowercase(), value.trim().to_owned())
}
