//! The simple values: numbers, durations, sizes, choices, files.
//!
//! Durations and sizes carry units in the file, so nobody has to remember whether
//! a time-out was in seconds or in milliseconds.

use super::effective;
use super::found::{Found, quoted};
use super::section::{Entry, Section};
use super::suggest::nearest;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use toml::de::DeValue;

/// Longer than this is a mistake, and adding it to a clock could overflow.
pub(super) const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// More than this is a mistake, and sums of sizes must not overflow.
pub(super) const SIZE_MAX: u64 = 1 << 50;

const DURATION: &str = "a duration such as \"10s\", \"500ms\", \"2m\" or \"1h\"";
const SIZE: &str = "a size such as \"32KiB\", \"64MiB\" or \"1MB\", or a number of bytes";

/// Whether a value may be nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zero {
    /// Nothing is a sensible value.
    Allowed,
    /// Nothing would not mean "no limit" but "never works".
    Refused,
}

impl<'a> Section<'a> {
    /// A string that is not empty.
    pub(super) fn string(&mut self, key: &'static str) -> Entry<'_, 'a, String> {
        let expected = "a string that is not empty";
        self.read(key, expected, |found| match found.text(expected)? {
            "" => found.refuse("the string is empty", expected),
            text => Some(text.to_owned()),
        })
        .shown(|value| value.as_str().into())
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str) -> Entry<'_, 'a, bool> {
        let expected = "true or false";
        self.read(key, expected, |found| match found.value() {
            DeValue::Boolean(boolean) => Some(*boolean),
            _ => found.wrong_type(expected),
        })
        .shown(|value| (*value).into())
    }

    /// A whole number within `range`.
    pub(super) fn integer<N>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<N>,
    ) -> Entry<'_, 'a, N>
    where
        N: TryFrom<i128> + Into<u64> + Copy + 'static,
    {
        let (low, high): (u64, u64) = ((*range.start()).into(), (*range.end()).into());
        let expected = format!("a whole number from {low} to {high}");
        self.read(key, expected.clone(), |found| {
            let number = whole_number(found, &expected)?;
            if (i128::from(low)..=i128::from(high)).contains(&number) {
                N::try_from(number).ok()
            } else {
                found.refuse(format!("{number} is out of range"), expected)
            }
        })
        .shown(|value| (*value).into().into())
    }

    /// A length of time.
    pub(super) fn duration(&mut self, key: &'static str, zero: Zero) -> Entry<'_, 'a, Duration> {
        self.read(key, DURATION, |found| duration(found, zero))
            .shown(effective::duration)
    }

    /// A number of bytes.
    pub(super) fn size(&mut self, key: &'static str, zero: Zero) -> Entry<'_, 'a, u64> {
        self.read(key, SIZE, |found| size(found, zero))
            .shown(|bytes| effective::size(*bytes))
    }

    /// A number of bytes that are held in memory.
    pub(super) fn memory(&mut self, key: &'static str, zero: Zero) -> Entry<'_, 'a, usize> {
        self.read(key, SIZE, |found| {
            let bytes = size(found, zero)?;
            match usize::try_from(bytes) {
                Ok(bytes) => Some(bytes),
                Err(_) => found.refuse(format!("{bytes} bytes do not fit into memory"), SIZE),
            }
        })
        .shown(|bytes| effective::size(*bytes as u64))
    }

    /// One of the words in `choices`.
    pub(super) fn choice<T: Copy + PartialEq + 'static>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Entry<'_, 'a, T> {
        let words: Vec<String> = choices
            .iter()
            .map(|(word, _)| format!("{word:?}"))
            .collect();
        let expected = match words.as_slice() {
            [word] => word.clone(),
            words => format!("one of {}", words.join(", ")),
        };
        let known = choices.to_vec();
        self.read(key, expected.clone(), |found| {
            let text = found.text(&expected)?;
            if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
                return Some(*value);
            }
            let mut finding = found
                .finding(format!("{} is not known", quoted(text)))
                .expected(expected);
            if let Some(near) = nearest(text, choices.iter().map(|(word, _)| *word)) {
                finding = finding.help(format!("did you mean {near:?}?"));
            }
            found.findings().push(finding);
            None
        })
        .shown(move |value| {
            let known = known.iter().find(|(_, known)| known == value);
            known.map_or(Value::Null, |(word, _)| (*word).into())
        })
    }

    /// A file that is there; relative to the directory of the configuration.
    pub(super) fn file(&mut self, key: &'static str) -> Entry<'_, 'a, PathBuf> {
        let expected = "the path of a file";
        self.read(key, expected, |found| {
            let text = found.text(expected)?;
            let path = found.findings().resolve(text);
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    found.refuse(format!("{} is a directory", path.display()), expected)
                }
                Ok(_) => Some(path),
                Err(error) => {
                    found.refuse(format!("cannot find {}: {error}", path.display()), expected)
                }
            }
        })
    }

    /// A string that `parse` understands; its error says what is wrong.
    pub(super) fn parsed<T, E: ToString>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Entry<'_, 'a, T> {
        self.read(key, expected, |found| parsed(found, expected, parse))
    }
}

/// A string that `parse` understands; its error says what is wrong.
pub(super) fn parsed<T, E: ToString>(
    found: &Found<'_>,
    expected: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    match parse(found.text(expected)?) {
        Ok(value) => Some(value),
        Err(error) => found.refuse(error.to_string(), expected),
    }
}

fn whole_number(found: &Found<'_>, expected: &str) -> Option<i128> {
    let DeValue::Integer(integer) = found.value() else {
        return found.wrong_type(expected);
    };
    match i128::from_str_radix(integer.as_str(), integer.radix()) {
        Ok(number) => Some(number),
        Err(_) => found.refuse(format!("{integer} is out of range"), expected),
    }
}

pub(super) fn duration(found: &Found<'_>, zero: Zero) -> Option<Duration> {
    if let DeValue::Integer(_) = found.value() {
        return found.refuse(
            format!("found {} without a unit", found.describe()),
            DURATION,
        );
    }
    let text = found.text(DURATION)?;
    match parse_duration(text) {
        Ok(Duration::ZERO) if zero == Zero::Refused => {
            let finding = found.finding("the duration is zero").expected(DURATION);
            let finding = finding.help("zero does not mean \"for ever\"; write a long duration");
            found.findings().push(finding);
            None
        }
        Ok(duration) => Some(duration),
        Err(message) => found.refuse(message, DURATION),
    }
}

fn size(found: &Found<'_>, zero: Zero) -> Option<u64> {
    let parsed = match found.value() {
        DeValue::Integer(_) => {
            let bytes = whole_number(found, SIZE)?;
            u64::try_from(bytes)
                .ok()
                .filter(|bytes| *bytes <= SIZE_MAX)
                .ok_or_else(|| format!("{bytes} is out of range"))
        }
        _ => parse_size(found.text(SIZE)?),
    };
    match parsed {
        Ok(0) if zero == Zero::Refused => {
            let finding = found.finding("the size is zero").expected(SIZE);
            let finding = finding.help("zero does not mean \"no limit\"; write a large size");
            found.findings().push(finding);
            None
        }
        Ok(bytes) => Some(bytes),
        Err(message) => found.refuse(message, SIZE),
    }
}

/// Splits `"10s"` into its number and its unit.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.strip_prefix(' ').unwrap_or(unit)))
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("{} is not a duration", quoted(text));
    let (number, unit) = number_and_unit(text).ok_or_else(refused)?;
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" => return Err(format!("{} has no unit", quoted(text))),
        _ => return Err(refused()),
    };
    number
        .checked_mul(unit_ms)
        .map(Duration::from_millis)
        .filter(|duration| *duration <= DURATION_MAX)
        .ok_or_else(|| format!("{} is longer than a year", quoted(text)))
}

pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let refused = || format!("{} is not a size", quoted(text));
    let (number, unit) = number_and_unit(text).ok_or_else(refused)?;
    let unit_bytes: u64 = match unit {
        "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "" => return Err(format!("{} has no unit", quoted(text))),
        _ => return Err(refused()),
    };
    number
        .checked_mul(unit_bytes)
        .filter(|bytes| *bytes <= SIZE_MAX)
        .ok_or_else(|| format!("{} is out of range", quoted(text)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn durations_carry_units() {
        assert_eq!(parse_duration("10s").unwrap(), Duration::from_secs(10));
        assert_eq!(parse_duration("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(parse_duration("2m").unwrap(), Duration::from_secs(120));
        assert_eq!(parse_duration("1h").unwrap(), Duration::from_secs(3600));
        for wrong in [
            "",
            "s",
            "10",
            "1.5s",
            "-1s",
            "10 s ",
            "10S",
            "99999999999999999999s",
            "9000h",
            "١s",
        ] {
            assert!(parse_duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn binary_and_decimal_sizes_differ() {
        assert_eq!(parse_size("32KiB").unwrap(), 32_768);
        assert_eq!(parse_size("32KB").unwrap(), 32_000);
        assert_eq!(parse_size("64MiB").unwrap(), 67_108_864);
        assert_eq!(parse_size("1GiB").unwrap(), 1 << 30);
        for wrong in [
            "",
            "KiB",
            "12",
            "1kb",
            "-1KiB",
            "1.5MiB",
            "18446744073709551615GiB",
        ] {
            assert!(parse_size(wrong).is_err(), "{wrong:?}");
        }
    }
}
