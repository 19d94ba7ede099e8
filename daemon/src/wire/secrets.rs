//! Which words must never be shown, and how are they taken out of a text?

use zeroize::Zeroizing;

/// Shorter words are no secret, and would blot out innocent text.
const SECRET_BYTES_MIN: usize = 4;
/// What stands for a secret.
const MASK: &str = "***";

/// The words of our sign-in, as they were sent, and the password itself.
#[derive(Default)]
pub(super) struct Secrets(Vec<Zeroizing<String>>);

impl Secrets {
    /// Remembers a secret that may be repeated as it is.
    pub(super) fn add(&mut self, secret: &str) {
        if secret.len() >= SECRET_BYTES_MIN {
            self.0.push(Zeroizing::new(secret.to_owned()));
            // One secret may hold another: the longer goes first, or parts of it would stay.
            self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    /// A text without the words.
    pub(super) fn without(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
    }

    /// A text, which may have been cut in the midst of a word, without the words.
    pub(super) fn without_cut(&self, text: &str) -> String {
        let mut text = self.without(text);
        for secret in &self.0 {
            let ends = (SECRET_BYTES_MIN..secret.len()).rev().filter_map(|end| secret.get(..end));
            if let Some(begun) = ends.into_iter().find(|begun| text.ends_with(begun)) {
                text.truncate(text.len() - begun.len());
                text.push_str(MASK);
            }
        }
        text
    }

    /// Whether any of the words is in a text.
    pub(super) fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret.as_str()))
    }
}
