//! Any bytes at the operator's socket, cut anywhere: each line is asked once and in its order,
//! whatever is in it, and nothing is kept beyond a line.

use super::conversation::{Conversation, LINE_BYTES_MAX, Next};
use super::request::Request;

/// The first byte says how long the pieces are in which the rest comes.
pub fn conversation(input: &[u8]) {
    let Some((first, said)) = input.split_first() else { return };
    let Some(mut conversation) = Conversation::new() else { return };
    let is_end = |byte: &u8| *byte == b'\n';
    let mut lines = said.split(is_end).map(|line| match line.iter().rposition(|it| *it != b'\r') {
        Some(last) => line.get(..=last).unwrap_or_default(),
        None => &[],
    });
    for piece in said.chunks(usize::from(*first).max(1)) {
        assert!(conversation.wants_input(), "everything was answered");
        conversation.received(piece);
        answer_all(&mut conversation, &mut lines);
    }
    conversation.ended();
    answer_all(&mut conversation, &mut lines);
    assert!(lines.all(<[u8]>::is_empty), "every line was asked");
    assert!(conversation.is_over(), "nothing is left");
}

fn answer_all<'said>(
    conversation: &mut Conversation,
    lines: &mut impl Iterator<Item = &'said [u8]>,
) {
    loop {
        match conversation.next_step() {
            Next::Nothing => return,
            Next::TooLong => panic!("no input is that long"),
            Next::Request(line) => {
                assert!(line.len() < LINE_BYTES_MAX as usize, "a line is bounded");
                let expected = lines.find(|line| !line.is_empty());
                assert_eq!(Some(&*line), expected, "lines are asked in their order");
                let _ = Request::parse(&line);
                conversation.answer("it was answered".to_owned());
                conversation.wrote(conversation.unsent().len());
            }
        }
    }
}
