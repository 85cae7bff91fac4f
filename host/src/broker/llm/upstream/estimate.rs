//! How many tokens a text will be, without the model's tokenizer. Rather too many
//! than too few: a budget that reserves too little is overdrawn.

use crate::broker::llm::{Format, Message, Part, Request, Turn};

/// What surrounds one message, one call, or one tool: roles and separators.
const FRAME: u64 = 8;
/// What surrounds a conversation.
const BASE: u64 = 16;
/// One image. Providers charge some 85 to 2,500 for one, by its size.
const IMAGE: u64 = 2_500;

/// Tokens that a request will be counted as: rather more than the model will count.
#[must_use]
pub fn estimate_input(request: &Request) -> u64 {
    let mut count = Count::default();
    request.messages.iter().for_each(|message| count.message(message));
    for tool in &request.tools {
        count.frame();
        count.add(&tool.name);
        count.add(&tool.description);
        count.add(&tool.parameters);
    }
    if let Format::JsonSchema { name, schema, .. } = &request.format {
        count.add(name);
        count.add(schema);
    }
    count.tokens() + BASE
}

/// What tokenizers treat alike.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Digit,
    Space,
    Sign,
    /// Beyond ASCII, in the basic plane: most scripts.
    Wide,
    /// Beyond it: emoji.
    Beyond,
}

impl Class {
    fn of(character: char) -> Self {
        match character {
            'a'..='z' => Self::Lower,
            'A'..='Z' => Self::Upper,
            '0'..='9' => Self::Digit,
            ' ' => Self::Space,
            '\0'..='\x7f' => Self::Sign,
            '\u{80}'..='\u{ffff}' => Self::Wide,
            _ => Self::Beyond,
        }
    }

    /// Tokens of a run of so many characters, for its last: a word begins one, and
    /// goes on for some characters.
    fn begins(self, length: u64) -> u64 {
        match self {
            Self::Lower => u64::from(length % 4 == 1),
            Self::Upper | Self::Digit | Self::Sign => u64::from(length % 2 == 1),
            // One space belongs to the word behind it.
            Self::Space => u64::from(length % 4 == 2),
            Self::Wide => 1,
            Self::Beyond => 3,
        }
    }
}

/// A count that grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count(u64);

impl Count {
    pub(super) fn add(&mut self, text: &str) {
        let (mut run, mut length) = (Class::Space, 0);
        for character in text.chars() {
            let class = Class::of(character);
            // A word's first letter may be a capital.
            let goes_on = class == run || (class == Class::Lower && run == Class::Upper && length == 1);
            length = if goes_on { length + 1 } else { 1 };
            run = class;
            self.0 += class.begins(length);
        }
    }

    pub(super) fn frame(&mut self) {
        self.0 += FRAME;
    }

    pub(super) fn tokens(&self) -> u64 {
        self.0
    }

    fn message(&mut self, message: &Message) {
        self.frame();
        match message {
            Message::System(text) => self.add(text),
            Message::User(parts) => parts.iter().for_each(|part| match part {
                Part::Text(text) => self.add(text),
                Part::Image { .. } => self.0 += IMAGE,
            }),
            Message::Assistant(turn) => self.turn(turn),
            Message::Tool { call_id, content } => {
                self.add(call_id);
                self.add(content);
            }
        }
    }

    fn turn(&mut self, turn: &Turn) {
        [&turn.text, &turn.refusal].into_iter().flatten().for_each(|text| self.add(text));
        for call in &turn.tool_calls {
            self.frame();
            [&call.id, &call.name, &call.arguments].into_iter().for_each(|text| self.add(text));
        }
        // Encrypted, in base64: four characters for three bytes, of which an
        // unknown part are the tokens. A fourth is what was seen, and then some.
        self.0 += turn.continuation.as_ref().map_or(0, |kept| kept.len() as u64 / 4);
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    fn tokens(text: &str) -> u64 {
        let mut count = Count::default();
        count.add(text);
        count.tokens()
    }

    /// What the tokenizer `o200k_base` makes of each.
    #[test]
    fn an_estimate_is_not_below_what_tokenizers_count() {
        let cases = [
            ("Add milk to my list, please, and tell me what is left for tomorrow.", 17),
            (r#"{"title":"milk","priority":"high","due":"2026-11-22"}"#, 18),
            ("2026-11-22T04:01:05Z", 13),
            ("d41d8cd98f00b204e9800998ecf8427e", 19),
            ("Kaufe Milch, zwei Brötchen und überweise die Miete.", 16),
            ("牛乳を買うのを忘れないでください", 12),
            ("Добавь молоко в список покупок", 8),
            ("اشتري الحليب والخبز غدا", 9),
            ("दूध खरीदना याद रखना", 7),
            ("👩‍👩‍👧‍👦", 11),
        ];
        for (text, real) in cases {
            let estimate = tokens(text);
            assert!(estimate >= real, "{text}: {estimate} for {real}");
            assert!(estimate <= 4 * real, "{text}: {estimate} for {real}");
        }
        assert_eq!(tokens(""), 0);
    }
}
