//! The catalogue of everything that can be wrong with a rule set.
//!
//! Codes are stable: they are written into suppressions, dashboards and minds. A code that is no
//! longer given is never used for something else. `SP0xx` are files and documents, `SP1xx`
//! detections, `SP2xx` conditions, `SP3xx` correlations, `SP4xx` lists, accounts and policy, `SP5xx`
//! warnings.

use std::fmt;

use super::diagnostic::Severity;

/// What a code means, for `satpam rules explain CODE` and the generated page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// One line.
    pub summary: &'static str,
    /// Why it matters and what to do.
    pub text: &'static str,
    /// YAML that gives the finding, and where it helps YAML that does not.
    pub example: &'static str,
}

macro_rules! catalogue {
    ($($name:ident $code:literal $severity:ident, $summary:literal, $text:literal, $example:literal;)*) => {
        /// The kind of a finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $summary] $name,)*
        }

        impl Code {
            /// Every code, in the order of the catalogue.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the stable code, `SP101`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity),* }
            }

            pub fn explanation(self) -> Explanation {
                match self {
                    $(Self::$name => Explanation {
                        summary: $summary, text: $text, example: $example,
                    }),*
                }
            }
        }
    };
}

catalogue! {
    NotYaml "SP001" Error,
        "the file is not YAML",
        "Nothing of a file is used where its YAML cannot be read. Common causes are a quote that is not closed, a tab in the indentation, and a value that holds `: ` or starts with `*`, `&`, `%`, `@` without quotes.",
        "title: 'Login from a new network\n# a quote is missing\n";
    YamlTooLarge "SP002" Error,
        "the file is larger or deeper than a rule file may be",
        "Files, documents, nesting and what aliases repeat are bounded, so that a file cannot exhaust the machine. Split the file, or move long lists of values into rules/lists/.",
        "a: &a [x, x, x]\nb: &b [*a, *a, *a]   # and so on\n";
    DuplicateKey "SP003" Error,
        "a key stands twice in one map",
        "Most readers would keep one of the two and drop the other without a word. For several tests of one field use a list of values, another selection, or `|all`.",
        "selection:\n  message.text|contains: otp\n  message.text|contains: kode\n# instead:\nselection:\n  message.text|contains|all: [otp, kode]\n";
    NotADocument "SP004" Error,
        "the document is no rule, correlation or filter",
        "Every document of a rule file holds one of the keys `detection`, `correlation` or `filter`.",
        "title: Something\nlogsource: {product: omnichannel}\n# detection is missing\n";
    MissingKey "SP005" Error,
        "a key that must be there is missing",
        "Without it the document has no meaning.",
        "title: Login\nlogsource: {product: omnichannel, category: login}\ndetection:\n  selection: {login.result: failed}\n  # condition is missing\n";
    WrongType "SP006" Error,
        "a value has another type than its key asks for",
        "For example a list where a text is expected. Quote a text that looks like a number or a boolean.",
        "title: [Login, from, somewhere]\n";
    UnknownKey "SP007" Error,
        "a key that satpam does not know stands where only known keys may",
        "In `correlation:`, `filter:`, `satpam:`, the policy and the files of accounts a key without meaning is a slip that would silently change what the rule does.",
        "correlation:\n  type: event_count\n  timespam: 5m\n";
    UnknownWord "SP008" Error,
        "a word is none of those that may stand here",
        "Status, level, correlation type, category and the like have fixed words.",
        "level: hihg\n";
    DuplicateRule "SP009" Error,
        "two rules have the same id, name or key",
        "References, metrics and stored state name a rule by them; with two of one name they would be mixed up.",
        "name: burst\n---\nname: burst\n";
    InvalidValue "SP010" Error,
        "a value is outside of what its key allows",
        "The message names the range or the form.",
        "timespan: 5 minutes   # write 5m\n";
    UnreadableText "SP011" Error,
        "a file is not UTF-8",
        "Rule files are UTF-8. Convert the file.",
        "# iconv -f latin1 -t utf-8 rule.yaml\n";

    UnknownModifier "SP101" Error,
        "a field has a modifier that does not exist",
        "The value modifiers are those of Sigma 2.1: contains, startswith, endswith, all, cased, neq, exists, re (i, m, s), cidr, lt, lte, gt, gte, minute, hour, day, week, month, year, base64, base64offset, utf16le (wide), utf16be, utf16, windash, fieldref, expand.",
        "selection:\n  message.text|contain: otp\n";
    ModifierCombination "SP102" Error,
        "modifiers stand in an order or combination without meaning",
        "Modifiers work from left to right. `re` and `cidr` come first, `exists` stands alone, utf16 forms are followed by base64 or base64offset, encodings come before contains.",
        "selection:\n  a|contains|base64: foo   # base64|contains\n";
    ModifierValue "SP103" Error,
        "a value does not fit its modifier",
        "Comparisons take numbers, exists takes true or false, encodings take texts without wildcards, parts of a time take whole numbers in their range.",
        "selection:\n  broadcast.recipient_count|gte: many\n";
    AllWithOneValue "SP104" Error,
        "`all` stands at a single value",
        "`all` says that every value must be found; with one value it says nothing, and a value was probably forgotten.",
        "selection:\n  message.text|contains|all: otp   # without |all, or a list\n";
    InvalidRegex "SP105" Error,
        "a regular expression cannot be read",
        "The syntax is that of the `regex` crate, which is PCRE's without look-around and back-references. A literal `[` inside a class is written `\\[`.",
        "selection:\n  message.text|re: '(otp'\n";
    UnsupportedRegex "SP106" Error,
        "a regular expression needs look-around or back-references",
        "They have no bound on their running time, so a hostile message could stop the stream. Say what must not stand there with a second selection and `and not`.",
        "selection:\n  message.text|re: 'otp(?! anda)'\n# instead:\nselection: {message.text|re: 'otp'}\nfilter: {message.text|contains: 'otp anda'}\n# condition: selection and not filter\n";
    RegexTooLarge "SP107" Error,
        "a regular expression becomes too large a program",
        "Counted repetitions multiply: `(\\w{1,100}){1,100}` is ten thousand copies of \\w. Use smaller counts, or `*` and `+`.",
        "selection:\n  message.text|re: '(\\w{1,200}){1,200}'\n";
    InvalidNetwork "SP108" Error,
        "a text is not an IP network",
        "Write an IPv4 or IPv6 network with its prefix length, and without bits behind the prefix.",
        "selection:\n  actor.ip|cidr: 10.0.0.1/8   # 10.0.0.0/8\n";
    UnresolvedPlaceholder "SP109" Error,
        "a placeholder has no value",
        "`|expand` replaces `%name%` by the values of rules/lists/NAME.txt or NAME.yaml, and `%account.NAME%` by the account's own list. A rule with a placeholder that nothing fills would silently match its text.",
        "selection:\n  content.domains|expand: '%shorteners%'   # rules/lists/shorteners.txt is missing\n";
    TooManyVariants "SP110" Error,
        "a value stands for too many texts",
        "windash tries five characters for each dash, and lists multiply with each placeholder. More than 10,000 texts from one value are refused.",
        "selection:\n  cmd|windash|contains: '-a -b -c -d -e -f -g -h'\n";
    EmptySelection "SP111" Error,
        "a selection tests nothing",
        "It would hold for every event or for none.",
        "selection: {}\n";
    UnknownField "SP112" Error,
        "a rule for omnichannel events names a field that they do not have",
        "A field that is never there never matches. docs/rules.md lists the fields of each category and those that satpam derives. Fields of rules for other products are not checked.",
        "logsource: {product: omnichannel, category: message}\ndetection:\n  selection:\n    mesage.text|contains: otp\n  condition: selection\n";

    ConditionSyntax "SP201" Error,
        "a condition cannot be read",
        "A condition joins names of selections with and, or, not, parentheses, and `1 of`, `any of`, `all of` a pattern or `them`.",
        "condition: selection and (filter or\n";
    UnknownSelection "SP202" Error,
        "a condition names a selection that is not there",
        "Every name in a condition is a key of `detection` (or `filter`).",
        "detection:\n  selection: {a: 1}\n  condition: selektion\n";
    PatternMatchesNothing "SP203" Error,
        "a pattern of a condition matches no selection",
        "Sigma tools disagree about what it means: some take it as always true. Selections whose name starts with `_` are left out of `them` and of patterns that do not start with `_`.",
        "detection:\n  selection: {a: 1}\n  condition: 1 of filter_*\n";
    AggregationRemoved "SP204" Error,
        "a condition has an aggregation behind `|`",
        "Sigma 2 replaced `| count() by x > 5` by correlation rules.",
        "condition: selection | count() by actor.ip > 5\n# instead, in another document:\n# correlation: {type: event_count, rules: [...], group-by: [actor.ip], timespan: 5m, condition: {gt: 5}}\n";
    ConditionTooLarge "SP205" Error,
        "a condition becomes too large",
        "Each selection is repeated wherever the condition names it, and `3 of` writes out all combinations. At most 200,000 tests, 64 levels of nesting.",
        "condition: 7 of many_*\n";

    UnknownRule "SP301" Error,
        "a correlation or a filter names a rule that is not there",
        "Rules are named by `name` or `id`. The rule must be loaded together with the one that names it.",
        "correlation:\n  type: event_count\n  rules: [failed_logn]\n";
    CorrelationCycle "SP302" Error,
        "correlations feed each other in a circle",
        "A correlation may build on others, but none may be fed by itself, however far around.",
        "name: a\ncorrelation: {type: temporal, rules: [b], timespan: 5m}\n---\nname: b\ncorrelation: {type: temporal, rules: [a], timespan: 5m}\n";
    CorrelationCondition "SP303" Error,
        "the condition of a correlation does not fit its type",
        "event_count, value_count and the other value types compare a number (gt, gte, lt, lte, eq, neq; two of them make a range); value types name their `field`; baseline takes `score`, `budget` or both; new_terms, absence and temporal_ordered fire by themselves.",
        "correlation:\n  type: value_count\n  condition: {gte: 5}   # field is missing\n";
    IncompleteAlias "SP304" Error,
        "an alias has no field for one of the rules",
        "An alias in `group-by` needs a field for every rule of the correlation.",
        "aliases:\n  who: {rule_a: actor.id}   # rule_b is missing\n";
    BaselineScope "SP305" Error,
        "a baseline is not grouped by the account",
        "Baselines are kept with the account's own record: `group-by: [account.app_code]`.",
        "correlation: {type: baseline, group-by: [actor.id]}\n";
    AbsenceFeeds "SP306" Error,
        "a correlation is fed by an `absence`",
        "An `absence` fires when a deadline passes, not at an event, so there is no event whose fields a further correlation could group or measure. Name the rules of the absence themselves, or let both add to the account's risk.",
        "name: no_success\ncorrelation: {type: absence, rules: [a], after: [b], timespan: 5m}\n---\ncorrelation: {type: event_count, rules: [no_success], timespan: 1h, condition: {gte: 3}}\n";

    InvalidAccount "SP401" Error,
        "a file in accounts/ is not named after an account",
        "The file's name without .yaml is the account's app_code, 1 to 128 bytes.",
        "# rules/accounts/.yaml\n";

    UnusedSelection "SP501" Warning,
        "a selection is not used by the condition",
        "A forgotten filter is the usual reason. Use it, or start its name with `_` if it is kept on purpose.",
        "detection:\n  selection: {a: 1}\n  filter: {b: 2}\n  condition: selection\n";
    FieldNotInCategory "SP502" Warning,
        "a rule names a field that events of its category never have",
        "The test is always false (or, behind `not`, always true).",
        "logsource: {product: omnichannel, category: template}\ndetection:\n  selection: {message.text: x}\n  condition: selection\n";
    RegexWithoutLiteral "SP503" Warning,
        "a rule has nothing but regular expressions without a literal to be found by",
        "Rules are found by the literals of three or more characters that they need; a rule that needs none is tried on every event. Add a cheap `contains` beside the expression where one holds.",
        "selection:\n  message.text|re: '\\d{4,8}'\n";
    GroupWithoutAccount "SP504" Warning,
        "a correlation of omnichannel events is not grouped by the account",
        "Events of different tenants are counted together, its state is kept with the shard instead of the account, and accounts of other shards are not seen. Add `account.app_code` to `group-by`.",
        "correlation: {type: event_count, group-by: [actor.ip]}\n";
    FilterExpired "SP505" Warning,
        "an exception has expired and no longer applies",
        "Delete the filter, or give it a later date if it is still needed.",
        "satpam: {expires: 2020-01-31}\n";
    FilterExpiresSoon "SP506" Warning,
        "an exception expires within 14 days",
        "What it excludes will be reported again from then on.",
        "satpam: {expires: 2027-01-31}\n";
    NoTest "SP507" Warning,
        "a rule has no test beside it",
        "NAME.test.yaml beside NAME.yaml says which events must match and which must not; `satpam rules test` runs it.",
        "# rules/links/shortener.yaml without rules/links/shortener.test.yaml\n";
    NotEvaluated "SP508" Warning,
        "a rule is not evaluated because of its status",
        "Rules with the status deprecated or unsupported are loaded and never evaluated; a correlation that builds on one cannot see it.",
        "status: deprecated\n";
    KeyLooksMisspelt "SP509" Warning,
        "a custom key looks like a misspelt key of Sigma",
        "Sigma allows custom keys, so this one was accepted and has no effect.",
        "falsepostives: [Promotions]\n";
    KeyWithoutEffect "SP510" Warning,
        "a key has no effect",
        "`timeframe` belonged to the aggregations that Sigma 2 removed. Write a correlation with `timespan`.",
        "detection:\n  timeframe: 5m\n";
    FilterAppliesToNothing "SP511" Warning,
        "a filter's logsource fits none of the rules it names",
        "A filter applies to a rule only where its logsource contains the rule's.",
        "logsource: {product: omnichannel, category: login}\nfilter:\n  rules: [a_rule_about_templates]\n";
    UnknownAccountList "SP512" Warning,
        "no account has the list that a rule expands",
        "`%account.NAME%` never matches for an account without the list. Add it to rules/accounts/APP_CODE.yaml, or correct the name.",
        "selection:\n  content.domains|expand: '%account.domians%'\n";
    NeverHolds "SP513" Warning,
        "a condition or selection can never hold",
        "Its parts exclude each other, whatever the event: a test and its opposite, a value that an exclusion of the same rule covers, two values of a field that has one. Only what is certain is told.",
        "detection:\n  selection: {message.text|contains: kode otp}\n  filter: {message.text|contains: otp}\n  condition: selection and not filter\n";
    AlwaysHolds "SP514" Warning,
        "a condition or selection always holds",
        "It tests nothing: of its parts one holds wherever the other does not. A rule that is meant to match every event of its logsource is written with a test of a field that each of them has.",
        "detection:\n  selection: {actor.ip|exists: true}\n  filter: {actor.ip|exists: false}\n  condition: selection or filter\n";
    SameRule "SP515" Warning,
        "a rule says the same as another",
        "The detections are the same once written the same way, so both match the same events and both add to the risk. Keep one. The base of several correlations is written once and named by each.",
        "detection:\n  a: {login.result: failed}\n  condition: a\n---\ndetection:\n  b: {login.result: [failed]}\n  condition: b\n";
    ImpliedRule "SP516" Warning,
        "a rule never matches without another",
        "One fact would be counted twice. Name both rules in `same-evidence` of policy.yaml, where only the larger contribution counts, or exclude from the wider rule what the narrower one finds. Told of rules about omnichannel events that add to the risk.",
        "detection:\n  selection: {message.text|contains: kode otp}\n  condition: selection\n---\ndetection:\n  selection: {message.text|contains: [otp, pin]}\n  condition: selection\n";
    OneSidedTests "SP517" Warning,
        "no test has the rule match, or none has it stay silent",
        "A rule that was never seen to match may never do so, and one that was never seen to stay silent may match everything. NAME.test.yaml names the rule under `expect: {matches: [...]}` of one case and under `expect: {not: [...]}` of another. Base rules of correlations are tested by those, and a case marked `todo` does not count.",
        "tests:\n  - name: an intruder\n    events: [...]\n    expect: {matches: [a_rule]}   # and a case with {not: [a_rule]}\n";
    IgnoresNothing "SP518" Warning,
        "a comment that ignores findings has no effect",
        "`# satpam: ignore[SP503] reason` behind something on a line ignores that warning of the line, on a line of its own that of the whole document. It needs a reason, an existing code, and something to ignore; errors cannot be ignored.",
        "# satpam: ignore[SP503]\n# instead, with a reason:\n# satpam: ignore[SP503] the letters may stand apart\n";
    UnknownEvidence "SP519" Warning,
        "`same-evidence` names a rule that is not there",
        "The name has no effect. Rules are named by `name` or `id`, a rule without either by the name of its file. A policy that serves several rule folders may name rules of the others.",
        "same-evidence:\n  - [failed_logn, many_failed_logins]\n";
}

impl Code {
    /// Returns the code of a text such as `SP101`, in either case.
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_in_order_and_explained() {
        for pair in Code::ALL.windows(2) {
            assert!(pair[0].as_str() < pair[1].as_str(), "{} {}", pair[0], pair[1]);
        }
        for code in Code::ALL {
            let Explanation { summary, text, example } = code.explanation();
            assert!(
                !summary.is_empty() && text.ends_with('.') && example.ends_with('\n'),
                "{code}"
            );
            assert_eq!(Code::find(&code.as_str().to_lowercase()), Some(*code));
        }
    }
}
