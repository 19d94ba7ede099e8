//! The manual of the configuration: a file with every key, its meaning and its default.

use super::{
    places::{Environment, Places},
    setting::Default,
    settings,
};

/// A configuration file that changes nothing and explains everything. Keys without a default are comments.
#[must_use]
pub fn defaults(environment: &Environment) -> String {
    let places = Places::of(environment);
    let mut text = String::from(
        "# Every key of Hikyaku's configuration with its default. HIKYAKU__SECTION__KEY in the environment goes before the\n\
         # file: HIKYAKU__LOG__FORMAT=json. An empty variable takes a key away.\n",
    );
    let mut section = "";
    for entry in settings::ALL {
        let (own, name) = entry.key.rsplit_once('.').expect("every key has a section: proven by a test");
        if own != section {
            section = own;
            text += &format!("\n[{section}]\n");
        }
        for line in entry.doc.lines() {
            text += &format!("# {line}\n");
        }
        text += &match (entry.default.toml(&places), entry.default) {
            (Some(value), _) => format!("{name} = {value}\n"),
            (None, Default::Absent(example)) => format!("# {name} = {example}\n"),
            (None, _) => String::new(),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_explained_and_has_a_section() {
        for entry in settings::ALL {
            assert!(entry.key.contains('.') && entry.doc.ends_with('.'), "{}", entry.key);
            assert!(entry.doc.lines().all(|line| line.len() <= 121), "{}: a line is long", entry.key);
            if let Default::Absent(example) = entry.default {
                assert!(example.parse::<toml::Value>().is_ok(), "{}: {example}", entry.key);
            }
        }
    }
}
