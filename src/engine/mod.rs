//! One batch: from events to committed effects. Start reading at [`step`].

mod merge;
mod profile;
mod recent;
