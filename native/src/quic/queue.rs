//! Received bytes of a stream between the QUIC thread and `read`: a queue of pooled blocks. An empty queue
//! holds no block, so an idle stream costs nothing, and what a peer sends in tiny pieces costs no more than
//! what it sends in large ones.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::constants::{POOLED_BLOCKS, RECEIVE_BLOCK};
use crate::lock::lock;

type Block = Box<[u8]>;

/// Blocks that are free, shared by the streams of an endpoint.
#[derive(Default)]
pub struct BlockPool {
    free: Mutex<Vec<Block>>,
}

impl BlockPool {
    fn take(&self) -> Block {
        let pooled = lock(&self.free).pop();
        pooled.unwrap_or_else(|| vec![0; RECEIVE_BLOCK].into_boxed_slice())
    }

    fn give_back(&self, block: Block) {
        let mut free = lock(&self.free);
        if free.len() < POOLED_BLOCKS {
            free.push(block);
        }
    }
}

#[derive(Default)]
pub struct ByteQueue {
    blocks: VecDeque<Block>,
    /// Bytes of the first block that were read.
    head: usize,
    length: usize,
}

impl ByteQueue {
    pub fn len(&self) -> usize {
        self.length
    }

    pub fn push(&mut self, mut bytes: &[u8], pool: &BlockPool) {
        while !bytes.is_empty() {
            let end = self.head + self.length;
            if end == self.blocks.len() * RECEIVE_BLOCK {
                self.blocks.push_back(pool.take());
            }
            let start = end % RECEIVE_BLOCK;
            let count = bytes.len().min(RECEIVE_BLOCK - start);
            let (now, rest) = bytes.split_at(count);
            if let Some(block) = self.blocks.back_mut() {
                block[start..start + count].copy_from_slice(now);
            }
            self.length += count;
            bytes = rest;
        }
    }

    /// Moves the first bytes into `target`; returns how many.
    pub fn pop(&mut self, target: &mut [u8], pool: &BlockPool) -> usize {
        let mut done = 0;
        while done < target.len() && self.length > 0 {
            let count = (target.len() - done).min(self.length).min(RECEIVE_BLOCK - self.head);
            if let Some(block) = self.blocks.front() {
                target[done..done + count].copy_from_slice(&block[self.head..self.head + count]);
            }
            done += count;
            self.head += count;
            self.length -= count;
            if (self.head == RECEIVE_BLOCK || self.length == 0)
                && let Some(block) = self.blocks.pop_front()
            {
                pool.give_back(block);
                self.head = 0;
            }
        }
        done
    }

    pub fn clear(&mut self, pool: &BlockPool) {
        for block in self.blocks.drain(..) {
            pool.give_back(block);
        }
        self.head = 0;
        self.length = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let pool = BlockPool::default();
        let mut queue = ByteQueue::default();
        let mut seed = 1_u32;
        let mut random = |bound: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as usize % bound
        };
        let (mut pushed, mut popped) = (0_usize, 0_usize);
        for _ in 0..2_000 {
            let bytes: Vec<u8> = (0..random(40_000)).map(|i| (pushed + i) as u8).collect();
            queue.push(&bytes, &pool);
            pushed += bytes.len();
            let mut target = vec![0; random(60_000)];
            let count = queue.pop(&mut target, &pool);
            assert_eq!(count, target.len().min(pushed - popped));
            for (i, byte) in target[..count].iter().enumerate() {
                assert_eq!(*byte, (popped + i) as u8);
            }
            popped += count;
            assert_eq!(queue.len(), pushed - popped);
            assert!(queue.blocks.len() * RECEIVE_BLOCK < queue.len() + 2 * RECEIVE_BLOCK);
        }
        queue.clear(&pool);
        assert!(queue.len() == 0 && queue.blocks.is_empty());
    }

    #[test]
    fn an_empty_queue_holds_no_block() {
        let pool = BlockPool::default();
        let mut queue = ByteQueue::default();
        queue.push(&[7; RECEIVE_BLOCK + 1], &pool);
        assert_eq!(queue.pop(&mut [0; 2 * RECEIVE_BLOCK], &pool), RECEIVE_BLOCK + 1);
        assert!(queue.blocks.is_empty());
        assert_eq!(lock(&pool.free).len(), 2);
    }
}
