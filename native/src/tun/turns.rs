//! Whose turn it is to be read: the queues of a device that have something take turns of a few kilobytes, so that a
//! queue that never gets empty holds up the others for one turn and not for ever.

use crate::constants::TURN_BYTES;

/// Begun anew for each slab, with the queue after the one that was read last.
pub struct Turns {
    queues: usize,
    ready: Vec<usize>,
    /// Index in `ready` of the queue whose turn it is.
    at: usize,
    /// Taken in this turn, bytes.
    taken: usize,
    last: usize,
}

impl Turns {
    pub fn new(queues: usize) -> Self {
        Turns { queues, ready: Vec::with_capacity(queues), at: 0, taken: 0, last: queues - 1 }
    }

    /// These queues have something.
    pub fn begin(&mut self, ready: impl Iterator<Item = usize>) {
        let (queues, last) = (self.queues, self.last);
        self.ready.clear();
        self.ready.extend(ready);
        self.ready.sort_unstable_by_key(|queue| (queue + queues - last - 1) % queues);
        self.at = 0;
        self.taken = 0;
    }

    /// The queue to read; `None` when all are empty.
    pub fn current(&self) -> Option<usize> {
        self.ready.get(self.at).copied()
    }

    /// The current queue gave so many bytes.
    pub fn took(&mut self, bytes: usize) {
        self.last = self.ready[self.at];
        self.taken += bytes;
        if self.taken >= TURN_BYTES {
            self.taken = 0;
            self.at = (self.at + 1) % self.ready.len();
        }
    }

    /// The current queue has nothing more.
    pub fn emptied(&mut self) {
        self.ready.remove(self.at);
        self.taken = 0;
        if self.at == self.ready.len() {
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;
    use crate::constants::TURN_BYTES;

    /// The queues in the order in which `reads` frames of a whole turn are read.
    fn order(turns: &mut Turns, ready: &[usize], reads: usize) -> Vec<usize> {
        turns.begin(ready.iter().copied());
        let mut order = Vec::new();
        for _ in 0..reads {
            let Some(queue) = turns.current() else { break };
            order.push(queue);
            turns.took(TURN_BYTES);
        }
        order
    }

    #[test]
    fn queues_that_have_something_take_turns() {
        let mut turns = Turns::new(4);
        assert_eq!(order(&mut turns, &[0, 1, 3], 5), [0, 1, 3, 0, 1]);
        assert_eq!(order(&mut turns, &[0, 1, 3], 2), [3, 0], "the next slab begins behind the last queue");
        assert_eq!(order(&mut turns, &[3, 0], 2), [3, 0], "whatever the order they come in");
        assert_eq!(order(&mut turns, &[0], 2), [0, 0]);
        assert_eq!(order(&mut turns, &[], 2), [0; 0]);
    }

    #[test]
    fn small_frames_share_a_turn() {
        let mut turns = Turns::new(2);
        turns.begin([0, 1].into_iter());
        turns.took(TURN_BYTES - 1);
        assert_eq!(turns.current(), Some(0));
        turns.took(1);
        assert_eq!(turns.current(), Some(1));
    }

    #[test]
    fn an_empty_queue_gives_up_its_turn() {
        let mut turns = Turns::new(3);
        turns.begin([0, 1, 2].into_iter());
        turns.emptied();
        assert_eq!(turns.current(), Some(1));
        turns.took(TURN_BYTES);
        turns.emptied();
        assert_eq!(turns.current(), Some(1), "2 is empty, 1 has more");
        turns.emptied();
        assert_eq!(turns.current(), None);
    }
}
