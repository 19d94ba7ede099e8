//! In which folder of a mailbox are copies of what was sent? What the server says comes first, then what such folders are
//! usually called.

use crate::domain::folder::{Folder, SpecialUse};

/// Usual names in small letters; a name that is more certain comes before one that is less.
const NAMES: [&str; 46] = [
    // Webmail and mail programs in English.
    "sent",
    "sent mail",
    "sent items",
    "sent messages",
    "sent-mail",
    "sent_mail",
    "sentmail",
    "sentitems",
    "sent objects",
    "sent emails",
    // Japanese.
    "送信済み",
    "送信済みメール",
    "送信済みアイテム",
    "送信済みトレイ",
    "送信済みメッセージ",
    // German.
    "gesendet",
    "gesendete elemente",
    "gesendete objekte",
    "gesendete nachrichten",
    // French.
    "envoyés",
    "éléments envoyés",
    "messages envoyés",
    "courrier envoyé",
    "objets envoyés",
    // Spanish and Portuguese.
    "enviados",
    "elementos enviados",
    "mensajes enviados",
    "correo enviado",
    "itens enviados",
    "mensagens enviadas",
    "e-mails enviados",
    // Italian.
    "inviata",
    "inviati",
    "posta inviata",
    "elementi inviati",
    // Dutch, Scandinavian and Finnish.
    "verzonden",
    "verzonden items",
    "skickat",
    "sendt",
    "sendte elementer",
    "lähetetyt",
    // Polish, Russian, Chinese and Korean.
    "wysłane",
    "отправленные",
    "已发送",
    "寄件備份",
    "보낸편지함",
];

/// Levels below which a server keeps its own folders, in small letters.
const ROOTS: [&str; 3] = ["inbox", "[gmail]", "[google mail]"];

/// What may stand between levels when the server does not say.
const USUAL_DELIMITERS: [char; 2] = ['.', '/'];

/// The folder with copies of what was sent: the one that says so (RFC 6154), or else one with a usual name, at the top or
/// below INBOX. Nothing when none is likely. Folders that cannot be opened or are for something else do not count.
#[must_use]
pub fn sent_folder(folders: &[Folder]) -> Option<&Folder> {
    let open = || folders.iter().filter(|folder| folder.is_selectable);
    let told = open().find(|folder| folder.special_use == Some(SpecialUse::Sent));
    told.or_else(|| {
        let ranked = open().filter(|folder| folder.special_use.is_none());
        let ranked = ranked.filter_map(|folder| Some((rank(folder)?, folder)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, folder)| folder)
    })
}

/// How certain the name is; less is more. At the top is more certain than below INBOX.
fn rank(folder: &Folder) -> Option<(usize, usize)> {
    let whole = folder.decoded_name.to_lowercase();
    let (depth, leaf) = leaf(&whole, folder.delimiter).map_or((0, whole.as_str()), |leaf| (1, leaf));
    let place = NAMES.iter().position(|name| *name == leaf)?;
    Some((place, depth))
}

/// What stands below one of the roots.
fn leaf(name: &str, delimiter: Option<char>) -> Option<&str> {
    let rest = ROOTS.iter().find_map(|root| name.strip_prefix(root))?;
    match delimiter {
        Some(delimiter) => rest.strip_prefix(delimiter),
        None => rest.strip_prefix(USUAL_DELIMITERS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str, special_use: Option<SpecialUse>) -> Folder {
        let delimiter = if name.contains('/') { Some('/') } else { Some('.') };
        let name = name.to_owned();
        Folder { decoded_name: name.clone(), name, delimiter, special_use, is_selectable: true }
    }

    #[track_caller]
    fn check(names: &[&str], expected: Option<&str>) {
        let folders: Vec<_> = names.iter().map(|name| folder(name, None)).collect();
        assert_eq!(sent_folder(&folders).map(|folder| folder.name.as_str()), expected, "{names:?}");
    }

    #[test]
    fn usual_names_are_known_in_several_languages_and_places() {
        for name in [
            "Sent",
            "SENT ITEMS",
            "Sent Messages",
            "[Gmail]/Sent Mail",
            "[Gmail]/送信済みメール",
            "[Google Mail]/Gesendet",
            "INBOX.Sent",
            "Inbox/Sent Items",
            "送信済み",
            "送信済みアイテム",
            "INBOX.送信済みメール",
            "Gesendet",
            "Gesendete Elemente",
            "ENVOYÉS",
            "Éléments envoyés",
            "Enviados",
            "Inviata",
            "Отправленные",
        ] {
            check(&["INBOX", "Drafts", name, "Trash"], Some(name));
        }
        let flat = Folder { delimiter: None, ..folder("INBOX.Sent", None) };
        assert_eq!(sent_folder(std::slice::from_ref(&flat)), Some(&flat));
    }

    #[test]
    fn other_names_are_not_guessed_at() {
        check(&["INBOX", "Present", "Sent to Bob", "Archive/Sent", "INBOX.Old.Sent", "INBOXSent", "送信トレイ"], None);
        check(&[], None);
    }

    #[test]
    fn the_more_certain_name_wins_wherever_it_stands() {
        check(&["Sent Messages", "INBOX.Sent", "Sent Items"], Some("INBOX.Sent"));
        check(&["INBOX.Sent", "Sent"], Some("Sent"));
    }

    #[test]
    fn what_the_server_says_goes_before_names() {
        let closed = Folder { is_selectable: false, ..folder("Sent", Some(SpecialUse::Sent)) };
        let folders = [
            closed,
            folder("Sent", Some(SpecialUse::Trash)),
            folder("Sent Items", None),
            folder("Ausgang", Some(SpecialUse::Sent)),
        ];
        assert_eq!(sent_folder(&folders), Some(&folders[3]));
        assert_eq!(sent_folder(&folders[..3]), Some(&folders[2]));
    }
}
