//! Events that are parts of a whole, and may as well be fewer and longer.

use super::model::Event;

impl Event {
    /// Whether somebody may be reading it as it comes. Nobody reads arguments of a
    /// call, and the call itself waits for their end.
    pub(super) fn is_read(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Refusal(_) | Self::Reasoning(_))
    }

    /// Takes in what follows, as long as it is of the same whole and both are at
    /// most so many bytes; else gives it back.
    pub(super) fn extend(&mut self, next: Self, most: usize) -> Option<Self> {
        let (text, more) = match (self, &next) {
            (Self::Text(text), Self::Text(more))
            | (Self::Refusal(text), Self::Refusal(more))
            | (Self::Reasoning(text), Self::Reasoning(more)) => (text, more),
            (Self::CallDelta { index, fragment }, Self::CallDelta { index: other, fragment: more })
                if index == other =>
            {
                (fragment, more)
            }
            _ => return Some(next),
        };
        if text.len() + more.len() > most {
            return Some(next);
        }
        text.push_str(more);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Event {
        Event::Text(text.to_owned())
    }

    fn arguments(index: u32, fragment: &str) -> Event {
        Event::CallDelta { index, fragment: fragment.to_owned() }
    }

    #[test]
    fn more_of_the_same_is_taken_in() {
        for (mut first, next, both) in
            [(text("a"), text("b"), text("ab")), (arguments(1, "{"), arguments(1, "}"), arguments(1, "{}"))]
        {
            assert_eq!(first.extend(next, 2), None);
            assert_eq!(first, both);
        }
    }

    #[test]
    fn what_is_something_else_or_too_much_is_given_back() {
        for (mut first, next) in [
            (text("a"), Event::Reasoning("b".to_owned())),
            (arguments(1, "{"), arguments(2, "}")),
            (text("a"), text("bc")),
        ] {
            let before = first.clone();
            assert_eq!(first.extend(next.clone(), 2), Some(next));
            assert_eq!(first, before);
        }
    }
}
