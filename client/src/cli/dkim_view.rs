//! How DKIM keys are shown.

use hikyaku_client::proto::{CheckDkimKeyResponse, DkimAlgorithm, DkimKey};
use serde::Serialize;

use super::{
    escape::{escape, escape_lines},
    job_view::bare,
    output::Show,
    table::{fields, table},
    time_text::show_time,
};

/// A key without its private half.
#[derive(Debug, Serialize)]
pub(crate) struct KeyView {
    dkim_key_id: String,
    domain: String,
    selector: String,
    algorithm: &'static str,
    txt_record: String,
    zone_line: String,
    created_at: Option<String>,
    created_by: String,
}

impl From<DkimKey> for KeyView {
    fn from(key: DkimKey) -> Self {
        Self {
            algorithm: bare(DkimAlgorithm::as_str_name(&key.algorithm()), "DKIM_ALGORITHM_"),
            created_at: key.created_at.map(show_time),
            dkim_key_id: key.dkim_key_id,
            domain: key.domain,
            selector: key.selector,
            txt_record: key.txt_record,
            zone_line: key.zone_line,
            created_by: key.created_by,
        }
    }
}

impl Show for KeyView {
    fn text(&self) -> String {
        let created: Vec<_> =
            self.created_at.iter().chain([&self.created_by]).filter(|word| !word.is_empty()).cloned().collect();
        let head = fields([
            ("key", self.dkim_key_id.clone()),
            ("domain", self.domain.clone()),
            ("selector", self.selector.clone()),
            ("algorithm", self.algorithm.to_owned()),
            ("created", created.join(" by ")),
        ]);
        let name = escape(&self.dkim_key_id);
        let zone: Vec<_> = escape_lines(self.zone_line.trim_end()).collect();
        format!(
            "{head}\n\npublish this TXT record at {name}\n\n{}\n\nor this line in the zone\n\n{}\n\nthen: hikyaku dkim check {name}",
            escape(&self.txt_record),
            zone.join("\n")
        )
    }
}

/// Keys as rows.
pub(crate) fn key_table(keys: &[KeyView]) -> String {
    let rows = keys.iter().map(|key| {
        vec![
            escape(&key.dkim_key_id).into_owned(),
            key.algorithm.to_owned(),
            key.created_at.clone().unwrap_or_default(),
            escape(&key.created_by).into_owned(),
        ]
    });
    table(&["KEY", "ALGORITHM", "CREATED", "BY"], rows)
}

/// That a key is forgotten.
#[derive(Debug, Serialize)]
pub(crate) struct DeletedView {
    pub(crate) dkim_key_id: String,
    pub(crate) deleted: bool,
}

impl Show for DeletedView {
    fn text(&self) -> String {
        format!("deleted {}; its record may be taken out of the zone a week from now", escape(&self.dkim_key_id))
    }
}

/// What the name system says of a key.
#[derive(Debug, Serialize)]
pub(crate) struct CheckView {
    dkim_key_id: String,
    published: bool,
    problem: String,
    found_records: Vec<String>,
}

impl CheckView {
    pub(crate) fn new(dkim_key_id: String, answer: CheckDkimKeyResponse) -> Self {
        let CheckDkimKeyResponse { published, problem, found_records } = answer;
        Self { dkim_key_id, published, problem, found_records }
    }
}

impl Show for CheckView {
    fn text(&self) -> String {
        let name = escape(&self.dkim_key_id);
        if self.published {
            return format!("{name} is published");
        }
        let mut text = format!("{name} is not published as it should be: {}", escape(&self.problem));
        self.found_records.iter().for_each(|record| text.push_str(&format!("\n  found: {}", escape(record))));
        text
    }
}
