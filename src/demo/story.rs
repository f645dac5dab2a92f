//! The play: ordinary days, then the takeover, then the verdict.
//!
//! Few records are under way at a time: the broker keeps little, and the order in which topics are
//! read then hardly differs from the order of events.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::broker::{Broker, PARTITIONS, TOPICS};
use super::clock::DemoClock;
use super::mail_server::Received;
use super::platform::Platform;
use super::traffic::{Target, TopicKind, Traffic, TrafficEvent};
use super::verdict::{Played, Verdict};
use super::view::{BOLD, View, Voice, number};
use super::watch::Watch;
use super::{ATTACK, DemoError, START, tell};
use crate::daemon::Running;
use crate::event::EventTime;

/// Records under way at most: with all of them in one partition, still less than it keeps.
const UNDER_WAY_MAX: u64 = 4_000;
/// The daemon is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Records sent between two looks at the clock.
const BURST: u32 = 100;
/// No event for this long means that something is broken.
const STALL: Duration = Duration::from_secs(60);
/// How fast the demo's time goes while the intruder is at work and nothing is to be decided.
const FAST: u32 = 600;
/// How fast it goes while the daemon has something to decide, so that its own speed counts.
const SLOW: u32 = 10;
/// How fast it goes once the intruder is locked out: what is left of the plan only fails.
const FASTER: u32 = 3_000;
/// How long it goes slowly after each step.
const SLOW_FOR: Duration = Duration::from_millis(1_000);
/// How long after the attack mails and calls are waited for, and how long it must be quiet.
const PATIENCE: Duration = Duration::from_secs(30);
const QUIET: Duration = Duration::from_millis(1_000);
const DAY: i64 = 86_400_000;

/// What is there when the play begins.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) clock: std::sync::Arc<DemoClock>,
    pub(super) broker: Broker,
    pub(super) platform: Platform,
    pub(super) mails: mpsc::Receiver<Received>,
    pub(super) running: Running,
    pub(super) target: Target,
}

#[derive(Debug)]
pub(super) struct Story<'v> {
    clock: std::sync::Arc<DemoClock>,
    broker: Broker,
    platform: Platform,
    target: Target,
    traffic: std::iter::Peekable<Traffic>,
    watch: Watch,
    view: &'v mut View,
    sent: u64,
    /// As of the last look.
    handled: u64,
    looked: Instant,
    /// When the daemon last got on.
    moved: Instant,
    began: Instant,
    played: Played,
}

impl<'v> Story<'v> {
    pub(super) fn new(scene: Scene, traffic: Traffic, view: &'v mut View) -> Self {
        let now = Instant::now();
        Self {
            clock: scene.clock,
            broker: scene.broker,
            platform: scene.platform,
            played: Played::new(scene.target.clone()),
            target: scene.target,
            traffic: traffic.peekable(),
            watch: Watch::new(scene.running, scene.mails),
            view,
            sent: 0,
            handled: 0,
            looked: now,
            moved: now,
            began: now,
        }
    }

    /// Plays to the verdict, and tells it.
    pub(super) async fn play(&mut self, keep: bool) -> Result<Verdict, DemoError> {
        self.wait_for_daemon().await?;
        self.history().await?;
        self.takeover().await?;
        self.settle().await?;
        self.played.events = self.handled;
        self.played.reached = self.platform.reached(&self.target.account);
        self.played.refused_calls = self.platform.refused();
        self.played.seconds = self.began.elapsed().as_secs_f64();
        let verdict = Verdict::judge(&self.played, &self.watch);
        tell::verdict(self.view, &verdict);
        if keep {
            tell::goes_on(self.view, self.watch.address());
        }
        Ok(verdict)
    }

    /// Goes on with ordinary traffic for as long as there is any, then with nothing, until dropped.
    pub(super) async fn go_on(&mut self) -> Result<(), DemoError> {
        self.clock.set_speed(60);
        while let Some(time) = self.traffic.peek().map(|event| event.time) {
            self.wait_until(time).await?;
            if let Some(event) = self.traffic.next() {
                self.send(&event).await?;
            }
        }
        loop {
            self.look().await?;
            tokio::time::sleep(QUIET).await;
        }
    }

    async fn wait_for_daemon(&mut self) -> Result<(), DemoError> {
        let wanted =
            u64::try_from(TOPICS.len()).unwrap_or(0) * u64::from(PARTITIONS.unsigned_abs());
        self.view.status("the daemon joins its consumer group ...");
        let began = Instant::now();
        while self.watch.partitions() < wanted {
            if began.elapsed() > STALL {
                return Err(DemoError::Stalled { waited: STALL });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.moved = Instant::now();
        self.began = Instant::now();
        Ok(())
    }

    /// The days before the attack, as fast as they go.
    async fn history(&mut self) -> Result<(), DemoError> {
        self.view.tell(
            START,
            Voice::Demo,
            &format!("{BOLD}ordinary days{BOLD:#}: the daemon learns what each tenant does"),
        );
        let mut midnight = START.plus_millis(DAY);
        while let Some(event) = self.traffic.next_if(|event| event.time < ATTACK) {
            if event.time >= midnight {
                let text = self.figures();
                self.view.tell(midnight, Voice::Demo, &text);
                midnight = midnight.plus_millis(DAY);
            }
            self.clock.follow(event.time);
            self.send(&event).await?;
        }
        self.drain().await?;
        let text = self.figures();
        self.view.tell(ATTACK, Voice::Demo, &text);
        Ok(())
    }

    /// The attack, with ordinary traffic around it.
    async fn takeover(&mut self) -> Result<(), DemoError> {
        self.clock.follow(ATTACK);
        self.clock.set_speed(FAST);
        tell::attack_begins(self.view, ATTACK, &self.target);
        let mut slow_until = None;
        while self.traffic.peek().is_some() && !self.is_over() {
            let Some(event) = self.traffic.next() else { break };
            while self.clock.time() < event.time {
                if slow_until.is_some_and(|until| Instant::now() >= until) {
                    slow_until = None;
                    let is_locked = self.platform.is_locked(&self.target.account);
                    self.clock.set_speed(if is_locked { FASTER } else { FAST });
                }
                self.look().await?;
                tokio::time::sleep(LOOK_EVERY).await;
            }
            if event.label.is_some() {
                let is_locked = self.platform.is_locked(&self.target.account);
                if !is_locked {
                    self.clock.set_speed(SLOW);
                    slow_until = Some(Instant::now() + SLOW_FOR);
                    // What was sent before is dealt with before: the order of topics is that of
                    // events.
                    self.drain().await?;
                }
                self.intrude(&event).await?;
            } else {
                self.send(&event).await?;
            }
        }
        Ok(())
    }

    fn is_over(&mut self) -> bool {
        // The peeked event is no longer in the plan.
        let next_is_hostile = self.traffic.peek().is_some_and(|event| event.label.is_some());
        !next_is_hostile && self.played.steps >= super::TAKEOVER_STEPS
    }

    /// A step of the intruder: it happens unless the platform has locked the intruder out.
    async fn intrude(&mut self, event: &TrafficEvent) -> Result<(), DemoError> {
        self.look().await?;
        self.played.steps += 1;
        let step = tell::Step::read(event);
        let is_locked = self.platform.is_locked(&self.target.account);
        tell::step(self.view, event.time, &step, is_locked);
        self.played.planned += step.recipients;
        if is_locked {
            self.played.prevented += 1;
            return Ok(());
        }
        if event.topic == TopicKind::Broadcasts {
            self.platform.begin_broadcast(&self.target.account, step.recipients, event.time);
        }
        self.send(event).await?;
        if self.played.decided.is_none() {
            self.played.last_step = Some(Instant::now());
        }
        Ok(())
    }

    /// Waits until nothing is on its way any more.
    async fn settle(&mut self) -> Result<(), DemoError> {
        self.drain().await?;
        let began = Instant::now();
        let mut busy = began;
        while began.elapsed() < PATIENCE && busy.elapsed() < QUIET {
            if self.look().await? || self.watch.is_delivering(&self.target.account).await? {
                busy = Instant::now();
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.clock.set_speed(0);
        Ok(())
    }

    /// Waits until everything that was sent is dealt with.
    async fn drain(&mut self) -> Result<(), DemoError> {
        while self.handled < self.sent {
            self.look().await?;
            tokio::time::sleep(LOOK_EVERY / 4).await;
        }
        Ok(())
    }

    async fn wait_until(&mut self, time: EventTime) -> Result<(), DemoError> {
        while self.clock.time() < time {
            self.look().await?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn send(&mut self, event: &TrafficEvent) -> Result<(), DemoError> {
        while self.sent - self.handled.min(self.sent) >= UNDER_WAY_MAX {
            self.look().await?;
            tokio::time::sleep(LOOK_EVERY / 4).await;
        }
        self.broker.send(event)?;
        self.sent += 1;
        if self.sent.is_multiple_of(u64::from(BURST)) && self.looked.elapsed() > LOOK_EVERY {
            self.look().await?;
        }
        Ok(())
    }

    /// Looks at the daemon and tells what is new; returns whether something was.
    async fn look(&mut self) -> Result<bool, DemoError> {
        self.looked = Instant::now();
        let handled = self.watch.handled();
        if handled > self.handled || self.handled == self.sent {
            self.moved = Instant::now();
        }
        self.handled = handled;
        if self.moved.elapsed() > STALL {
            return Err(DemoError::Stalled { waited: STALL });
        }
        let news = self.watch.look(&self.platform).await?;
        let now = self.clock.time();
        for incident in &news.incidents {
            tell::incident(self.view, now, incident, incident.account == self.target.account);
        }
        for call in &news.calls {
            if call.account == self.target.account && self.played.decided.is_none() {
                self.played.decided = self.played.last_step.map(|step| call.arrived - step);
                self.played.reached_before = self.platform.reached(&call.account);
            }
            tell::call(self.view, call, self.played.decided);
        }
        for mail in &news.mails {
            tell::mail(self.view, mail, &self.target.account);
        }
        let text = self.figures();
        self.view.status(&format!("{}  {text}", super::view::stamp(now)));
        Ok(!(news.incidents.is_empty() && news.calls.is_empty() && news.mails.is_empty()))
    }

    fn figures(&self) -> String {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rate for people"
        )]
        let rate = (self.handled as f64 / self.began.elapsed().as_secs_f64().max(0.001)) as u64;
        format!(
            "{:>9} events, {:>6} a second, {} incidents, {} mails, {} platform actions",
            number(self.handled),
            number(rate),
            self.watch.incidents.len(),
            self.watch.mails_seen.len(),
            self.watch.calls.len(),
        )
    }
}
