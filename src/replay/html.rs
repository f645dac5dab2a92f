//! The report as one HTML page without scripts. It names accounts and rules, never what an event
//! says: no texts, no phone numbers.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use super::report::{Difference, Report};

/// A report that cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[error("the report cannot be rendered")]
pub struct UnprintableReport(#[from] minijinja::Error);

#[derive(Serialize)]
struct Page<'a> {
    report: &'a Report,
    difference: Option<&'a Difference>,
}

/// Returns the report as a page; everything that comes from rules or events is escaped.
///
/// # Errors
/// The template and the report do not fit.
pub fn html(report: &Report, difference: Option<&Difference>) -> Result<String, UnprintableReport> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_template("report.html", include_str!("report.html"))?;
    let page = Serde(Page { report, difference });
    Ok(environment.get_template("report.html")?.render(page)?)
}
