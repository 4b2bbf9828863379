//! Reading the topic filters of SUBSCRIBE and UNSUBSCRIBE, and topic names.

use thiserror::Error;

/// The prefix of a shared subscription's filter (section 4.8.2).
const SHARE_PREFIX: &str = "$share/";

/// Why a topic filter or topic name is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FilterError {
    /// Nothing between the start and the end (4.7.3-1).
    #[error("a topic is at least one character long")]
    Empty,
    /// The null character is in it (4.7.3-2).
    #[error("a topic has no null character")]
    Null,
    /// `#` is not the last level, or is not alone in its level (4.7.1-1).
    #[error("`#` stands alone in the last level")]
    MultiLevelWildcard,
    /// `+` is not alone in its level (4.7.1-2).
    #[error("`+` stands alone in its level")]
    SingleLevelWildcard,
    /// `$share/` is not followed by a name, `/` and a filter (4.8.2-1, 4.8.2-2).
    #[error("a shared filter reads $share/NAME/FILTER")]
    Share,
}

/// A subscription's filter, taken apart.
///
/// ```
/// use tidegate_mqtt::broker::topics::SubscriptionFilter;
///
/// let shared = SubscriptionFilter::parse("$share/workers/jobs/+").expect("a valid filter");
/// assert_eq!(shared.group, Some("workers"));
/// assert_eq!(shared.filter, "jobs/+");
/// assert_eq!(shared.levels, 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionFilter<'a> {
    /// The ShareName of a shared subscription.
    pub group: Option<&'a str>,
    /// The filter that topic names are matched against.
    pub filter: &'a str,
    /// How many levels `filter` has.
    pub levels: usize,
}

impl<'a> SubscriptionFilter<'a> {
    /// Reads a filter as a client sends it.
    ///
    /// # Errors
    ///
    /// A [`FilterError`] that says which rule of section 4.7 or 4.8.2 it breaks.
    pub fn parse(text: &'a str) -> Result<Self, FilterError> {
        let (group, filter) = match text.strip_prefix(SHARE_PREFIX) {
            None if text == "$share" => return Err(FilterError::Share),
            None => (None, text),
            Some(rest) => {
                let (name, filter) = rest.split_once('/').ok_or(FilterError::Share)?;
                if name.is_empty() || name.contains(['+', '#']) || filter.is_empty() {
                    return Err(FilterError::Share);
                }
                (Some(name), filter)
            }
        };
        let levels = check_filter(filter)?;
        Ok(Self {
            group,
            filter,
            levels,
        })
    }
}

/// Counts the levels of a filter that keeps the rules of section 4.7.
fn check_filter(filter: &str) -> Result<usize, FilterError> {
    if filter.is_empty() {
        return Err(FilterError::Empty);
    }
    if filter.contains('\0') {
        return Err(FilterError::Null);
    }
    let mut levels = 0;
    let mut closed = false;
    for level in filter.split('/') {
        if closed {
            return Err(FilterError::MultiLevelWildcard);
        }
        levels += 1;
        if level.len() == 1 {
            closed = level == "#";
        } else if level.contains('#') {
            return Err(FilterError::MultiLevelWildcard);
        } else if level.contains('+') {
            return Err(FilterError::SingleLevelWildcard);
        }
    }
    Ok(levels)
}

/// Whether a valid filter has a wildcard.
pub fn has_wildcard(filter: &str) -> bool {
    filter.contains(['+', '#'])
}

/// Checks a topic name, as PUBLISH, a will or a Response Topic carry it.
///
/// # Errors
///
/// The rule of section 4.7 that it breaks.
pub fn check_topic_name(topic: &str) -> Result<(), FilterError> {
    if topic.is_empty() {
        return Err(FilterError::Empty);
    }
    for byte in topic.bytes() {
        match byte {
            b'#' => return Err(FilterError::MultiLevelWildcard),
            b'+' => return Err(FilterError::SingleLevelWildcard),
            0 => return Err(FilterError::Null),
            _ => {}
        }
    }
    Ok(())
}
