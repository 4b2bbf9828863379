//! Dates as RFC 3339 in UTC, computed anew only when the second changes.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut, BytesMut};

const SECONDS_PER_DAY: u64 = 86_400;

/// The last second written, as text.
#[derive(Debug)]
pub(super) struct DateCache {
    second: u64,
    text: [u8; 19],
}

impl Default for DateCache {
    fn default() -> Self {
        Self {
            second: 0,
            text: *b"1970-01-01T00:00:00",
        }
    }
}

impl DateCache {
    /// Appends `time` as in `2026-11-22T10:15:30.123Z`.
    pub(super) fn write(&mut self, time: SystemTime, output: &mut BytesMut) {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.second != since_epoch.as_secs() {
            self.second = since_epoch.as_secs();
            self.text = text(self.second);
        }
        output.extend_from_slice(&self.text);
        let milliseconds = u64::from(since_epoch.subsec_millis());
        output.put_u8(b'.');
        let mut digits = [0; 3];
        put(&mut digits, milliseconds);
        output.extend_from_slice(&digits);
        output.put_u8(b'Z');
    }
}

fn text(second: u64) -> [u8; 19] {
    // A four-digit year ends with 9999; nobody's clock is right beyond it.
    const LAST: u64 = 253_402_300_799;
    let second = second.min(LAST);
    let (year, month, day) = civil(second / SECONDS_PER_DAY);
    let of_day = second % SECONDS_PER_DAY;
    let mut text = *b"0000-00-00T00:00:00";
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], of_day / 3600);
    put(&mut text[14..16], of_day / 60 % 60);
    put(&mut text[17..19], of_day % 60);
    text
}

/// Fills `digits` with the decimal end of `value`.
fn put(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).expect("below ten");
        value /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Counts in years that begin in March, so that a leap day comes last, and in eras of
/// 400 years, which all have the same number of days.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_PER_ERA: u64 = 146_097;
    /// From 0000-03-01 to 1970-01-01.
    const EPOCH: u64 = 719_468;
    let days = days + EPOCH;
    let era = days / DAYS_PER_ERA;
    let of_era = days % DAYS_PER_ERA;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn written(cache: &mut DateCache, milliseconds: u64) -> String {
        let mut output = BytesMut::new();
        cache.write(
            UNIX_EPOCH + Duration::from_millis(milliseconds),
            &mut output,
        );
        String::from_utf8_lossy(&output).into_owned()
    }

    #[test]
    fn known_moments_are_written_right() {
        let mut cache = DateCache::default();
        for (milliseconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_007, "2024-02-29T23:59:59.007Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_000, "9999-12-31T23:59:59.000Z"),
            (999_253_402_300_799_000, "9999-12-31T23:59:59.000Z"),
            (1_000, "1970-01-01T00:00:01.000Z"),
        ] {
            assert_eq!(written(&mut cache, milliseconds), expected);
        }
        let mut output = BytesMut::new();
        cache.write(UNIX_EPOCH - Duration::from_secs(1), &mut output);
        assert_eq!(&output[..], b"1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let length = |year: u64, month: u64| match month {
            2 if year.is_multiple_of(4)
                && (!year.is_multiple_of(100) || year.is_multiple_of(400)) =>
            {
                29
            }
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(civil(days), (year, month, day));
            day += 1;
            if day > length(year, month) {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
