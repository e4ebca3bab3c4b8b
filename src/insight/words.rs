//! Texts for people: lengths of time, shares, and what directories call their people.

use std::time::Duration;

use crate::moment::Timestamp;
use crate::store::settings::Brake;

/// Characters of a directory's text that are shown.
const SHOWN_CHARS: usize = 300;

/// Characters of a time that people read: to the second.
const TIME_CHARS: usize = "2026-11-21T08:00:00".len();

/// A directory's text as a terminal may have it: control characters and those that turn the direction of a line are
/// written as codes, and what is very long is cut.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(SHOWN_CHARS));
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN_CHARS {
            shown.push('…');
            break;
        }
        if is_harmless(c) { shown.push(c) } else { shown.extend(c.escape_unicode()) }
    }
    shown
}

/// When the brake on mass changes acts.
pub fn brake(brake: &Brake) -> String {
    let count = brake.count.map(|count| counted(count, "person", "people"));
    let percent = brake.percent.map(|percent| format!("{percent} % of the people"));
    let limits: Vec<String> = count.into_iter().chain(percent).collect();
    let Brake { window_minutes, budget, .. } = brake;
    format!("{} within {window_minutes} minutes, and {budget} always", limits.join(" or "))
}

/// Whether a character only shows itself.
pub fn is_harmless(c: char) -> bool {
    let turns = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    !c.is_control() && !turns
}

/// A length of time in whole units, rounded down.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    counted(count, unit, &format!("{unit}s"))
}

/// A count with its noun.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A number with commas.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A share in percent, rounded down so that no limit seems passed that is not.
pub fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0)
}

/// A time to the second, in UTC.
pub fn second(time: Timestamp) -> String {
    let text = time.to_string();
    text.get(..TIME_CHARS).unwrap_or(&text).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_reaches_the_terminal() {
        assert_eq!(
            plain("O'Brien \"Bo\" Müller-Łuk 王 e\u{301}"),
            "O'Brien \"Bo\" Müller-Łuk 王 e\u{301}"
        );
        assert_eq!(plain("\u{1b}[2Jgone\u{7}\r\n"), "\\u{1b}[2Jgone\\u{7}\\u{d}\\u{a}");
        assert_eq!(plain("a\u{9b}31mb\u{202e}c\u{2028}"), "a\\u{9b}31mb\\u{202e}c\\u{2028}");
        assert_eq!(plain("<script>alert(1)</script>"), "<script>alert(1)</script>");
        let long = plain(&"x".repeat(70_000));
        assert_eq!((long.len(), long.ends_with('…')), (303, true));
    }

    #[test]
    fn numbers_and_times_are_short() {
        let spans = [0, 1, 119, 120, 7_199, 7_200, 25_200, 172_800].map(Duration::from_secs);
        let told = ["0 seconds", "1 second", "119 seconds", "2 minutes", "119 minutes", "2 hours"];
        assert_eq!(spans.map(span)[..6], told);
        assert_eq!(spans.map(span)[6..], ["7 hours", "2 days"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([percent(46, 100), percent(399, 1_000), percent(1, 0)], [46, 39, 0]);
    }
}
