//! The decoder. Its order of checks is that of CPython's `_json.c`, because the
//! order decides which of two errors is reported, and where.

use super::Value;

/// Python stops at about 1,000 levels, by the size of its stack; a guest has a
/// smaller one, and no task has more than three.
const MAX_DEPTH: usize = 64;
const BAD_UNICODE: &str = "Invalid \\uXXXX escape";

/// Why a text is not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// `JSONDecodeError`.
    Syntax {
        /// Python's words.
        message: &'static str,
        /// Where, in characters from the start.
        position: usize,
    },
    /// `RecursionError`.
    TooDeep,
}

/// Decodes a whole text.
///
/// # Errors
/// What Python would raise. Three texts that Python takes are errors here,
/// because FastAPI answers 500 to them: `NaN`, `Infinity` and half a surrogate
/// pair.
pub fn decode(text: &str) -> Result<Value, Error> {
    let mut decoder = Decoder { text, at: 0, depth: 0, half_pair: None };
    decoder.whitespace();
    let value = decoder.value()?;
    decoder.whitespace();
    if decoder.at < text.len() {
        return Err(decoder.error("Extra data"));
    }
    match decoder.half_pair {
        Some(at) => Err(decoder.error_at(BAD_UNICODE, at)),
        None => Ok(value),
    }
}

struct Decoder<'a> {
    text: &'a str,
    /// The next byte; always at the start of a character.
    at: usize,
    depth: usize,
    /// Where half a surrogate pair stands. Python takes it, so it must not hide
    /// an error that comes after it.
    half_pair: Option<usize>,
}

impl Decoder<'_> {
    fn value(&mut self) -> Result<Value, Error> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::Str),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            _ => self.number(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Error>) -> Result<Value, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        self.at += 1;
        self.whitespace();
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// After `{` and whitespace.
    fn object(&mut self) -> Result<Value, Error> {
        let mut fields: Vec<(String, Value)> = Vec::new();
        if self.take(b'}') {
            return Ok(Value::Map(fields));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.error("Expecting property name enclosed in double quotes"));
            }
            let name = self.string()?;
            self.whitespace();
            if !self.take(b':') {
                return Err(self.error("Expecting ':' delimiter"));
            }
            self.whitespace();
            let value = self.value()?;
            // As in a Python dict, the last value wins and keeps the first place.
            match fields.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => fields.push((name, value)),
            }
            if self.ends(b'}')? {
                return Ok(Value::Map(fields));
            }
        }
    }

    /// After `[` and whitespace.
    fn array(&mut self) -> Result<Value, Error> {
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value()?);
            if self.ends(b']')? {
                return Ok(Value::List(items));
            }
        }
    }

    /// After an item: whether the container ends here, or goes on after a comma.
    fn ends(&mut self, close: u8) -> Result<bool, Error> {
        self.whitespace();
        if self.take(close) {
            return Ok(true);
        }
        if !self.take(b',') {
            return Err(self.error("Expecting ',' delimiter"));
        }
        self.whitespace();
        Ok(false)
    }

    fn string(&mut self) -> Result<String, Error> {
        let begin = self.at;
        let unterminated = |decoder: &Self| decoder.error_at("Unterminated string starting at", begin);
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)).count();
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                None => return Err(unterminated(self)),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') if self.at + 1 == self.text.len() => return Err(unterminated(self)),
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => return Err(self.error("Invalid control character at")),
            }
        }
    }

    /// At a backslash that is not the last character.
    fn escape(&mut self) -> Result<char, Error> {
        let plain = match self.text.as_bytes()[self.at + 1] {
            b'u' => return self.unicode(),
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            same @ (b'"' | b'\\' | b'/') => char::from(same),
            _ => return Err(self.error("Invalid \\escape")),
        };
        self.at += 2;
        Ok(plain)
    }

    /// At the backslash of `\u`; takes the second half of a pair as well.
    fn unicode(&mut self) -> Result<char, Error> {
        let begin = self.at;
        let high = self.hex()?;
        let before = self.at;
        if (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with("\\u") {
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                let pair = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before;
        }
        Ok(char::from_u32(high).unwrap_or_else(|| {
            self.half_pair.get_or_insert(begin + 1);
            char::REPLACEMENT_CHARACTER
        }))
    }

    /// The four digits of `\u`. Like Python, wants one more character after them,
    /// as a string cannot end there.
    fn hex(&mut self) -> Result<u32, Error> {
        let digits = self.text.as_bytes().get(self.at + 2..self.at + 6).unwrap_or_default();
        let hex = digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit) && self.at + 6 < self.text.len();
        if !hex {
            return Err(self.error_at(BAD_UNICODE, self.at + 1));
        }
        let value = |digit: &u8| char::from(*digit).to_digit(16).unwrap_or(0);
        self.at += 6;
        Ok(digits.iter().fold(0, |number, digit| number * 16 + value(digit)))
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Error> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.error("Expecting value"));
        }
        self.at += word.len();
        Ok(value)
    }

    /// Whatever is no number either is where Python expects a value.
    fn number(&mut self) -> Result<Value, Error> {
        let bytes = &self.text.as_bytes()[self.at..];
        let sign = usize::from(bytes.first() == Some(&b'-'));
        let whole = match bytes.get(sign) {
            Some(b'0') => sign + 1,
            Some(b'1'..=b'9') => sign + digits(&bytes[sign..]),
            _ => return Err(self.error("Expecting value")),
        };
        let fraction = whole + part(&bytes[whole..], |byte| byte == b'.', false);
        let end = fraction + part(&bytes[fraction..], |byte| byte | 0x20 == b'e', true);
        let text = &self.text[self.at..self.at + end];
        self.at += end;
        let float = || text.parse().map(Value::Float).map_err(|_| self.error("Expecting value"));
        if end > whole { float() } else { text.parse().map(Value::Int).or_else(|_| float()) }
    }

    fn whitespace(&mut self) {
        let rest = self.text.as_bytes()[self.at..].iter();
        self.at += rest.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn error(&self, message: &'static str) -> Error {
        self.error_at(message, self.at)
    }

    fn error_at(&self, message: &'static str, at: usize) -> Error {
        Error::Syntax { message, position: self.text[..at].chars().count() }
    }
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The length of a fraction or an exponent; 0 when digits are missing, as what
/// stands there then is no part of the number.
fn part(bytes: &[u8], begins: fn(u8) -> bool, signed: bool) -> usize {
    if !bytes.first().copied().is_some_and(begins) {
        return 0;
    }
    let sign = usize::from(signed && matches!(bytes.get(1), Some(b'+' | b'-')));
    match digits(&bytes[1 + sign..]) {
        0 => 0,
        count => 1 + sign + count,
    }
}
