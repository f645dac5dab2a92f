//! Writes what a tenant or an intruder does as an event of the satpam envelope.

use super::attack::{AttackKind, Step};
use super::tenant::{Tenant, address, phone};
use super::texts::{self, NAMES, SCAMS};
use crate::event::{EventTime, ObjectWriter};

/// The sender of an event.
struct Actor {
    id: u64,
    auth: &'static str,
    role: &'static str,
    ip: String,
}

/// An ordinary thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Message,
    Broadcast,
    Template,
    Login,
    Change,
}

/// Returns the event of an ordinary thing.
pub(super) fn ordinary(tenant: &mut Tenant, work: Work, time: EventTime, id: &str) -> String {
    let agent = tenant.agent(time);
    let ip = tenant.address(agent);
    let role = if agent == 0 { "admin" } else { "agent" };
    let actor = Actor { id: agent, auth: "token", role, ip };
    match work {
        Work::Message => {
            let recipient = tenant.recipient(time);
            let pattern = *tenant.random.pick(tenant.trade.texts);
            let mut text = texts::fill(pattern, "", &mut tenant.random);
            if let Some(site) = tenant.campaign(time).and_then(|campaign| campaign.site) {
                text.push_str(" Lihat https://");
                text.push_str(&site);
            }
            write(tenant, &actor, time, id, "message.sent", |event| {
                write_message(event, &text, &recipient);
            })
        }
        Work::Broadcast => {
            let (template, _, _) = *tenant.random.pick(tenant.trade.templates);
            let size = tenant.random.long_tailed(tenant.broadcast_size, 0.6);
            let variables = [(*tenant.random.pick(&NAMES)).to_owned(), "50%".to_owned()];
            write(tenant, &actor, time, id, "broadcast.created", |event| {
                write_broadcast(event, template, id, count(size), &variables);
            })
        }
        Work::Template => {
            let (name, category, body) = *tenant.random.pick(tenant.trade.templates);
            let name = format!("{name}_{}", tenant.random.below(100));
            write(tenant, &actor, time, id, "template.created", |event| {
                write_template(event, &name, category, body);
            })
        }
        Work::Login => {
            let succeeded = tenant.random.chance(0.96);
            let result = if succeeded { "succeeded" } else { "failed" };
            let event_type = if succeeded { "login.succeeded" } else { "login.failed" };
            write(tenant, &actor, time, id, event_type, |event| write_login(event, result, false))
        }
        Work::Change => {
            let what = *tenant.random.pick(&["user_created", "webhook_url", "user_role"]);
            let event_type = format!("change.{what}");
            write(tenant, &actor, time, id, &event_type, |event| {
                event.object("change", |change| change.text("what", what));
            })
        }
    }
}

/// Returns the event of a step of the tenant's attack.
pub(super) fn hostile(
    tenant: &mut Tenant,
    kind: AttackKind,
    step: Step,
    time: EventTime,
    id: &str,
) -> String {
    let (host, network) =
        tenant.attack.as_ref().map_or((String::new(), 0), |a| (a.host.clone(), a.network));
    let agent = tenant.agent(time);
    let known_network = kind == AttackKind::Mimic;
    let ip =
        if known_network { tenant.address(agent) } else { address(network, &mut tenant.random) };
    let actor = match kind {
        AttackKind::ApiKey => Actor { id: 0, auth: "secret_key", role: "api", ip },
        AttackKind::Mimic => Actor { id: agent, auth: "token", role: "agent", ip },
        AttackKind::Takeover
        | AttackKind::Blast
        | AttackKind::SlowDrip
        | AttackKind::TemplateBroadcast
        | AttackKind::Night
        | AttackKind::Ramp
        | AttackKind::Dormant => Actor { id: 0, auth: "token", role: "admin", ip },
    };
    // One template for the whole attack: named by where its link leads.
    let template =
        format!("promo_{}", host.chars().filter(char::is_ascii_digit).collect::<String>());
    let pattern = *tenant.random.pick(&SCAMS);
    let text = texts::fill(pattern, &host, &mut tenant.random);
    match step {
        Step::Login => write(tenant, &actor, time, id, "login.succeeded", |event| {
            write_login(event, "succeeded", true);
        }),
        Step::Template => write(tenant, &actor, time, id, "template.created", |event| {
            write_template(event, &template, "UTILITY", &text);
        }),
        Step::Broadcast => {
            let size = tenant.random.long_tailed(900.0_f64.max(tenant.broadcast_size * 2.0), 0.1);
            let variables = [(*tenant.random.pick(&NAMES)).to_owned(), format!("https://{host}/")];
            write(tenant, &actor, time, id, "broadcast.created", |event| {
                write_broadcast(event, &template, id, count(size), &variables);
            })
        }
        Step::Message => {
            let stranger = tenant.random.next();
            let recipient = phone(tenant.number, stranger);
            write(tenant, &actor, time, id, "message.sent", |event| {
                write_message(event, &text, &recipient);
            })
        }
    }
}

fn write(
    tenant: &Tenant,
    actor: &Actor,
    time: EventTime,
    id: &str,
    event_type: &str,
    object: impl FnOnce(&mut ObjectWriter<'_>),
) -> String {
    ObjectWriter::build(|event| {
        event.text("id", id);
        event.text("type", event_type);
        event.integer("time", time.millis());
        event.object("account", |account| {
            account.text("app_code", tenant.account.as_str());
            account.text("name", &tenant.name());
            account.text("plan", tenant.plan.name);
            account.text("timezone", "Asia/Jakarta");
            account.text("language", "id");
        });
        event.object("actor", |out| {
            out.text("id", &format!("{}", tenant.number * 1_000 + actor.id));
            out.text("email", &format!("user{}@{}.example", actor.id, tenant.account));
            out.text("role", actor.role);
            out.text("auth", actor.auth);
            out.text("ip", &actor.ip);
        });
        event.object("channel", |channel| {
            channel.integer("id", i64::try_from(tenant.number).unwrap_or_default());
            channel.text("source", "wa");
        });
        object(event);
    })
}

fn write_message(event: &mut ObjectWriter<'_>, text: &str, recipient: &str) {
    event.object("message", |message| {
        message.text("kind", "text");
        message.text("text", text);
        message.text("recipient", recipient);
        message.text("room_id", recipient.get(4..).unwrap_or_default());
    });
}

fn write_broadcast(
    event: &mut ObjectWriter<'_>,
    template: &str,
    job: &str,
    recipients: i64,
    variables: &[String],
) {
    event.object("broadcast", |broadcast| {
        broadcast.text("job_id", job);
        broadcast.text("template_name", template);
        broadcast.text("language", "id");
        broadcast.integer("recipient_count", recipients);
        broadcast.texts("variables", variables);
    });
}

fn write_template(event: &mut ObjectWriter<'_>, name: &str, category: &str, body: &str) {
    event.object("template", |template| {
        template.text("name", name);
        template.text("category", category);
        template.text("language", "id");
        template.text("body", body);
        template.text("approval_status", "pending");
    });
}

fn write_login(event: &mut ObjectWriter<'_>, result: &str, new_device: bool) {
    event.object("login", |login| {
        login.text("result", result);
        login.text("method", "password");
        login.boolean("new_device", new_device);
    });
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
fn count(size: f64) -> i64 {
    (size as i64).max(1)
}
