//! How long a record is valid: RFC 3339 moments with nanoseconds, as an IPNS record's `Validity`
//! has them (`2123-11-22T12:34:56.000000000Z`).
//!
//! Source: <https://specs.ipfs.tech/ipns/ipns-record/>, "Validity (bytes)"; RFC 3339, section 5.6.

use core::fmt;

use handfast_keys::Timestamp;

const DAY: i64 = 86_400;
/// 9999-12-31T23:59:59Z; RFC 3339 has four digits for the year.
const LAST_SECOND: i64 = 253_402_300_799;

/// The end of a record's life, to the nanosecond.
///
/// Other implementations write EOLs with nanoseconds, with fewer digits, or at an offset from UTC;
/// all of them are read, and ordered by the moment that they mean. Ours are written in UTC with
/// nine digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Eol {
    /// Seconds since the Unix epoch; negative before it.
    seconds: i64,
    nanos: u32,
}

/// A moment that is none, or that RFC 3339 cannot express.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EolError {
    /// Not an RFC 3339 date and time.
    #[error("not an RFC 3339 date and time")]
    Malformed,
    /// After the year 9999.
    #[error("a moment after the year 9999 cannot be written in RFC 3339")]
    TooFar,
}

impl Eol {
    /// The end of life at this moment.
    pub fn at(moment: Timestamp) -> Result<Self, EolError> {
        let seconds = i64::try_from(moment.0 / 1000).map_err(|_| EolError::TooFar)?;
        if seconds > LAST_SECOND {
            return Err(EolError::TooFar);
        }
        let nanos = u32::try_from(moment.0 % 1000 * 1_000_000).map_err(|_| EolError::TooFar)?;
        Ok(Self { seconds, nanos })
    }

    /// Reads `YYYY-MM-DDThh:mm:ss[.fraction](Z|±hh:mm)`, with up to nine digits of fraction.
    pub fn parse(text: &[u8]) -> Result<Self, EolError> {
        read(&mut Reader(text)).ok_or(EolError::Malformed)
    }

    /// Tells whether this end of life has come at `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        let seconds = i64::try_from(now.0 / 1000).unwrap_or(i64::MAX);
        let nanos = u32::try_from(now.0 % 1000 * 1_000_000).unwrap_or(0);
        *self <= Self { seconds, nanos }
    }

    /// The millisecond that this moment is in; the epoch for moments before it.
    pub fn timestamp(&self) -> Timestamp {
        let seconds = u64::try_from(self.seconds).ok();
        seconds.map_or(Timestamp(0), |seconds| {
            Timestamp(
                seconds.saturating_mul(1000).saturating_add(u64::from(self.nanos / 1_000_000)),
            )
        })
    }
}

/// Consumes digits and separators from the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn next_is(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.next_is(byte).then_some(())
    }

    fn digit(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first()?;
        let digit = char::from(*first).to_digit(10)?;
        self.0 = rest;
        Some(digit)
    }

    fn number<const DIGITS: usize>(&mut self) -> Option<i64> {
        (0..DIGITS).try_fold(0, |number, _| Some(number * 10 + i64::from(self.digit()?)))
    }

    /// A fraction of a second in nanoseconds: one to nine digits.
    fn fraction(&mut self) -> Option<u32> {
        let mut nanos = self.digit()? * 100_000_000;
        let mut unit = 10_000_000;
        while let Some(digit) = self.digit() {
            if unit == 0 {
                return None;
            }
            nanos += digit * unit;
            unit /= 10;
        }
        Some(nanos)
    }

    /// The offset from UTC in seconds.
    fn offset(&mut self) -> Option<i64> {
        if self.next_is(b'Z') {
            return Some(0);
        }
        let sign = if self.next_is(b'-') {
            -1
        } else {
            self.expect(b'+')?;
            1
        };
        let hours = self.number::<2>().filter(|hours| *hours < 24)?;
        self.expect(b':')?;
        let minutes = self.number::<2>().filter(|minutes| *minutes < 60)?;
        Some(sign * (hours * 3600 + minutes * 60))
    }
}

fn read(text: &mut Reader<'_>) -> Option<Eol> {
    let year = text.number::<4>()?;
    text.expect(b'-')?;
    let month = text.number::<2>()?;
    text.expect(b'-')?;
    let day = text.number::<2>()?;
    text.expect(b'T')?;
    let hour = text.number::<2>().filter(|hour| *hour < 24)?;
    text.expect(b':')?;
    let minute = text.number::<2>().filter(|minute| *minute < 60)?;
    text.expect(b':')?;
    let second = text.number::<2>().filter(|second| *second < 60)?;
    let nanos = if text.next_is(b'.') { text.fraction()? } else { 0 };
    let offset = text.offset()?;
    if !text.0.is_empty() || day < 1 || day > days_of(year, month)? {
        return None;
    }
    let seconds =
        days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    Some(Eol { seconds, nanos })
}

fn days_of(year: i64, month: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 if leap => Some(29),
        2 => Some(28),
        _ => None,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar. The year is counted from
/// March, so that the leap day is its last; 400 years are always 146 097 days.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date that is so many days after 1970-01-01: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for Eol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.seconds.div_euclid(DAY));
        let second = self.seconds.rem_euclid(DAY);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:09}Z",
            second / 3600,
            second / 60 % 60,
            second % 60,
            self.nanos
        )
    }
}

impl fmt::Debug for Eol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Eol({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Eol, EolError> {
        Eol::parse(text.as_bytes())
    }

    /// Seconds computed by GNU `date --utc --date=… +%s`.
    #[test]
    fn known_moments() {
        for (text, seconds, nanos) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("1970-01-01T00:00:00.000000001Z", 0, 1),
            ("1969-12-31T23:59:59.9Z", -1, 900_000_000),
            ("2000-02-29T12:00:00Z", 951_825_600, 0),
            ("2100-03-01T00:00:00Z", 4_107_542_400, 0),
            ("2123-11-22T12:34:56.123456789Z", 4_856_330_096, 123_456_789),
            ("2024-12-31T23:30:00-01:30", 1_735_693_200, 0),
            ("2025-01-01T01:00:00.5+01:00", 1_735_689_600, 500_000_000),
            ("9999-12-31T23:59:59.999999999Z", LAST_SECOND, 999_999_999),
        ] {
            assert_eq!(parse(text), Ok(Eol { seconds, nanos }), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_moments() {
        for text in [
            "",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01 00:00:00Z",
            "2024-01-01t00:00:00z",
            "2024-1-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2024-04-31T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-12-31T23:59:60Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00.0000000000Z",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00+0100",
            "2024-01-01T00:00:00Z ",
            "+024-01-01T00:00:00Z",
            "12024-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), Err(EolError::Malformed), "{text}");
        }
        assert_eq!(Eol::at(Timestamp(253_402_300_800_000)), Err(EolError::TooFar));
        assert_eq!(Eol::at(Timestamp(u64::MAX)), Err(EolError::TooFar));
    }

    #[test]
    fn over_when_its_moment_has_come() {
        let eol = parse("1970-01-01T00:00:01.000000001Z").unwrap();
        assert!(!eol.is_over(Timestamp(1000)));
        assert!(eol.is_over(Timestamp(1001)));
        assert!(eol.is_over(Timestamp(u64::MAX)));
        let whole = Eol::at(Timestamp(1000)).unwrap();
        assert!(!whole.is_over(Timestamp(999)));
        assert!(whole.is_over(Timestamp(1000)));
        assert_eq!(parse("1969-01-01T00:00:00Z").unwrap().timestamp(), Timestamp(0));
    }

    proptest! {
        #[test]
        fn written_and_read(millis in 0..=253_402_300_799_999_u64) {
            let eol = Eol::at(Timestamp(millis)).unwrap();
            prop_assert_eq!(eol.timestamp(), Timestamp(millis));
            prop_assert_eq!(Eol::parse(eol.to_string().as_bytes()), Ok(eol));
            prop_assert_eq!(eol.to_string().len(), 30);
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>, text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.Z+-]*") {
            let _ = Eol::parse(&bytes);
            if let Ok(eol) = parse(&text) {
                let _ = (eol.to_string(), eol.timestamp());
            }
        }
    }
}
