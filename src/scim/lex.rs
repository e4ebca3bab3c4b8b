//! A cursor over text, shared by the filter and the PATCH path parser (RFC 7644 §3.4.2.2, §3.5.2).
//!
//! It knows characters, white space and where a quoted string ends, and it can say where it stands. It never
//! allocates, never looks back and knows nothing of attributes or operators.

/// A place in a text. Copying it is how a parser looks ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// A cursor before the first character of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, rest: text }
    }

    /// What follows the cursor.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    /// The next character, left where it is.
    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// How many characters stand before the cursor, plus one: the position as a person counts it.
    pub(super) fn position(&self) -> usize {
        let before = self.text.len().saturating_sub(self.rest.len());
        self.text.get(..before).map_or(0, |before| before.chars().count()) + 1
    }

    /// Steps over `wanted` if it comes next.
    pub(super) fn eat(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            None => false,
            Some(rest) => {
                self.rest = rest;
                true
            }
        }
    }

    /// Steps over the characters that `belongs` accepts and returns them.
    pub(super) fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Steps over white space. The RFC's grammar has exactly one space; people and URL encoders write more.
    pub(super) fn skip_space(&mut self) {
        self.take_while(is_space);
    }

    /// Steps over a quoted string and returns it with its quotes, escapes as they are. `None`, without a step, when no
    /// quote comes next or the closing one is missing.
    pub(super) fn quoted(&mut self) -> Option<&'a str> {
        let inside = self.rest.strip_prefix('"')?;
        let mut escaped = false;
        for (offset, c) in inside.char_indices() {
            match c {
                '"' if !escaped => {
                    // The opening and the closing quote are one byte each.
                    let (taken, rest) = self.rest.split_at_checked(offset + 2)?;
                    self.rest = rest;
                    return Some(taken);
                }
                '\\' => escaped = !escaped,
                _ => escaped = false,
            }
        }
        None
    }
}

/// White space between the words of a filter.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_string_ends_at_the_first_quote_that_is_not_escaped() {
        for (text, taken, rest) in [
            (r#""a" and"#, r#""a""#, " and"),
            (r#""""#, r#""""#, ""),
            (r#""a\"b"c"#, r#""a\"b""#, "c"),
            (r#""a\\"b"#, r#""a\\""#, "b"),
            (r#""a]é" ü"#, r#""a]é""#, " ü"),
        ] {
            let mut cursor = Cursor::new(text);
            assert_eq!(cursor.quoted(), Some(taken), "{text}");
            assert_eq!(cursor.rest(), rest, "{text}");
        }
        for text in ["", "a", "\"", r#""a\""#, r#""a\\\""#] {
            let mut cursor = Cursor::new(text);
            assert_eq!(cursor.quoted(), None, "{text}");
            assert_eq!(cursor.rest(), text, "{text}");
        }
    }

    #[test]
    fn positions_count_characters_from_one() {
        let mut cursor = Cursor::new("éü x");
        assert_eq!(cursor.position(), 1);
        assert_eq!(cursor.take_while(|c| !is_space(c)), "éü");
        assert_eq!(cursor.position(), 3);
        cursor.skip_space();
        assert!(!cursor.eat('y') && cursor.eat('x') && !cursor.eat('x'));
        assert_eq!((cursor.position(), cursor.peek()), (5, None));
    }
}
