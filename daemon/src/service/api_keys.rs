//! API keys: how they are written in the key file, and how a presented one is found among them.

use std::{collections::HashSet, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::{
    domain::{ids::Caller, secret::Secret},
    platform::entropy::Entropy,
};

/// Most keys of one file.
pub const API_KEYS_MAX: usize = 1_000;
/// What every key begins with.
pub const API_KEY_PREFIX: &str = "hk_";
/// The name of callers that need no key.
pub const LOCAL_CALLER: &str = "local";
/// What stands at the end of the line of an admin's key.
const ADMIN_SUFFIX: &str = ":admin";
const KEY_RANDOM_BYTES: usize = 32;
const HASH_BYTES: usize = 32;

/// What a caller may do beyond what every known caller may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sees and uses the personal accounts of all, and gives accounts to others.
    Admin,
    /// Sees and uses what is everybody's or its own.
    Member,
}

/// The keys that may call, each as the BLAKE3 hash of the whole key.
#[derive(Clone, Debug)]
pub struct ApiKeys {
    entries: Arc<[Entry]>,
}

#[derive(Debug)]
struct Entry {
    caller: Caller,
    role: Role,
    hash: [u8; HASH_BYTES],
}

/// One thing that is wrong with a key file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct KeyMistake {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it. Never holds a key or a hash.
    pub reason: String,
}

impl ApiKeys {
    /// Reads a key file: a line `name:hash` for each key, or `name:hash:admin` for one of an admin, the hash in 64
    /// hexadecimal digits; blank lines and lines that begin with `#` are skipped. One name may have several keys, so that
    /// an old one can be replaced at leisure.
    ///
    /// # Errors
    /// Everything that is wrong with the file, line by line.
    pub fn parse(text: &str) -> Result<Self, Vec<KeyMistake>> {
        let mut entries = Vec::new();
        let mut mistakes = Vec::new();
        let mut hashes = HashSet::new();
        let lines = (1..).zip(text.lines().map(str::trim));
        for (line, content) in lines.filter(|(_, content)| !content.is_empty() && !content.starts_with('#')) {
            match read_entry(content) {
                Ok(entry) if hashes.insert(entry.hash) => entries.push(entry),
                Ok(_) => mistakes.push(KeyMistake { line, reason: "is the key of an earlier line".to_owned() }),
                Err(reason) => mistakes.push(KeyMistake { line, reason }),
            }
        }
        if entries.is_empty() && mistakes.is_empty() {
            mistakes.push(KeyMistake { line: 1, reason: "the file has no key: nobody could call".to_owned() });
        }
        if entries.len() > API_KEYS_MAX {
            let reason = format!("the file has more than {API_KEYS_MAX} keys");
            mistakes.push(KeyMistake { line: 1, reason });
        }
        if mistakes.is_empty() { Ok(Self { entries: entries.into() }) } else { Err(mistakes) }
    }

    /// Whose key this is, and what that one may do. Looks at every entry to its end, so that a wrong key takes as long as an
    /// unknown one.
    #[must_use]
    pub fn caller_of(&self, presented: &str) -> Option<(&Caller, Role)> {
        let hash = blake3::hash(presented.as_bytes());
        let mut found = u32::MAX;
        for (index, entry) in (0..).zip(self.entries.iter()) {
            let matches = entry.hash.ct_eq(hash.as_bytes());
            found = u32::conditional_select(&found, &index, matches);
        }
        let entry = usize::try_from(found).ok().and_then(|index| self.entries.get(index));
        entry.map(|entry| (&entry.caller, entry.role))
    }
}

/// A new key for `caller`, to be shown once, and the line of the key file that lets it call.
#[must_use]
pub fn new_key(caller: &Caller, role: Role, entropy: &dyn Entropy) -> (Secret<String>, String) {
    let mut random = [0; KEY_RANDOM_BYTES];
    entropy.fill(&mut random);
    let key = Secret::new(format!("{API_KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(random)));
    let suffix = if role == Role::Admin { ADMIN_SUFFIX } else { "" };
    let line = format!("{caller}:{}{suffix}", blake3::hash(key.expose().as_bytes()).to_hex());
    (key, line)
}

fn read_entry(line: &str) -> Result<Entry, String> {
    if line.contains(API_KEY_PREFIX) && !line.contains(':') {
        return Err("holds a key as it is: write its BLAKE3 hash, as in name:hash".to_owned());
    }
    let (line, role) = match line.strip_suffix(ADMIN_SUFFIX) {
        Some(rest) => (rest, Role::Admin),
        None => (line, Role::Member),
    };
    // A name may hold colons, a hash does not.
    let (name, hash) = line.rsplit_once(':').ok_or("must be name:hash or name:hash:admin")?;
    let caller: Caller = name.trim().parse().map_err(|error| format!("{error}"))?;
    if caller.as_str() == LOCAL_CALLER {
        return Err(format!("the name {LOCAL_CALLER:?} is taken by callers that need no key"));
    }
    let hash = blake3::Hash::from_hex(hash.trim()).map_err(|_| "the hash must be 64 hexadecimal digits")?;
    Ok(Entry { caller, role, hash: *hash.as_bytes() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::entropy::SeededEntropy;

    fn key(name: &str, seed: u64) -> (Secret<String>, String) {
        new_key(&name.parse().expect("a name"), Role::Member, &SeededEntropy::new(seed))
    }

    fn name_of<'a>(keys: &'a ApiKeys, key: &Secret<String>) -> Option<&'a str> {
        keys.caller_of(key.expose()).map(|(caller, _)| caller.as_str())
    }

    #[test]
    fn a_new_key_calls_under_its_name() {
        let (first, first_line) = key("shop:eu", 1);
        let (second, second_line) = key("billing", 2);
        let keys = ApiKeys::parse(&format!("# callers\n\n{first_line}\n  {second_line}\n")).expect("a good file");
        assert_eq!(name_of(&keys, &first), Some("shop:eu"));
        assert_eq!(name_of(&keys, &second), Some("billing"));
        for wrong in ["", "hk_", "hk_wrong", &first.expose()[1..]] {
            assert_eq!(keys.caller_of(wrong), None);
        }
    }

    #[test]
    fn one_name_may_have_two_keys() {
        let ((old, old_line), (new, new_line)) = (key("shop", 1), key("shop", 2));
        let keys = ApiKeys::parse(&format!("{old_line}\n{new_line}")).expect("a good file");
        assert!(keys.caller_of(old.expose()).is_some() && keys.caller_of(new.expose()).is_some());
    }

    #[test]
    fn the_line_of_an_admin_says_so() {
        let name = "shop:admin".parse().expect("a name");
        let (admin, admin_line) = new_key(&name, Role::Admin, &SeededEntropy::new(3));
        let (member, member_line) = key("shop:admin", 4);
        let keys = ApiKeys::parse(&format!("{admin_line}\n{member_line}")).expect("a good file");
        assert_eq!(keys.caller_of(admin.expose()), Some((&name, Role::Admin)));
        assert_eq!(keys.caller_of(member.expose()), Some((&name, Role::Member)));
        check(&admin_line.replace(":admin", ":root"), &[1]);
        check("shop:admin", &[1]);
    }

    #[track_caller]
    fn check(text: &str, lines: &[usize]) {
        let mistakes = ApiKeys::parse(text).expect_err("mistakes");
        assert_eq!(mistakes.iter().map(|mistake| mistake.line).collect::<Vec<_>>(), lines, "{mistakes:?}");
        assert!(mistakes.iter().all(|mistake| !mistake.to_string().contains("hk_")), "{mistakes:?}");
    }

    #[test]
    fn every_mistake_of_a_file_is_told_with_its_line() {
        let (_, line) = key("shop", 1);
        let (_, local) = key("local", 2);
        check("", &[1]);
        check("# nobody\n", &[1]);
        check(&format!("{line}\nshop hk_abc\nshop:12\na b:{}\n{line}\n{local}", "0".repeat(64)), &[2, 3, 4, 5, 6]);
    }
}
