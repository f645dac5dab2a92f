//! satpam watches the events of a business messaging platform for taken-over accounts and stops
//! what the intruder sends.
//!
//! The path of an event, in the order it is walked:
//!
//! 1. [`ingest`] polls Kafka and hands batches of records to the worker of their shard.
//! 2. [`event`] decodes a record into an [`event::Event`]; what cannot be read goes to the dead letter.
//! 3. [`engine`] takes one batch and the shard's state and computes the new state and its effects:
//!    [`detect`] says which rules of the [`rulebook`] match, [`baseline`] says what is unusual for
//!    this account, [`incident`] turns matches into risk, incidents and planned responses.
//! 4. [`store`] makes state, offsets, incidents and the outbox durable in one atomic batch.
//! 5. [`respond`] takes the outbox to the world: e-mail and platform actions.
//! 6. [`console`] answers staff, who decide what may not happen by itself.
//!
//! [`daemon`] connects these stages and stops them in order. Start reading at [`engine`].

// The path of one event.
pub mod detect;
pub mod engine;
pub mod incident;
pub mod ingest;
pub mod respond;
// What the path knows and remembers.
pub mod baseline;
pub mod event;
pub mod rulebook;
pub mod store;
// Around the path.
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod daemon;
pub mod demo;
pub mod replay;
pub mod secret;
pub mod telemetry;
