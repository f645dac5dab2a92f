//! Incidents that people close, on their way to the thread that owns the account.
//!
//! An incident also lives in the memory of its shard's worker, so nobody else may close it. A
//! request waits here until the worker is between two steps; it is answered only after the closing
//! is durable. A request that no worker takes in time is withdrawn, never carried out later.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::WallTime;
use crate::event::ShardId;
use crate::incident::{Incident, IncidentId, Verdict};

/// More than any staff closes at a time.
const WAITING_MAX: usize = 64;

/// Who closes which incident, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseOrder {
    pub incident: IncidentId,
    pub shard: ShardId,
    pub verdict: Verdict,
    pub reason: String,
    pub by: String,
    pub at: WallTime,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq)]
pub enum CloseAnswer {
    /// Closed, and durable.
    Closed(Box<Incident>),
    /// It was closed before; nothing has changed.
    WasClosed(Box<Incident>),
    /// It is not stored any more.
    Missing,
}

/// An order that a worker has taken: it must be answered. Dropped, it says that it failed.
#[derive(Debug)]
pub struct Taken {
    pub order: CloseOrder,
    answer: oneshot::Sender<CloseAnswer>,
}

impl Taken {
    /// Tells the person. To be called after the commit.
    pub fn answer(self, answer: CloseAnswer) {
        // A person who has gone finds the closing in the list.
        let _ = self.answer.send(answer);
    }
}

/// Why an order was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    #[error("too many closings wait already; try again")]
    Busy,
    #[error(
        "partition {0} is not read by this satpam at present; nothing was closed. Another instance \
         may own it, or Kafka is not reachable"
    )]
    NotOwned(ShardId),
    #[error("the worker stopped before the closing was durable; look at the incident again")]
    Failed,
}

/// The orders that wait.
#[derive(Debug, Default)]
pub struct Closings {
    waiting: Mutex<VecDeque<(u64, Taken)>>,
    /// The length of `waiting`: what a worker looks at between all its steps.
    length: AtomicUsize,
    numbers: std::sync::atomic::AtomicU64,
}

impl Closings {
    /// Hands an order to the worker of its shard and waits for the answer; a worker that does not
    /// take it within `patience` does not own the shard.
    pub async fn close(
        &self,
        order: CloseOrder,
        patience: Duration,
    ) -> Result<CloseAnswer, CloseError> {
        let shard = order.shard;
        let (answer, mut answered) = oneshot::channel();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        {
            let mut waiting = self.lock();
            if waiting.len() >= WAITING_MAX {
                return Err(CloseError::Busy);
            }
            waiting.push_back((number, Taken { order, answer }));
            self.length.store(waiting.len(), Ordering::Release);
        }
        // Withdraws the order also when the person goes away and this future is dropped.
        let withdrawal = Withdrawal { closings: self, number };
        if let Ok(answer) = tokio::time::timeout(patience, &mut answered).await {
            return answer.map_err(|_| CloseError::Failed);
        }
        if withdrawal.withdraw() {
            return Err(CloseError::NotOwned(shard));
        }
        // A worker has taken it just now: what it does counts.
        answered.await.map_err(|_| CloseError::Failed)
    }

    /// Takes the orders for one shard. Costs one load when there is none for any.
    pub fn take(&self, shard: ShardId) -> Vec<Taken> {
        if self.length.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let mut waiting = self.lock();
        let (taken, rest): (VecDeque<_>, VecDeque<_>) =
            waiting.drain(..).partition(|(_, taken)| taken.order.shard == shard);
        *waiting = rest;
        self.length.store(waiting.len(), Ordering::Release);
        taken.into_iter().map(|(_, taken)| taken).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, Taken)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Withdrawal<'a> {
    closings: &'a Closings,
    number: u64,
}

impl Withdrawal<'_> {
    /// Takes the order back; tells whether no worker has taken it.
    fn withdraw(&self) -> bool {
        let mut waiting = self.closings.lock();
        let before = waiting.len();
        waiting.retain(|(number, _)| *number != self.number);
        self.closings.length.store(waiting.len(), Ordering::Release);
        waiting.len() < before
    }
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        self.withdraw();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn order(shard: i32) -> CloseOrder {
        CloseOrder {
            incident: IncidentId(uuid::Uuid::from_u128(7)),
            shard: ShardId(shard),
            verdict: Verdict::Resolved,
            reason: "called the tenant".to_owned(),
            by: "sari".to_owned(),
            at: WallTime(1),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_that_nobody_takes_is_withdrawn_and_never_carried_out() {
        let closings = Closings::default();
        let outcome = closings.close(order(3), Duration::from_secs(10)).await;
        assert_eq!(outcome, Err(CloseError::NotOwned(ShardId(3))));
        assert!(closings.take(ShardId(3)).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_is_seen_by_the_worker_of_its_shard_alone_and_answered() {
        let closings = Arc::new(Closings::default());
        let asking = Arc::clone(&closings);
        let asked =
            tokio::spawn(async move { asking.close(order(3), Duration::from_secs(10)).await });
        tokio::task::yield_now().await;
        assert!(closings.take(ShardId(2)).is_empty());
        let mut taken = closings.take(ShardId(3));
        // A slow commit is waited for: an order that was taken is not withdrawn.
        tokio::time::advance(Duration::from_mins(1)).await;
        tokio::task::yield_now().await;
        taken.remove(0).answer(CloseAnswer::Missing);
        assert_eq!(asked.await.unwrap(), Ok(CloseAnswer::Missing));
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_fails_says_so_and_a_full_queue_refuses() {
        let closings = Arc::new(Closings::default());
        let mut asked = Vec::new();
        for _ in 0..WAITING_MAX {
            let asking = Arc::clone(&closings);
            asked.push(tokio::spawn(async move {
                asking.close(order(0), Duration::from_secs(10)).await
            }));
        }
        while closings.lock().len() < WAITING_MAX {
            tokio::task::yield_now().await;
        }
        let refused = closings.close(order(0), Duration::from_secs(10)).await;
        assert_eq!(refused, Err(CloseError::Busy));
        drop(closings.take(ShardId(0)));
        for one in asked {
            assert_eq!(one.await.unwrap(), Err(CloseError::Failed));
        }
    }

    #[tokio::test]
    async fn a_person_who_goes_away_takes_the_order_along() {
        let closings = Closings::default();
        {
            let asking = closings.close(order(1), Duration::from_mins(1));
            tokio::pin!(asking);
            assert!(
                std::future::poll_fn(|context| {
                    std::task::Poll::Ready(asking.as_mut().poll(context).is_pending())
                })
                .await
            );
        }
        assert!(closings.take(ShardId(1)).is_empty());
    }
}
