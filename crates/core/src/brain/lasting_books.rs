//! Books in memory that outlives their process (BASE mode).

use super::books::Books;
use super::close_reason::CloseReason;

impl Books {
    /// Calls `visit` with each counter, always in the same order: for books that are written to and
    /// read from memory that outlives their process.
    pub fn visit(&mut self, visit: &mut (impl FnMut(&mut u64) + ?Sized)) {
        // No `..` here and below: who adds a counter is told by the compiler.
        let Self {
            accepted,
            taken_over,
            handed_over,
            open,
            closed,
            received,
            finished,
            in_hand,
            recalled,
            refused,
            dropped_worker_died,
            dropped_session_gone,
            closed_by,
            redelivered,
            recalls,
            output_session_gone,
            memory_shortages,
            output_dropped_bytes,
            input_dropped_bytes,
            continued,
            refused_queue_full,
            refused_queue_wait,
            held_back,
            refused_package_rate,
            datagrams,
            handshakes,
            proxy_headers,
            accepting,
            files,
            groups,
            tasks,
            messages,
            given,
            traffic,
        } = self;
        let sessions = [accepted, open, received, finished, in_hand, recalled, refused];
        let dropped = [dropped_worker_died, dropped_session_gone, redelivered, recalls];
        let others = [output_session_gone, memory_shortages, output_dropped_bytes, continued];
        let refusals = [refused_queue_full, refused_queue_wait, held_back, refused_package_rate];
        let single = sessions.into_iter().chain(dropped).chain(others).chain(refusals);
        let between_masters = [taken_over, handed_over];
        let single = single.chain(between_masters).chain([given]);
        let by_reason = closed.iter_mut().chain(closed_by).chain(input_dropped_bytes);
        single.chain(by_reason).for_each(&mut *visit);
        datagrams.visit(visit);
        handshakes.visit(visit);
        proxy_headers.visit(visit);
        accepting.visit(visit);
        files.visit(visit);
        groups.visit(visit);
        tasks.visit(visit);
        messages.visit(visit);
        traffic.visit(visit);
    }

    /// The process whose books these are is dead: its connections have ended with it, and what its
    /// worker had in hand is lost with them.
    pub fn end_with_process(&mut self) {
        let (reason, open) = (CloseReason::WorkerDied as usize, std::mem::take(&mut self.open));
        if let Some(count) = self.closed.get_mut(reason) {
            *count = count.saturating_add(open);
        }
        let lost = std::mem::take(&mut self.in_hand).saturating_add(self.recalled);
        self.recalled = 0;
        if let Some(count) = self.closed_by.get_mut(reason) {
            *count = count.saturating_add(lost);
        }
        self.datagrams.end_with_process();
        self.groups.end_with_process();
        self.traffic.end_with_process();
        self.handshakes.ended += self.handshakes.open();
        self.proxy_headers.ended += self.proxy_headers.open();
    }
}

#[cfg(test)]
mod tests {
    use super::super::books::PackageFate;
    use super::super::datagram_books::DatagramDrop;
    use super::*;

    #[test]
    fn every_counter_is_visited_once() {
        let (mut books, mut next) = (Books::default(), 0..);
        books.visit(&mut |count| *count = next.next().unwrap());
        let text = format!("{books:?}");
        let words = text.split(|letter: char| !letter.is_ascii_digit());
        let mut seen: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..next.start).collect::<Vec<u64>>());
    }

    #[test]
    fn what_a_dead_process_had_has_ended_with_it() {
        let mut books = Books::default();
        (0..3).for_each(|_| books.session_accepted());
        books.session_closed(CloseReason::Peer);
        (0..4).for_each(|_| books.package_received());
        books.package_left_worker(PackageFate::Finished);
        books.package_left_worker(PackageFate::Waits);
        (0..3).for_each(|_| books.datagrams.received());
        books.datagrams.given();
        books.datagrams.given();
        books.datagrams.finished();
        (books.groups.joined, books.groups.left, books.groups.members) = (5, 2, 3);
        (books.groups.addressed, books.groups.delivered) = (20, 1);
        (books.groups.skipped, books.groups.closed, books.groups.gone) = (2, 4, 8);
        (books.handshakes.begun, books.handshakes.done) = (7, 5);
        (books.proxy_headers.awaited, books.proxy_headers.read) = (3, 2);
        books.end_with_process();
        assert!(books.balance(), "{books:?}");
        assert_eq!((books.groups.members, books.groups.ended, books.groups.gone), (0, 3, 13));
        assert_eq!((books.handshakes.ended, books.proxy_headers.ended), (2, 1));
        assert_eq!((books.open, books.in_hand, books.recalled), (0, 0, 0));
        let died = CloseReason::WorkerDied as usize;
        assert_eq!((books.closed[died], books.closed_by[died]), (2, 3));
        let lost = books.datagrams.dropped[DatagramDrop::WorkerDied as usize];
        assert_eq!((books.datagrams.in_hand, books.datagrams.waiting, lost), (0, 0, 2));
    }
}
