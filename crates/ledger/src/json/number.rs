//! Numbers, as decimals: exact, whatever their size.
//!
//! A decimal of the digits d₁…d_k (no zeros at either end) and the value 0.d₁…d_k × 10ⁿ is laid
//! out as ECMAScript's `Number::toString` lays one out. Where RFC 8785 loses nothing, that is what
//! RFC 8785 prints; where a double could not hold the number, all its digits stay.

use alloc::format;
use alloc::string::String;

use super::output::Output;
use crate::value::ValueError;

/// The largest power of ten that a canonical exponent may name, up or down.
const MAX_EXPONENT: i64 = 999_999_999;

/// The parts of a number as it was written: the digits before the point (never empty, a leading
/// zero only alone), those after it, and the exponent as (goes down, digits).
pub(crate) struct Literal<'a> {
    pub negative: bool,
    pub integer: &'a str,
    pub fraction: &'a str,
    pub exponent: Option<(bool, &'a str)>,
}

impl Literal<'_> {
    /// Writes the number canonically.
    pub(crate) fn write<O: Output>(&self, out: &mut O) -> Result<(), ValueError> {
        if !self.is_canonical() {
            return out.put(&self.canonical()?);
        }
        if self.negative {
            out.put("-")?;
        }
        out.put(self.integer)?;
        if !self.fraction.is_empty() {
            out.put(".")?;
            out.put(self.fraction)?;
        }
        Ok(())
    }

    /// Tells quickly whether the number stands there as it should. `false` may be wrong for
    /// numbers that have an exponent.
    fn is_canonical(&self) -> bool {
        let zero = self.integer == "0";
        let leading = self.fraction.bytes().take_while(|digit| *digit == b'0').count();
        self.exponent.is_none()
            && self.integer.len() <= 21
            && if self.fraction.is_empty() {
                !(zero && self.negative)
            } else {
                !(self.fraction.ends_with('0') || zero && leading > 5)
            }
    }

    /// The canonical form, however the number is written.
    fn canonical(&self) -> Result<String, ValueError> {
        let all = format!("{}{}", self.integer, self.fraction);
        let digits = all.trim_start_matches('0');
        let leading = all.len() - digits.len();
        let digits = digits.trim_end_matches('0');
        if digits.is_empty() {
            return Ok(String::from("0"));
        }
        let n = length(self.integer.len() - self.integer.len().min(leading))
            - length(leading.saturating_sub(self.integer.len()));
        let n = n.saturating_add(self.power());
        if (n - 1).abs() > MAX_EXPONENT {
            return Err(ValueError::NumberOutOfRange);
        }
        Ok(self.lay_out(digits, n))
    }

    /// The exponent as a number; far out of range if it has very many digits.
    fn power(&self) -> i64 {
        let Some((down, digits)) = self.exponent else {
            return 0;
        };
        let power = digits
            .bytes()
            .try_fold(0i64, |sum, digit| sum.checked_mul(10)?.checked_add(i64::from(digit - b'0')))
            .unwrap_or(i64::MAX)
            .min(i64::MAX / 4);
        if down { -power } else { power }
    }

    /// ECMAScript's `Number::toString`, for base ten and any number of digits.
    fn lay_out(&self, digits: &str, n: i64) -> String {
        let sign = if self.negative { "-" } else { "" };
        let k = length(digits.len());
        let cut = |at: i64| digits.split_at_checked(usize::try_from(at).unwrap_or(0));
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
        if k <= n && n <= 21 {
            format!("{sign}{digits}{}", zeros(n - k))
        } else if 0 < n && n <= 21 {
            let (whole, part) = cut(n).unwrap_or((digits, ""));
            format!("{sign}{whole}.{part}")
        } else if -6 < n && n <= 0 {
            format!("{sign}0.{}{digits}", zeros(-n))
        } else {
            let (first, rest) = cut(1).unwrap_or((digits, ""));
            let point = if rest.is_empty() { "" } else { "." };
            format!("{sign}{first}{point}{rest}e{:+}", n - 1)
        }
    }
}

/// A length as a signed number. No text is anywhere near 2⁶³ bytes long.
fn length(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::super::Scanner;
    use super::*;

    fn canonical(text: &str) -> String {
        let mut out = String::new();
        Scanner::new(text).number().unwrap().write(&mut out).unwrap();
        out
    }

    /// RFC 8785, appendix B: the IEEE 754 samples, and what has no double.
    #[test]
    fn samples() {
        for (text, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.000e77777777777777777777", "0"),
            ("5e-324", "5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("9007199254740992", "9007199254740992"),
            ("295147905179352830000", "295147905179352830000"),
            ("9.999999999999997e22", "9.999999999999997e+22"),
            ("1e23", "1e+23"),
            ("999999999999999700000", "999999999999999700000"),
            ("1e21", "1e+21"),
            ("9.999999999999997e-7", "9.999999999999997e-7"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("333333333.33333325", "333333333.33333325"),
            ("-0.0000033333333333333333", "-0.0000033333333333333333"),
            ("1424953923781206.2", "1424953923781206.2"),
            ("1.0", "1"),
            ("1e0", "1"),
            ("10e-1", "1"),
            ("0.1", "0.1"),
            ("1e-1", "0.1"),
            ("12345678901234567890", "12345678901234567890"),
            ("1e400", "1e+400"),
            ("1234567890123456789012", "1.234567890123456789012e+21"),
            ("100E+2", "10000"),
        ] {
            assert_eq!(canonical(text), expected, "{text}");
        }
        let huge = Scanner::new("1e1000000001").number().unwrap().canonical();
        assert_eq!(huge, Err(ValueError::NumberOutOfRange));
        let tiny = Scanner::new("1e-99999999999999999999999").number().unwrap().canonical();
        assert_eq!(tiny, Err(ValueError::NumberOutOfRange));
    }

    proptest::proptest! {
        #[test]
        fn the_short_cut_agrees(text in "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?") {
            let literal = Scanner::new(&text).number().unwrap();
            if literal.is_canonical() {
                assert_eq!(literal.canonical().unwrap(), text);
            }
            let once = canonical(&text);
            assert_eq!(canonical(&once), once);
        }

        /// Whatever a double prints as is what RFC 8785 prints, up to the layout.
        #[test]
        fn doubles_keep_their_value(double: f64) {
            proptest::prop_assume!(double.is_finite());
            let printed = canonical(&double.to_string());
            let back: f64 = printed.parse().unwrap();
            assert_eq!(back, double);
            assert_eq!(canonical(&std::format!("{double:e}")), printed);
        }
    }
}
