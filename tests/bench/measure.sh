#!/usr/bin/env bash
# Measures one group of figures of one peer once: tests/bench/measure.sh hikyaku|postfix GROUP
#
# Prints a line for each figure and each of its details, `NAME VALUE` and `NAME.DETAIL VALUE`. compare.sh runs it.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PEER=$1
: "${HIKYAKU_BIN:=${CARGO_TARGET_DIR:-$HERE/../../target}/release}"
. "$HERE/ground.sh"
. "$HERE/peers/$PEER.sh"
. "$HERE/figures/$2.sh"
trap ground_end EXIT
trap 'exit 130' INT TERM
measure
