//! How many tokens a text will be, without the model's tokenizer. Rather too many
//! than too few: a budget that reserves too little is overdrawn.

use crate::broker::llm::{Format, Message, Part, Request, Turn};

/// What surrounds one message, one call, or one tool: roles and separators.
const FRAME: u64 = 8;
/// What surrounds a conversation.
const BASE: u64 = 16;
/// One image. Providers charge some 85 to 2,500 for one, by its size.
const IMAGE: u64 = 2_500;

/// Tokens that a request will be counted as.
///
/// English is four letters to a token, code and JSON three signs, digits at most
/// three; most other scripts are about one token to a character, and signs beyond
/// the basic plane up to three. What is counted here is three letters, two digits
/// or signs, one character and three.
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

/// A count that grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    letters: u64,
    signs: u64,
    wide: u64,
    beyond: u64,
    fixed: u64,
}

impl Count {
    pub(super) fn add(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                'a'..='z' | 'A'..='Z' | ' ' => self.letters += 1,
                '\0'..='\x7f' => self.signs += 1,
                '\u{80}'..='\u{ffff}' => self.wide += 1,
                _ => self.beyond += 1,
            }
        }
    }

    pub(super) fn frame(&mut self) {
        self.fixed += FRAME;
    }

    pub(super) fn tokens(&self) -> u64 {
        self.letters.div_ceil(3) + self.signs.div_ceil(2) + self.wide + self.beyond * 3 + self.fixed
    }

    fn message(&mut self, message: &Message) {
        self.frame();
        match message {
            Message::System(text) => self.add(text),
            Message::User(parts) => parts.iter().for_each(|part| match part {
                Part::Text(text) => self.add(text),
                Part::Image { .. } => self.fixed += IMAGE,
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
        self.fixed += turn.continuation.as_ref().map_or(0, |kept| kept.len() as u64 / 4);
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

    /// What OpenAI's o200k tokenizer makes of each.
    #[test]
    fn an_estimate_is_not_below_what_tokenizers_count() {
        let cases = [
            ("Add milk to my list, please, and tell me what is left for tomorrow.", 16),
            (r#"{"title":"milk","priority":"high","due":"2026-11-22"}"#, 22),
            ("2026-11-22T04:01:05Z", 13),
            ("牛乳を買うのを忘れないでください", 12),
            ("Добавь молоко в список покупок", 9),
            ("👩‍👩‍👧‍👦", 11),
        ];
        for (text, real) in cases {
            let estimate = tokens(text);
            assert!(estimate >= real, "{text}: {estimate} for {real}");
            assert!(estimate <= 3 * real, "{text}: {estimate} for {real}");
        }
        assert_eq!(tokens(""), 0);
    }
}
