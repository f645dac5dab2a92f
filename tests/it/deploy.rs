//! The files of `deploy/`: each is checked by the program that will read it, and against the source.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;
use syn::visit::{self, Visit};

use crate::support::kafka::poll_until;
use crate::support::process::{Running, free_port, http_get};
use crate::support::{needs_outside_component, project_path, read, run_tool, rust_files};

const ALERTS: &str = "deploy/prometheus/satpam.rules.yml";
const ALERT_TESTS: &str = "deploy/prometheus/satpam.rules.test.yml";
const DASHBOARDS: [&str; 1] = ["deploy/grafana/overview.json"];

/// Panels that need what a rule of the dashboard linter forbids: title, rule, reason.
const LINT_EXCEPTIONS: [(&str, &str, &str); 3] = [
    (
        "Incidents opened",
        "target-rate-interval",
        "the figure is the sum over the chosen time range",
    ),
    ("Forced resets", "target-rate-interval", "the figure is the sum over the chosen time range"),
    (
        "Failed deliveries",
        "target-rate-interval",
        "the figure is the sum over the chosen time range",
    ),
];

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn dashboard(file: &str) -> Value {
    serde_json::from_str(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn alert_rules() -> Vec<Value> {
    let file = yaml(ALERTS);
    list(&file["groups"]).iter().flat_map(|group| list(&group["rules"]).to_vec()).collect()
}

/// Every query of a dashboard, with the title of its panel.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let mut queries: Vec<(String, String)> = Vec::new();
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            queries.push((text(&panel["title"]).to_owned(), text(&target["expr"]).to_owned()));
        }
    }
    for annotation in list(&dashboard["annotations"]["list"]) {
        queries.push((text(&annotation["name"]).to_owned(), text(&annotation["expr"]).to_owned()));
    }
    queries
}

/// The string literals of the source, outside of documentation.
#[derive(Default)]
struct Literals(BTreeSet<String>);

impl<'ast> Visit<'ast> for Literals {
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.ident != "tests" {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.0.insert(literal.value());
    }

    // The arguments of a macro such as vec! are tokens; literals in them count too.
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let parser = syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        if let Ok(arguments) = call.parse_body_with(parser) {
            for argument in &arguments {
                self.visit_expr(argument);
            }
        }
    }
}

pub(crate) fn source_literals() -> BTreeSet<String> {
    let mut literals = Literals::default();
    for file in rust_files("src") {
        literals.visit_file(&syn::parse_file(&read(&file)).unwrap());
    }
    literals.0
}

/// The identifiers of a `PromQL` expression that start with `satpam_`.
fn metric_names(expression: &str) -> BTreeSet<&str> {
    expression
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("satpam_"))
        .collect()
}

/// The values of `label="value"` and of the alternatives of `label=~"one|two"`.
fn label_values(expression: &str) -> Vec<&str> {
    let mut values = Vec::new();
    let mut parts = expression.split('"');
    while let (Some(_), Some(value)) = (parts.next(), parts.next()) {
        values.extend(value.split('|').filter(|value| !value.contains('$')));
    }
    values
}

#[test]
fn alerts_and_dashboards_name_only_metrics_and_label_values_of_the_program() {
    let literals = source_literals();
    let mut expressions: Vec<(String, String)> = alert_rules()
        .iter()
        .map(|rule| (text(&rule["alert"]).to_owned(), text(&rule["expr"]).to_owned()))
        .collect();
    for file in DASHBOARDS {
        expressions.extend(queries(&dashboard(file)));
    }
    let mut wrong = Vec::new();
    for (place, expression) in &expressions {
        for name in metric_names(expression) {
            let is_known = ["", "_bucket", "_sum", "_count"]
                .iter()
                .any(|end| name.strip_suffix(end).is_some_and(|base| literals.contains(base)));
            if !is_known {
                wrong.push(format!("{place}: no metric {name}"));
            }
        }
        for value in label_values(expression) {
            if value != "satpam" && !literals.contains(value) {
                wrong.push(format!("{place}: no label value `{value}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn promtool_accepts_the_alerts_and_each_fires_when_it_should() {
    if !needs_outside_component() {
        return;
    }
    run_tool("promtool", &["check", "rules", "--lint=all", "--lint-fatal", ALERTS]);
    run_tool("promtool", &["test", "rules", ALERT_TESTS]);
    run_tool("promtool", &["check", "config", "deploy/prometheus/prometheus.yml"]);
    run_tool("amtool", &["check-config", "deploy/alertmanager/alertmanager.yml"]);
}

#[test]
fn every_alert_has_a_runbook_section_and_a_test_that_fires_and_one_that_stays_silent() {
    let runbook = read("deploy/RUNBOOK.md");
    let tests = yaml(ALERT_TESTS);
    for rule in alert_rules() {
        let name = text(&rule["alert"]);
        assert!(name.starts_with("Satpam"), "{name}");
        let severity = text(&rule["labels"]["severity"]);
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        assert!(!text(&rule["annotations"]["summary"]).is_empty(), "{name}");
        assert!(!text(&rule["annotations"]["description"]).is_empty(), "{name}");
        assert!(runbook.contains(&format!("\n## {name}\n")), "{name} is not in the runbook");
        let link = text(&rule["annotations"]["runbook_url"]);
        assert!(link.ends_with(&format!("deploy/RUNBOOK.md#{}", name.to_lowercase())), "{link}");
        let (mut fires, mut silent) = (false, false);
        for case in list(&tests["tests"]) {
            for alert in list(&case["alert_rule_test"]) {
                if text(&alert["alertname"]) == name {
                    let is_empty = list(&alert["exp_alerts"]).is_empty();
                    fires |= !is_empty;
                    silent |= is_empty;
                }
            }
        }
        // The watchdog always fires.
        assert!(fires && (silent || name == "SatpamWatchdog"), "{name} is not tested both ways");
    }
}

#[test]
fn the_unit_is_valid_and_hardened() {
    if !needs_outside_component() {
        return;
    }
    let unit = "deploy/satpam.service";
    run_tool("systemd-analyze", &["security", "--offline=true", "--threshold=20", unit]);
    // The check wants the program to exist, and it is not installed here.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("satpam.service");
    fs::write(&copy, read(unit).replace("/usr/bin/satpam", "/bin/true")).unwrap();
    let output = run_tool("systemd-analyze", &["verify", "--man=no", copy.to_str().unwrap()]);
    assert!(!output.contains("satpam.service"), "{output}");
}

#[test]
fn the_dashboards_pass_the_rules_of_the_dashboard_linter() {
    let mut wrong = Vec::new();
    for file in DASHBOARDS {
        let dashboard = dashboard(file);
        lint_frame(&dashboard, &mut wrong);
        lint_variables(&dashboard, &mut wrong);
        let mut ids = BTreeSet::new();
        for panel in list(&dashboard["panels"]) {
            assert!(ids.insert(panel["id"].to_string()), "{file}: two panels with one id");
            lint_panel(panel, &mut wrong);
            for target in list(&panel["targets"]) {
                lint_query(text(&panel["title"]), text(&target["expr"]), &mut wrong);
            }
        }
    }
    let excepted = |(title, rule): &(String, &str)| {
        LINT_EXCEPTIONS.iter().any(|(t, r, _)| t == title && r == rule)
    };
    let left: Vec<_> = wrong.iter().filter(|finding| !excepted(finding)).collect();
    assert!(left.is_empty(), "{left:#?}");
    for (title, rule, _) in LINT_EXCEPTIONS {
        let is_needed = wrong.iter().any(|(t, r)| t == title && *r == rule);
        assert!(is_needed, "the exception of `{title}` from {rule} is not needed");
    }
}

type Findings = Vec<(String, &'static str)>;

fn lint_frame(dashboard: &Value, wrong: &mut Findings) {
    let title = text(&dashboard["title"]);
    let mut check = |holds: bool, rule| {
        if !holds {
            wrong.push((title.to_owned(), rule));
        }
    };
    check(dashboard["editable"] == false, "uneditable-dashboard");
    check((8..=40).contains(&text(&dashboard["uid"]).len()), "stable-uid");
    check(dashboard["id"].is_null(), "no-id");
    check(dashboard["schemaVersion"] == 42, "schema-version");
}

fn lint_variables(dashboard: &Value, wrong: &mut Findings) {
    let variables = list(&dashboard["templating"]["list"]);
    let find = |name: &str| variables.iter().find(|variable| variable["name"] == name);
    let is_source = find("datasource").is_some_and(|variable| {
        variable["type"] == "datasource"
            && variable["query"] == "prometheus"
            && variable["label"] == "Data source"
    });
    if !is_source {
        wrong.push(("datasource".to_owned(), "template-datasource"));
    }
    for (name, rule) in [("job", "template-job"), ("instance", "template-instance")] {
        let holds = find(name).is_some_and(|variable| {
            variable["type"] == "query"
                && variable["datasource"]["uid"] == "${datasource}"
                && variable["multi"] == true
                && variable["includeAll"] == true
                && variable["allValue"] == ".+"
                && variable["label"] == name
        });
        if !holds {
            wrong.push((name.to_owned(), rule));
        }
        if find(name).is_none_or(|variable| variable["refresh"] != 2) {
            wrong.push((name.to_owned(), "template-on-time-change-reload"));
        }
    }
}

fn lint_panel(panel: &Value, wrong: &mut Findings) {
    let title = text(&panel["title"]);
    let mut check = |holds: bool, rule| {
        if !holds {
            wrong.push((title.to_owned(), rule));
        }
    };
    check(panel["datasource"]["uid"] == "${datasource}", "panel-datasource");
    check(!title.is_empty() && !text(&panel["description"]).is_empty(), "panel-title-description");
    let units = ["short", "s", "bytes", "cps", "percentunit", "none"];
    check(units.contains(&text(&panel["fieldConfig"]["defaults"]["unit"])), "panel-units");
    check(panel["fieldConfig"]["overrides"].is_array(), "panel-overrides");
    check(!list(&panel["targets"]).is_empty(), "panel-no-targets");
}

fn lint_query(title: &str, query: &str, wrong: &mut Findings) {
    let mut check = |holds: bool, rule| {
        if !holds {
            wrong.push((title.to_owned(), rule));
        }
    };
    check(query.contains("job=~\"$job\""), "target-job");
    check(query.contains("instance=~\"$instance\""), "target-instance");
    let ranges = query.matches('[').count();
    check(ranges == query.matches("[$__rate_interval]").count(), "target-rate-interval");
    for (at, _) in query.match_indices("_total{") {
        let head = &query[..at];
        let call = head.rfind('(').map_or("", |open| &head[..open]);
        let is_rate = ["rate", "irate", "increase"].iter().any(|name| call.ends_with(name));
        check(is_rate, "target-counter-agg");
    }
}

#[test]
fn prometheus_can_evaluate_every_query_of_the_dashboards() {
    if !needs_outside_component() {
        return;
    }
    // promtool has no parser of its own for queries: as recording rules they are parsed.
    let rules: Vec<Value> = DASHBOARDS
        .iter()
        .flat_map(|file| queries(&dashboard(file)))
        .enumerate()
        .map(|(number, (_, query))| {
            let query = ["$__rate_interval", "$__interval", "$__range"]
                .iter()
                .fold(query, |query, variable| query.replace(variable, "5m"));
            serde_json::json!({ "record": format!("query:{number}:dashboard"), "expr": query })
        })
        .collect();
    let file = serde_json::json!({ "groups": [{ "name": "dashboards", "rules": rules }] });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queries.yml");
    fs::write(&path, file.to_string()).unwrap();
    run_tool("promtool", &["check", "rules", "--lint=none", path.to_str().unwrap()]);
}

#[test]
fn the_compose_set_up_is_closed_to_the_outside_and_mounts_what_exists() {
    let compose = yaml("deploy/compose.yaml");
    let services = compose["services"].as_object().unwrap();
    for (name, service) in services {
        for port in list(&service["ports"]) {
            assert!(text(port).starts_with("127.0.0.1:"), "{name} opens {port}");
        }
        for volume in list(&service["volumes"]) {
            let source = text(volume).split(':').next().unwrap();
            if source.starts_with('.') {
                let path = project_path("deploy").join(source);
                assert!(path.exists(), "{name} mounts {source}, which does not exist");
            } else {
                assert!(compose["volumes"].get(source).is_some(), "{name}: no volume {source}");
            }
        }
        let is_pinned = text(&service["image"]).contains(':') || !service["build"].is_null();
        assert!(is_pinned && !text(&service["image"]).ends_with(":latest"), "{name} is not pinned");
    }
    for other in ["kafka", "prometheus", "alertmanager", "grafana", "mail", "satpam"] {
        assert!(services.contains_key(other), "{other}");
    }
}

#[test]
fn the_image_is_small_unprivileged_and_copies_what_exists() {
    let dockerfile = read("deploy/Dockerfile");
    let last = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")).next_back();
    assert!(last.is_some_and(|image| image.ends_with(":nonroot")), "{last:?}");
    for line in dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        if line.starts_with("--from") {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        for source in &words[..words.len() - 1] {
            assert!(project_path(source).exists(), "{source} is copied and does not exist");
        }
    }
}

/// Prometheus's rules with every wait and window of seconds, so that a test need not wait.
fn hasty(rules: &str) -> String {
    let mut text = String::new();
    for line in rules.lines() {
        let line = if line.trim_start().starts_with("for: ") {
            format!("{}for: 1s", &line[..line.len() - line.trim_start().len()])
        } else {
            ["[5m]", "[10m]", "[15m]", "[30m]", "[1h]"]
                .iter()
                .fold(line.to_owned(), |line, window| line.replace(window, "[5s]"))
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn json_of(port: u16, path: &str) -> Option<Value> {
    serde_json::from_str(&http_get(port, path)?).ok()
}

fn start_tool(program: &str, arguments: &[String], log: &std::path::Path) -> Running {
    let log = fs::File::create(log).unwrap();
    let child = Command::new(program)
        .args(arguments)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; ./run setup --tests installs it"));
    Running(child)
}

/// Writes what the three programs read, all on loopback, and returns nothing else.
fn write_monitoring(folder: &std::path::Path, satpam: u16, alertmanager: u16) {
    let config = format!(
        "rules: {}\nstore: {{path: {}}}\nkafka: {{brokers: '127.0.0.1:1', start: latest}}\n\
         telemetry: {{listen: '127.0.0.1:{satpam}'}}\n",
        project_path("rules").display(),
        folder.join("state").display(),
    );
    fs::write(folder.join("satpam.yaml"), config).unwrap();
    fs::write(folder.join("satpam.rules.yml"), hasty(&read(ALERTS))).unwrap();
    let scrape = read("deploy/prometheus/prometheus.yml")
        .replace("15s", "500ms")
        .replace("satpam:9464", &format!("127.0.0.1:{satpam}"))
        .replace("alertmanager:9093", &format!("127.0.0.1:{alertmanager}"));
    fs::write(folder.join("prometheus.yml"), scrape).unwrap();
    fs::write(folder.join("alertmanager.yml"), read("deploy/alertmanager/alertmanager.yml"))
        .unwrap();
}

#[test]
fn prometheus_scrapes_the_daemon_and_alertmanager_hears_that_no_events_come() {
    if !needs_outside_component() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (satpam, prometheus, alertmanager) = (free_port(), free_port(), free_port());
    write_monitoring(folder.path(), satpam, alertmanager);
    let flag = |name: &str, value: &dyn std::fmt::Display| format!("--{name}={value}");
    // No broker answers: the daemon is up and has nothing to process.
    let _daemon = start_tool(
        env!("CARGO_BIN_EXE_satpam"),
        &["run".to_owned(), flag("config", &at("satpam.yaml").display())],
        &at("satpam.log"),
    );
    let _alertmanager = start_tool(
        "prometheus-alertmanager",
        &[
            flag("config.file", &at("alertmanager.yml").display()),
            flag("web.listen-address", &format!("127.0.0.1:{alertmanager}")),
            flag("cluster.listen-address", &""),
            flag("storage.path", &at("alerts").display()),
        ],
        &at("alertmanager.log"),
    );
    let _prometheus = start_tool(
        "prometheus",
        &[
            flag("config.file", &at("prometheus.yml").display()),
            flag("web.listen-address", &format!("127.0.0.1:{prometheus}")),
            flag("storage.tsdb.path", &at("series").display()),
        ],
        &at("prometheus.log"),
    );

    let target = poll_until("the daemon as a target that is up", || {
        let targets = json_of(prometheus, "/api/v1/targets")?;
        list(&targets["data"]["activeTargets"]).iter().find(|one| one["health"] == "up").cloned()
    });
    assert_eq!(target["labels"]["job"], "satpam");
    let rules = json_of(prometheus, "/api/v1/rules").unwrap();
    let loaded: BTreeSet<&str> = list(&rules["data"]["groups"])
        .iter()
        .flat_map(|group| list(&group["rules"]))
        .map(|rule| text(&rule["name"]))
        .collect();
    for rule in alert_rules() {
        assert!(loaded.contains(text(&rule["alert"])), "{loaded:?}");
    }
    // A target is up a moment before what it told can be asked for.
    let version = poll_until("the daemon's version", || {
        let answer = json_of(prometheus, "/api/v1/query?query=satpam_build_info")?;
        answer["data"]["result"][0]["metric"]["version"].as_str().map(str::to_owned)
    });
    assert_eq!(version, env!("CARGO_PKG_VERSION"));

    let alert = poll_until("the alert in Alertmanager", || {
        let alerts = json_of(alertmanager, "/api/v2/alerts")?;
        let is_it = |one: &&Value| one["labels"]["alertname"] == "SatpamNoEventsProcessed";
        list(&alerts).iter().find(is_it).cloned()
    });
    assert_eq!(alert["labels"]["severity"], "critical");
    assert_eq!(alert["receivers"][0]["name"], "monitoring");

    // The image's health check sees the same daemon: up, and not ready.
    let health = Command::new(env!("CARGO_BIN_EXE_satpam"))
        .args(["health", "--config"])
        .arg(at("satpam.yaml"))
        .output()
        .unwrap();
    assert_eq!(health.status.code(), Some(1), "{health:?}");
    let said = String::from_utf8_lossy(&health.stdout).into_owned();
    assert!(said.contains("assignment_received"), "{said}");
}

#[test]
fn the_configurations_that_are_delivered_can_be_used() {
    for file in ["deploy/default.yaml", "deploy/satpam.compose.yaml"] {
        run_tool(env!("CARGO_BIN_EXE_satpam"), &["config", "check", file]);
    }
    let printed = run_tool(env!("CARGO_BIN_EXE_satpam"), &["config", "default"]);
    assert_eq!(printed, read("deploy/default.yaml"));
    let health = &yaml("deploy/compose.yaml")["services"]["satpam"]["healthcheck"]["test"];
    let command: Vec<&str> = list(health).iter().map(text).collect();
    assert_eq!(command, ["CMD", "/usr/bin/satpam", "health"]);
}
