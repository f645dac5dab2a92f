//! What people decide about the outbox. Each decision has a person and a reason, and is audited.

use std::sync::Arc;

use super::shared::Shared;
use super::{DeliverError, chain};
use crate::incident::{DeliveryKind, OutboxId};
use crate::store::{Decision, OutboxEntry, OutboxStatus, StoreError};

/// Who decides, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    pub reason: String,
}

/// Why a decision was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    #[error("there is no entry {0}")]
    Unknown(OutboxId),
    #[error("{what} needs an entry that is {needs}; this one is not")]
    WrongState { what: &'static str, needs: &'static str },
    #[error("the entry changed meanwhile; look at it again")]
    Changed,
    #[error("no platform API is configured")]
    NoPlatform,
    #[error("the platform did not take it back: {0}")]
    NotUndone(String),
    #[error("the state could not be read or written")]
    Store(#[from] StoreError),
}

/// The way for people to decide. Clones share the responder.
#[derive(Debug, Clone)]
pub struct Operator {
    shared: Arc<Shared>,
}

impl Operator {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Lets a held action run now.
    pub async fn approve(&self, id: OutboxId, by: Person) -> Result<OutboxEntry, OperateError> {
        self.decide(id, by, "approved", true).await
    }

    /// Forbids a held action for good.
    pub async fn deny(&self, id: OutboxId, by: Person) -> Result<OutboxEntry, OperateError> {
        self.decide(id, by, "denied", false).await
    }

    async fn decide(
        &self,
        id: OutboxId,
        by: Person,
        word: &'static str,
        approved: bool,
    ) -> Result<OutboxEntry, OperateError> {
        self.change(id, by, word, move |entry, by, now| {
            if !matches!(entry.status, OutboxStatus::Held(_)) {
                return Err(OperateError::WrongState { what: word, needs: "held" });
            }
            entry.status = OutboxStatus::Due;
            entry.next_attempt = now;
            entry.decision = Some(Decision {
                approved,
                by: by.name.as_str().into(),
                reason: by.reason.as_str().into(),
                at: now,
            });
            Ok(())
        })
        .await
    }

    /// Tries a parked entry again from the beginning, or a due one at once.
    pub async fn retry(&self, id: OutboxId, by: Person) -> Result<OutboxEntry, OperateError> {
        self.change(id, by, "retried", |entry, _, now| {
            if !matches!(entry.status, OutboxStatus::Parked | OutboxStatus::Due) {
                return Err(OperateError::WrongState { what: "retry", needs: "parked or due" });
            }
            entry.status = OutboxStatus::Due;
            entry.attempts = 0;
            entry.next_attempt = now;
            entry.settled = None;
            entry.outcome.retain(|one| one.done);
            Ok(())
        })
        .await
    }

    /// Gives an entry up.
    pub async fn discard(&self, id: OutboxId, by: Person) -> Result<OutboxEntry, OperateError> {
        self.change(id, by, "dropped", |entry, by, now| {
            if !matches!(entry.status, OutboxStatus::Parked | OutboxStatus::Due) {
                return Err(OperateError::WrongState { what: "drop", needs: "parked or due" });
            }
            entry.status = OutboxStatus::Refused;
            entry.settled = Some(now);
            entry.last_error = Some(format!("dropped by {}", by.name).into());
            Ok(())
        })
        .await
    }

    /// Asks the platform to take a finished action back.
    pub async fn undo(&self, id: OutboxId, by: Person) -> Result<OutboxEntry, OperateError> {
        let found = self.shared.blocking(move |shared| shared.store.outbox().get(id)).await?;
        let entry = found.ok_or(OperateError::Unknown(id))?;
        let finished = entry.status == OutboxStatus::Done
            && matches!(entry.planned.kind, DeliveryKind::Action(_));
        if !finished {
            return Err(OperateError::WrongState { what: "undo", needs: "a finished action" });
        }
        let platform = self.shared.platform.as_ref().ok_or(OperateError::NoPlatform)?;
        platform
            .undo(&entry.planned, self.shared.now())
            .await
            .map_err(|error: DeliverError| OperateError::NotUndone(chain(&error)))?;
        self.change(id, by, "undone", |entry, by, _| {
            entry.last_error = Some(format!("taken back by {}", by.name).into());
            for user in &mut entry.outcome {
                user.done = false;
            }
            Ok(())
        })
        .await
    }

    async fn change(
        &self,
        id: OutboxId,
        by: Person,
        word: &'static str,
        edit: impl FnOnce(&mut OutboxEntry, &Person, crate::clock::WallTime) -> Result<(), OperateError>
        + Send
        + 'static,
    ) -> Result<OutboxEntry, OperateError> {
        let changed = self
            .shared
            .blocking(move |shared| {
                let Some(entry) = shared.store.outbox().get(id)? else {
                    return Ok(Err(OperateError::Unknown(id)));
                };
                let mut changed = entry.clone();
                if let Err(error) = edit(&mut changed, &by, shared.now()) {
                    return Ok(Err(error));
                }
                if !shared.put_decided(&entry, &changed, &by, word)? {
                    return Ok(Err(OperateError::Changed));
                }
                Ok(Ok(changed))
            })
            .await??;
        self.shared.notify.notify_one();
        Ok(changed)
    }
}
