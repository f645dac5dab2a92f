//! Receivers, topics and rule files that fail for a while: detection goes on, and nothing is lost or
//! done twice.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::daemon::{Daemon, MailServer, Platform, Setup, TOPICS};
use crate::support::kafka;
use crate::support::story::Teller;

/// Makes the topics of one test and returns their prefix.
fn topics(test: &str) -> String {
    let prefix = format!("{}-", kafka::prefix(test));
    for name in TOPICS.iter().chain(&["dead"]) {
        kafka::create_topic(&kafka::shared().address(), &format!("{prefix}{name}"), 1, &[]);
    }
    prefix
}

/// Returns the value of one header of a mail.
fn header<'m>(mail: &'m str, name: &str) -> &'m str {
    let found = mail.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_default().trim()
}

fn tenant_mails(mail: &MailServer, account: &str) -> Vec<String> {
    let to = format!("budi@{account}.example");
    mail.mails().into_iter().filter(|mail| header(mail, "To").contains(&to)).collect()
}

#[test]
fn receivers_that_are_down_get_everything_once_when_they_are_back() {
    let brokers = kafka::shared().address();
    let prefix = topics("outage");
    let folder = tempfile::tempdir().unwrap();
    let (mail, platform) = (MailServer::start(), Platform::start());
    mail.set_down(true);
    platform.set_down(true);
    let mut setup = Setup::new(folder.path(), &prefix, mail.port, platform.port);
    setup.respond = "  retry: {first_wait: 200ms, longest_wait: 1s, attempts: 1000}\n\
                     \x20 circuit: {failures: 3, open_for: 500ms}\n\
                     \x20 notice_waits: 30s\n"
        .to_owned();
    let tell = |account, language| Teller { brokers: &brokers, prefix: &prefix, account, language };
    for (account, language) in [("toko-outage", "id"), ("shop-outage", "en")] {
        tell(account, language).ordinary_days();
        tell(account, language).takeover();
    }
    let daemon = Daemon::start(&setup);
    daemon.until("both receivers are tried and fail", || {
        (mail.refused() > 3 && platform.refused() > 3).then_some(())
    });
    // Detection does not wait for them: a further account is taken over and found.
    let opened = "satpam_incidents_opened_total";
    daemon.until("two incidents", || daemon.sum(opened).filter(|count| *count >= 2.0));
    tell("late-outage", "en").ordinary_days();
    tell("late-outage", "en").takeover();
    daemon.until("the third incident", || daemon.sum(opened).filter(|count| *count >= 3.0));
    assert!(daemon.has_caught_up(1), "records wait for the receivers");
    assert!(daemon.get("/readyz").unwrap().starts_with("HTTP/1.1 200"));
    assert!(daemon.get("/livez").unwrap().starts_with("HTTP/1.1 200"));
    assert!(mail.mails().is_empty() && platform.by_key().is_empty());

    mail.set_down(false);
    platform.set_down(false);
    for account in ["toko-outage", "shop-outage", "late-outage"] {
        daemon.until("the mail to the tenant", || tenant_mails(&mail, account).pop());
    }
    daemon.until("nothing is left to deliver", || {
        (daemon.sum("satpam_notification_queue_length") == Some(0.0)).then_some(())
    });
    for (account, language) in [("toko-outage", "id"), ("shop-outage", "en"), ("late-outage", "en")]
    {
        let mails = tenant_mails(&mail, account);
        assert_eq!(header(&mails[0], "Content-Language"), language, "{account}");
    }
    let mut ids: BTreeMap<String, usize> = BTreeMap::new();
    for mail in mail.mails() {
        *ids.entry(header(&mail, "Message-ID").to_owned()).or_default() += 1;
    }
    assert!(!ids.contains_key(""));
    assert!(ids.values().all(|count| *count == 1), "mails came twice: {ids:?}");
    let requests = platform.by_key();
    assert!(requests.values().all(|bodies| bodies.len() == 1), "actions came twice");
    let seen = platform.seen.lock().unwrap();
    for account in ["toko-outage", "shop-outage", "late-outage"] {
        let resets = seen.iter().filter(|(head, body)| {
            let path = head.lines().next().unwrap_or_default();
            body["kind"] == "force_password_reset" && path.contains(account)
        });
        assert_eq!(resets.count(), 1, "{account}: {seen:#?}");
    }
    drop(seen);
    daemon.terminate();
}

fn events(daemon: &Daemon, kind: &str, outcome: &str) -> f64 {
    let name = format!("satpam_events_total{{outcome=\"{outcome}\",type=\"{kind}\"}}");
    daemon.metrics().get(&name).copied().unwrap_or_default()
}

#[test]
fn a_topic_that_is_deleted_and_made_anew_is_read_from_its_beginning() {
    let brokers = kafka::shared().address();
    let prefix = topics("anew");
    let folder = tempfile::tempdir().unwrap();
    let (mail, platform) = (MailServer::start(), Platform::start());
    let setup = Setup::new(folder.path(), &prefix, mail.port, platform.port);
    let tell = Teller { brokers: &brokers, prefix: &prefix, account: "toko-anew", language: "id" };
    let before: Vec<_> =
        (0..8).map(|n| tell.message(&format!("a{n}"), n, "Pesanan Anda dikirim.")).collect();
    tell.produce("messages", &before);
    let daemon = Daemon::start(&setup);
    daemon.until("the messages", || (events(&daemon, "message", "processed") == 8.0).then_some(()));
    daemon.terminate();

    let topic = format!("{prefix}messages");
    kafka::delete_topic(&brokers, &topic);
    kafka::poll_until("the topic can be made again", || {
        std::panic::catch_unwind(|| kafka::create_topic(&brokers, &topic, 1, &[])).ok()
    });
    let after: Vec<_> =
        (0..5).map(|n| tell.message(&format!("b{n}"), 20 + n, "Pesanan Anda dikirim.")).collect();
    tell.produce("messages", &after);
    // The second start reads none of them again.
    for expected in [5.0, 0.0] {
        let daemon = Daemon::start(&setup);
        daemon
            .until("the messages of the topic made anew", || daemon.has_caught_up(1).then_some(()));
        assert_eq!(events(&daemon, "message", "replayed"), 0.0, "they were taken for known ones");
        assert_eq!(events(&daemon, "message", "processed"), expected);
        daemon.terminate();
    }
}

/// A rule that matches a word, and one that counts it.
fn write_rules(folder: &Path, name: &str, word: &str, title: &str) {
    let text = format!(
        "title: {title}\nname: {name}\nstatus: stable\nlevel: low\nlogsource: {{product: omnichannel, category: message}}\n\
         detection:\n  word: {{message.text|contains: {word}}}\n  condition: word\n\
         ---\n\
         title: Many of {name}\nname: many_{name}\nstatus: stable\nlevel: low\n\
         correlation: {{type: event_count, rules: [{name}], group-by: [account.app_code], timespan: 1h, condition: {{gte: 3}}}}\n"
    );
    std::fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
}

fn matches(daemon: &Daemon, rule: &str) -> f64 {
    let name = format!("satpam_rule_matches_total{{rule_id=\"{rule}\"}}");
    daemon.metrics().get(&name).copied().unwrap_or_default()
}

#[test]
fn rules_are_loaded_again_while_it_runs_and_a_broken_folder_changes_nothing() {
    let brokers = kafka::shared().address();
    let prefix = topics("reload");
    let folder = tempfile::tempdir().unwrap();
    let (mail, platform) = (MailServer::start(), Platform::start());
    let mut setup = Setup::new(folder.path(), &prefix, mail.port, platform.port);
    setup.rules = folder.path().join("rules");
    std::fs::create_dir(&setup.rules).unwrap();
    write_rules(&setup.rules, "melon", "semangka", "Melon");
    let tell =
        Teller { brokers: &brokers, prefix: &prefix, account: "toko-reload", language: "id" };
    let say = |id: &str, minute: u32, text: &str| {
        tell.produce("messages", &[tell.message(id, minute, text)]);
    };
    let daemon = Daemon::start(&setup);
    say("a", 1, "semangka");
    say("b", 2, "semangka");
    daemon.until("two matches", || (matches(&daemon, "melon") == 2.0).then_some(()));

    // A new rule: what the unchanged one has counted stays.
    write_rules(&setup.rules, "orange", "jeruk", "Orange");
    let loaded = "satpam_rules_loaded";
    daemon.until("the new rule", || (daemon.sum(loaded) == Some(4.0)).then_some(()));
    say("c", 3, "semangka jeruk");
    daemon.until("the match of the new rule", || (matches(&daemon, "orange") == 1.0).then_some(()));
    assert_eq!(matches(&daemon, "many_melon"), 1.0, "the window did not survive the reload");
    assert!(daemon.said().contains("many_orange"), "the log does not name what is new");

    // A broken folder.
    std::fs::write(setup.rules.join("broken.yaml"), "title: 'no end\n").unwrap();
    let successful = "satpam_rules_last_reload_successful";
    daemon.until("the failure shows", || (daemon.sum(successful) == Some(0.0)).then_some(()));
    assert_eq!(daemon.sum(loaded), Some(4.0));
    say("d", 4, "jeruk");
    daemon.until("the old rules go on", || (matches(&daemon, "orange") == 2.0).then_some(()));

    // The file goes, a rule changes and one goes; the signal does not wait for the watcher.
    std::fs::remove_file(setup.rules.join("broken.yaml")).unwrap();
    std::fs::remove_file(setup.rules.join("orange.yaml")).unwrap();
    write_rules(&setup.rules, "melon", "semangka", "Another title");
    daemon.signal("HUP");
    daemon.until("the rules are loaded", || (daemon.sum(loaded) == Some(2.0)).then_some(()));
    assert_eq!(daemon.sum(successful), Some(1.0));
    let log = daemon.said();
    assert!(log.contains(r#""changed":"[\"melon\"]""#), "{log}");
    assert!(log.contains(r#""removed":"[\"many_orange\", \"orange\"]""#), "{log}");
    daemon.terminate();
}
