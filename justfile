# Recipes for daily work; `just` lists them. Nothing here is needed: each is a command or two that also runs by hand.

[private]
default:
    @just --list

# What a change must pass before it is committed: format, lints, layers. Fast.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test --package hikyaku-tests --test it layers::

# All tests, or those whose names contain a word: just test quota
test *words:
    cargo test --workspace {{ words }}

# The demo: a daemon, a mail server, some hundred mails and a crash in the middle.
demo:
    cargo run --release --bin hikyakud -- demo

# The API's documentation of all crates, opened in a browser.
doc:
    cargo doc --workspace --no-deps --open

# Licences, duplicates, forbidden crates and known flaws of the dependencies.
deny:
    cargo deny check

# Mail from a real daemon, verified by dkimpy, Mail::DKIM and opendkim.
dkim:
    bash tests/dkim/check

# The systemd unit, the image and the manifests, by every checker that is there.
deploy:
    bash deploy/check.sh

# Kills the daemon under load and counts what is lost or sent twice.
crash:
    bash tests/crash/run

# Days of faults in virtual time: SIM_SEEDS=1-100 SIM_ACCOUNTS=2000 just simulate
simulate:
    bash tests/sim/run

# Gives what reads other people's bytes what nobody would write.
fuzz:
    bash tests/fuzz/run

# Everything, as on a clean checkout.
ci:
    bash .ci/run
