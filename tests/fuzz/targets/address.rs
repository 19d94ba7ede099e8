//! Can any text that is taken for an address break out of its command or header, or mean another one when read again?
#![no_main]

use hikyaku_daemon::domain::address::{ADDRESS_BYTES_MAX, Address, LOCAL_PART_BYTES_MAX, is_same_domain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (strict, lenient) = (text.parse::<Address>(), Address::from_lenient(text));
    if let Ok(address) = &strict {
        assert_eq!(lenient.as_ref(), Ok(address), "leniency changes nothing that is strict");
    }
    if let Ok(address) = lenient {
        check(&address);
    }
});

fn check(address: &Address) {
    let wire = address.as_str();
    assert!(wire.len() <= ADDRESS_BYTES_MAX && address.local_part().len() <= LOCAL_PART_BYTES_MAX);
    assert!(!breaks_out(wire), "{wire:?}");
    assert_eq!(wire.parse::<Address>().as_ref(), Ok(address), "it reads as itself");
    assert!(address.ascii_domain().is_ascii() && is_same_domain(address.domain(), &address.ascii_domain()));
    assert!(!address.local_part().is_ascii() || !address.is_internationalized());
}

/// Whether a text could end the path in which it stands, `<…>`, or the line.
fn breaks_out(wire: &str) -> bool {
    let mut quoted = false;
    let mut chars = wire.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_control() => return true,
            '\\' if quoted => drop(chars.next()),
            '"' => quoted = !quoted,
            ' ' | '<' | '>' | ',' | ';' if !quoted => return true,
            _ => {}
        }
    }
    quoted
}
