//! What became of the requests of one connection. Pure: bytes in, counts out.

use crate::frame::{Frames, HEADER_BYTES, Header};
use crate::load::LoadReport;

/// The view of one connection: which requests are under way and what has come back.
#[derive(Debug)]
pub(crate) struct Judge {
    frames: Frames,
    /// The number of the next request to issue.
    next_issue: u64,
    /// The oldest request not yet settled.
    next_answer: u64,
    buffer: Vec<u8>,
}

/// The stream makes no sense any more; the connection cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Nonsense;

impl Judge {
    pub(crate) fn new(frames: Frames) -> Self {
        Self { frames, next_issue: 0, next_answer: 0, buffer: Vec::new() }
    }

    /// How many requests are issued and not settled.
    pub(crate) fn under_way(&self) -> u64 {
        self.next_issue - self.next_answer
    }

    /// The next request.
    pub(crate) fn issue(&mut self) -> Vec<u8> {
        let frame = self.frames.frame(self.next_issue);
        self.next_issue += 1;
        frame
    }

    /// Judges what came back.
    pub(crate) fn feed(&mut self, bytes: &[u8], report: &mut LoadReport) -> Result<(), Nonsense> {
        self.buffer.extend_from_slice(bytes);
        let mut used = 0;
        while let Some(rest) = self.buffer.get(used..).filter(|rest| rest.len() >= HEADER_BYTES) {
            let header = Header::read(rest).filter(|header| self.could_be_mine(header));
            let Some(Header { number, length, .. }) = header else {
                return Err(self.nonsense(report));
            };
            let Some(reply) = rest.get(..length) else { break };
            let right = reply == self.frames.frame(number);
            used += length;
            self.settle(number, right, report);
        }
        self.buffer.drain(..used);
        Ok(())
    }

    fn could_be_mine(&self, header: &Header) -> bool {
        header.owner == self.frames.owner
            && header.number < self.next_issue
            && header.length == self.frames.length(header.number)
    }

    fn settle(&mut self, number: u64, right: bool, report: &mut LoadReport) {
        if number < self.next_answer {
            report.duplicated += 1;
            return;
        }
        report.lost += number - self.next_answer;
        self.next_answer = number + 1;
        if right {
            report.answered += 1;
        } else {
            report.wrong += 1;
        }
    }

    fn nonsense(&mut self, report: &mut LoadReport) -> Nonsense {
        self.buffer.clear();
        if self.under_way() > 0 {
            self.next_answer += 1;
            report.wrong += 1;
        } else {
            report.stray += 1;
        }
        Nonsense
    }

    /// The connection has ended: what was under way is settled as `end` says. `unsent` requests
    /// were issued but never handed over in full; nobody can hold the server to them.
    pub(crate) fn end(mut self, unsent: u64, end: End, report: &mut LoadReport) {
        if self.under_way() == 0 && !self.buffer.is_empty() {
            report.stray += 1;
        }
        // An unsent request may be settled already: by nonsense that came in its place.
        let open = self.under_way().saturating_sub(unsent);
        self.next_answer = self.next_issue;
        match end {
            End::Visible => report.cut += open,
            End::Silent => report.lost += open,
        }
    }
}

/// How the client learnt that no more replies come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The connection was closed or reset.
    Visible,
    /// Nothing happened until patience ran out.
    Silent,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge() -> Judge {
        Judge::new(Frames { owner: 9, bytes_min: HEADER_BYTES, bytes_max: 64 })
    }

    /// Issues three requests and feeds what `reply` makes of them, byte by byte.
    fn judged(reply: impl Fn([Vec<u8>; 3]) -> Vec<u8>) -> (Result<(), Nonsense>, LoadReport) {
        let mut judge = judge();
        let mut report = LoadReport::default();
        let requests = [judge.issue(), judge.issue(), judge.issue()];
        let reply = reply(requests);
        let outcome = reply.iter().try_for_each(|byte| judge.feed(&[*byte], &mut report));
        judge.end(0, End::Silent, &mut report);
        (outcome, report)
    }

    #[test]
    fn right_replies_are_answers() {
        let (outcome, report) = judged(|all| all.concat());
        assert_eq!(outcome, Ok(()));
        assert_eq!(report, LoadReport { answered: 3, ..LoadReport::default() });
    }

    #[test]
    fn a_skipped_and_a_missing_request_are_lost() {
        let (_, report) = judged(|[_, second, _]| second);
        assert_eq!(report, LoadReport { answered: 1, lost: 2, ..LoadReport::default() });
    }

    #[test]
    fn a_second_reply_is_a_duplicate() {
        let (_, report) = judged(|[a, b, c]| [a.clone(), b, a, c].concat());
        assert_eq!(report, LoadReport { answered: 3, duplicated: 1, ..LoadReport::default() });
    }

    #[test]
    fn other_content_is_wrong_and_the_rest_is_still_judged() {
        let (outcome, report) = judged(|[a, mut b, c]| {
            *b.last_mut().unwrap() ^= 1;
            [a, b, c].concat()
        });
        assert_eq!(outcome, Ok(()));
        assert_eq!(report.answered + report.wrong, 3);
        assert_eq!(report.wrong, 1);
    }

    #[test]
    fn bytes_of_another_connection_are_nonsense() {
        let mut judge = judge();
        let mut report = LoadReport::default();
        judge.issue();
        let other = Frames { owner: 8, bytes_min: HEADER_BYTES, bytes_max: 64 }.frame(0);
        assert_eq!(judge.feed(&other, &mut report), Err(Nonsense));
        judge.end(0, End::Visible, &mut report);
        assert_eq!(report, LoadReport { wrong: 1, ..LoadReport::default() });
    }

    #[test]
    fn unasked_bytes_are_stray() {
        let mut report = LoadReport::default();
        let mut quiet = judge();
        assert_eq!(quiet.feed(b"short", &mut report), Ok(()));
        quiet.end(0, End::Visible, &mut report);
        assert_eq!(report, LoadReport { stray: 1, ..LoadReport::default() });
    }
}
