//! Postgres's `numeric` on the wire: groups of four decimal digits, and the
//! scale that the text had (`numeric_send` in the server's `numeric.c`).
//!
//! Written here because the driver's decimal types keep the value and lose the
//! scale: `-12.50` came back as `-12.5000`.

use sqlx::error::BoxDynError;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
/// Digits per group.
const GROUP: usize = 4;
/// Postgres keeps up to 131,072 digits; what people store has a few dozen.
const DIGITS: usize = 1_000;

/// The wire form of `-12.50`; none for a text that is not a plain decimal.
pub(super) fn encode(text: &str) -> Option<Vec<u8>> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (NEGATIVE, rest),
        None => (POSITIVE, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() > DIGITS || digits.is_empty() || digits == "." || !plain(whole) || !plain(fraction)
    {
        return None;
    }
    // Zeros on both ends fill up the groups next to the point.
    let lead = (GROUP - whole.len() % GROUP) % GROUP;
    let tail = (GROUP - fraction.len() % GROUP) % GROUP;
    let padded = format!("{}{whole}{fraction}{}", "0".repeat(lead), "0".repeat(tail));
    let groups =
        padded.as_bytes().chunks(GROUP).map(|group| group.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0')));
    let groups: Vec<u16> = groups.collect();
    let weight = i16::try_from((whole.len() + lead) / GROUP).ok()? - 1;
    let mut wire = Vec::with_capacity(8 + groups.len() * 2);
    wire.extend_from_slice(&u16::try_from(groups.len()).ok()?.to_be_bytes());
    wire.extend_from_slice(&weight.to_be_bytes());
    wire.extend_from_slice(&sign.to_be_bytes());
    wire.extend_from_slice(&u16::try_from(fraction.len()).ok()?.to_be_bytes());
    groups.iter().for_each(|group| wire.extend_from_slice(&group.to_be_bytes()));
    Some(wire)
}

/// The text of a number on the wire, as Postgres itself would print it.
pub(super) fn decode(wire: &[u8]) -> Result<String, BoxDynError> {
    let words: Vec<u16> = wire.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let [count, weight, sign, scale, groups @ ..] = words.as_slice() else {
        return Err("a numeric without its head".into());
    };
    match *sign {
        POSITIVE | NEGATIVE if groups.len() == usize::from(*count) => {}
        NAN => return Ok("NaN".to_owned()),
        sign => return Err(format!("a numeric of sign {sign:#x} with {} of {count} groups", groups.len()).into()),
    }
    let weight = i32::from(weight.cast_signed());
    let group = |position: i32| {
        // The first group stands at `weight`; those that are all zero are left out.
        let index = usize::try_from(weight - position).ok();
        index.and_then(|index| groups.get(index)).copied().unwrap_or(0)
    };
    let mut text = String::new();
    for position in (0..=weight.max(0)).rev() {
        text.push_str(&format!("{:04}", group(position)));
    }
    let whole = text.trim_start_matches('0');
    let mut text = if whole.is_empty() { "0".to_owned() } else { whole.to_owned() };
    if *scale > 0 {
        let groups_after = i32::from(scale.div_ceil(4));
        let fraction: String = (1..=groups_after).map(|after| format!("{:04}", group(-after))).collect();
        text.push('.');
        text.push_str(&fraction[..usize::from(*scale)]);
    }
    Ok(if *sign == NEGATIVE { format!("-{text}") } else { text })
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn numbers_keep_their_value_and_their_scale() {
        for text in [
            "0",
            "1",
            "-1",
            "9999",
            "10000",
            "12.50",
            "-12.5000",
            "0.001",
            "0.00010",
            "123456789.987654321",
            "100000000",
        ] {
            assert_eq!(decode(&encode(text).expect("a number")).expect("a number"), text);
        }
        assert_eq!(decode(&encode("007.5").expect("a number")).expect("a number"), "7.5");
        assert_eq!(decode(&encode("+.5").expect("a number")).expect("a number"), "0.5");
    }

    #[test]
    fn what_is_no_plain_decimal_is_refused() {
        for text in ["", "-", ".", "1e5", "1,5", "NaN", "one", "--1", &"9".repeat(2_000)] {
            assert_eq!(encode(text), None, "{text}");
        }
        assert!(decode(&[0, 1]).is_err());
        assert!(decode(&[0, 9, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
