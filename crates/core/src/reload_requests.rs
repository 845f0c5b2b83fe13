//! Who has asked for a reload, and by which one each is answered: the next that begins after it was
//! asked for. So everything that the asker did before it asked is in the reload that answers.

/// A request, as its answer comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<A> {
    /// Who asked.
    pub asker: A,
    /// Another reload ran already: it has waited, and was merged with whoever waited as well.
    pub has_waited: bool,
}

/// The requests for reloads of which one runs at a time.
#[derive(Debug)]
pub struct ReloadRequests<A> {
    /// Those that the reload under way answers; `None`: there is no reload under way.
    running: Option<Vec<Request<A>>>,
    waiting: Vec<Request<A>>,
}

impl<A> Default for ReloadRequests<A> {
    fn default() -> Self {
        Self { running: None, waiting: Vec::new() }
    }
}

impl<A> ReloadRequests<A> {
    /// Somebody asks; true when that has to wait for the end of a reload that runs.
    pub fn ask(&mut self, asker: A) -> bool {
        let has_waited = self.running.is_some();
        self.waiting.push(Request { asker, has_waited });
        has_waited
    }

    /// Whether a reload is under way.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Those who wait for one to begin.
    pub fn waiting(&self) -> impl Iterator<Item = &A> {
        self.waiting.iter().map(|request| &request.asker)
    }

    /// A reload begins, for all who wait; answers how many they are.
    pub fn begin(&mut self) -> usize {
        self.begin_first(usize::MAX)
    }

    /// A reload has begun for the first so many who waited: what the others asked for came later.
    /// Answers how many there were.
    pub fn begin_first(&mut self, count: usize) -> usize {
        crate::invariant!(self.running.is_none(), "one reload runs at a time");
        let count = count.min(self.waiting.len());
        self.running.get_or_insert_default().extend(self.waiting.drain(..count));
        count
    }

    /// The reload under way has ended: who is answered by that. Without one there will be none, and
    /// all who wait are answered.
    pub fn end(&mut self) -> Vec<Request<A>> {
        self.running.take().unwrap_or_else(|| std::mem::take(&mut self.waiting))
    }

    /// There will be no reload any more: all who have asked are answered.
    pub fn end_all(&mut self) -> Vec<Request<A>> {
        let mut all = self.running.take().unwrap_or_default();
        all.append(&mut self.waiting);
        all
    }

    /// Whoever was to reload is no more: all who have asked wait again, as if it were for the first
    /// time. Answers them.
    pub fn begin_anew(&mut self) -> impl Iterator<Item = &A> {
        self.waiting = self.end_all();
        self.waiting.iter().map(|request| &request.asker)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn askers(requests: Vec<Request<u32>>) -> Vec<u32> {
        requests.into_iter().map(|request| request.asker).collect()
    }

    #[test]
    fn who_asks_during_a_reload_is_answered_by_the_next_one_and_told_so() {
        let mut requests = ReloadRequests::default();
        assert!(!requests.ask(1));
        assert_eq!(requests.begin(), 1);
        assert!(requests.ask(2) && requests.ask(3), "they wait");
        assert_eq!(requests.end(), [Request { asker: 1, has_waited: false }]);
        assert!(!requests.ask(4), "nothing runs, but the next one is for all of them");
        assert_eq!(requests.begin(), 3);
        let answered = requests.end();
        assert_eq!(
            answered.iter().map(|it| it.has_waited).collect::<Vec<_>>(),
            [true, true, false]
        );
        assert_eq!(askers(answered), [2, 3, 4]);
    }

    #[test]
    fn a_request_that_crosses_the_news_of_a_reload_is_not_of_it() {
        let mut requests = ReloadRequests::default();
        requests.ask(1);
        requests.ask(2);
        assert_eq!(requests.begin_first(1), 1);
        assert_eq!(askers(requests.end()), [1]);
        assert_eq!(requests.begin_first(9), 1);
        assert_eq!(askers(requests.end()), [2]);
    }

    #[test]
    fn without_a_reload_everybody_is_answered_at_once() {
        let mut requests = ReloadRequests::default();
        requests.ask(1);
        requests.ask(2);
        assert_eq!(askers(requests.end()), [1, 2], "nothing to reload");
        requests.ask(3);
        requests.begin();
        requests.ask(4);
        assert_eq!(askers(requests.end_all()), [3, 4], "the end of the server");
        assert_eq!(askers(requests.end_all()), []);
    }

    #[test]
    fn a_new_manager_is_asked_for_all_that_was_not_answered() {
        let mut requests = ReloadRequests::default();
        requests.ask(1);
        requests.begin();
        requests.ask(2);
        assert_eq!(requests.begin_anew().copied().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(requests.begin(), 2);
        assert_eq!(askers(requests.end()), [1, 2]);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Ask,
        Begin,
        End,
        Lost,
    }

    proptest! {
        /// Everybody is answered once, by a reload that began after it was asked for.
        #[test]
        fn everybody_is_answered_once_by_a_later_reload(
            steps in vec(prop_oneof![
                3 => Just(Step::Ask), 2 => Just(Step::Begin), 2 => Just(Step::End),
                1 => Just(Step::Lost),
            ], 0..60),
        ) {
            let mut requests = ReloadRequests::default();
            let (mut asked, mut began, mut runs, mut answered) = (0, 0, false, Vec::new());
            for step in steps {
                match step {
                    Step::Ask => {
                        prop_assert_eq!(requests.ask(asked), runs);
                        asked += 1;
                    }
                    Step::Begin if !runs && asked as usize > answered.len() => {
                        requests.begin();
                        (runs, began) = (true, asked);
                    }
                    Step::End if runs => {
                        let these = askers(requests.end());
                        prop_assert!(these.iter().all(|asker| *asker < began));
                        answered.extend(these);
                        prop_assert_eq!(answered.len(), began as usize);
                        runs = false;
                    }
                    Step::Lost => {
                        let open: Vec<u32> = requests.begin_anew().copied().collect();
                        let expected: Vec<u32> = (answered.len() as u32..asked).collect();
                        prop_assert_eq!(open, expected);
                        runs = false;
                    }
                    Step::Begin | Step::End => {}
                }
            }
            answered.extend(askers(requests.end_all()));
            prop_assert_eq!(answered, (0..asked).collect::<Vec<_>>());
        }
    }
}
