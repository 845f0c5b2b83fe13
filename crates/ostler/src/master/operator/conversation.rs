//! What is said on one connection of an operator: one request after another, each answered before
//! the next is looked at. Pure: the driver reads and writes.

use ostler_core::framing::{EofSplit, Frame, Framing as _};

/// The longest line, bytes, its end included: what a command is given stands on one.
pub(crate) const LINE_BYTES_MAX: u32 = 65_536;

/// What was said, and what is to be answered.
#[derive(Debug)]
pub(super) struct Conversation {
    input: Vec<u8>,
    lines: EofSplit,
    /// A request is being answered.
    answers: bool,
    /// Nothing more comes.
    has_ended: bool,
    output: Vec<u8>,
    written: usize,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This line is to be answered.
    Request(Vec<u8>),
    /// A line is longer than one may be: that is to be answered, and nothing of it is looked at.
    TooLong,
    /// Nothing, as long as nothing more comes.
    Nothing,
}

impl Conversation {
    /// One in which nothing was said; `None` only if no line could end.
    pub(super) fn new() -> Option<Self> {
        Some(Self {
            input: Vec::new(),
            lines: EofSplit::new(b"\n", LINE_BYTES_MAX).ok()?,
            answers: false,
            has_ended: false,
            output: Vec::new(),
            written: 0,
        })
    }

    /// Whether more of the peer is wanted: not while it has something to read. So it takes no more
    /// memory than a line and an answer.
    pub(super) const fn wants_input(&self) -> bool {
        !self.has_ended && !self.answers && self.unsent().is_empty()
    }

    /// The peer has said this.
    pub(super) fn received(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The peer says no more.
    pub(super) const fn ended(&mut self) {
        self.has_ended = true;
    }

    /// What is to be done; what is answered already comes first.
    pub(super) fn next_step(&mut self) -> Next {
        while !self.answers && self.unsent().is_empty() {
            let len = match self.lines.next(&self.input) {
                Frame::Package { len } => len,
                Frame::TooLong | Frame::Malformed => {
                    self.input = Vec::new();
                    (self.has_ended, self.answers) = (true, true);
                    return Next::TooLong;
                }
                // The last line may lack its end.
                _ if self.has_ended => self.input.len(),
                _ => return Next::Nothing,
            };
            if len == 0 {
                break;
            }
            let rest = self.input.split_off(len);
            let mut line = std::mem::replace(&mut self.input, rest);
            let is_end = |byte: &u8| matches!(*byte, b'\n' | b'\r');
            line.truncate(line.iter().rposition(|byte| !is_end(byte)).map_or(0, |last| last + 1));
            if !line.is_empty() {
                self.answers = true;
                return Next::Request(line);
            }
        }
        Next::Nothing
    }

    /// What is answered.
    pub(super) fn answer(&mut self, mut text: String) {
        self.answers = false;
        text.push('\n');
        self.output = text.into_bytes();
        self.written = 0;
    }

    /// What is still to be written.
    pub(super) const fn unsent(&self) -> &[u8] {
        match self.output.as_slice().split_at_checked(self.written) {
            Some((_, unsent)) => unsent,
            None => &[],
        }
    }

    /// So much of it was.
    pub(super) fn wrote(&mut self, len: usize) {
        self.written += len;
        if self.unsent().is_empty() {
            (self.output, self.written) = (Vec::new(), 0);
        }
    }

    /// Whether everything is answered and nothing more comes.
    pub(super) const fn is_over(&self) -> bool {
        self.has_ended && !self.answers && self.input.is_empty() && self.unsent().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn requests(conversation: &mut Conversation) -> Vec<String> {
        let mut requests = Vec::new();
        while let Next::Request(line) = conversation.next_step() {
            requests.push(String::from_utf8(line).unwrap());
            assert!(!conversation.wants_input(), "one after another");
            conversation.answer("an answer".to_owned());
            assert_eq!(conversation.unsent(), b"an answer\n");
            conversation.wrote(4);
            assert!(!conversation.is_over() && !conversation.wants_input());
            conversation.wrote(6);
        }
        requests
    }

    #[test]
    fn lines_are_answered_one_after_another_also_the_last_without_an_end() {
        let mut conversation = Conversation::new().unwrap();
        conversation.received(b"one\r\n\n\ntwo\nthr");
        assert_eq!(requests(&mut conversation), ["one", "two"]);
        assert!(conversation.wants_input());
        conversation.received(b"ee");
        conversation.ended();
        assert_eq!(requests(&mut conversation), ["three"]);
        assert!(conversation.is_over());
    }

    #[test]
    fn a_line_that_never_ends_is_given_up() {
        let mut conversation = Conversation::new().unwrap();
        let longest = vec![b'x'; LINE_BYTES_MAX as usize - 1];
        conversation.received(&longest);
        assert_eq!(conversation.next_step(), Next::Nothing);
        conversation.received(b"\nstats\n");
        assert_eq!(requests(&mut conversation).len(), 2, "so long it may be");
        conversation.received(&longest);
        conversation.received(b"xx");
        assert_eq!(conversation.next_step(), Next::TooLong);
        conversation.answer("too long".to_owned());
        conversation.wrote(9);
        assert!(conversation.is_over());
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_same_is_asked(
            lines in proptest::collection::vec("[a-z ]{1,9}", 0..9), cut in 1_usize..20,
        ) {
            let mut conversation = Conversation::new().unwrap();
            let mut seen = Vec::new();
            for piece in lines.join("\n").as_bytes().chunks(cut) {
                conversation.received(piece);
                seen.extend(requests(&mut conversation));
            }
            conversation.ended();
            seen.extend(requests(&mut conversation));
            prop_assert_eq!(seen, lines);
            prop_assert!(conversation.is_over());
        }
    }
}
