#!/bin/sh
# SPDX-License-Identifier: MIT
#
# clang has nothing to say of any source, with the warnings of --enable-dev:
# who builds with gcc alone hears it here.
cd "${SRCDIR:-.}" || exit 1
src=$PWD
cd "${BUILDDIR:-.}" || exit 1

skip() {
	echo "ok 1 - clang # SKIP $1"
	echo "1..1"
	exit 0
}
command -v clang >/dev/null || skip "clang is not installed"
[ -f Makefile ] || skip "there is no Makefile in $PWD"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# A line for each of the flags of this build, less the warnings and sanitizers
# that it may have; then the warnings, less those that only gcc has.
cat >"$tmp/flags.mk" <<'MK'
flags:
	@printf '%s\n' $(DEFS) $(DEFAULT_INCLUDES) $(AM_CPPFLAGS) \
	    $(session_data) -DFUZZ_API=MODEL_API_CHAT \
	    $(filter-out $(DEV_CFLAGS) $(SAN_FLAGS),$(AM_CFLAGS))
MK
make -s -f Makefile -f "$tmp/flags.mk" flags >"$tmp/lines" || exit 1
tr -d '\\\n' <"$src/configure.ac" |
	grep -o 'DEV_CFLAGS="-Wall -Wextra -Wformat=2[^"]*"' |
	cut -d'"' -f2 | tr ' ' '\n' >>"$tmp/lines"
grep -qx -e -Werror "$tmp/lines" || exit 1
grep '^-' "$tmp/lines" | sed 's/["\\]/\\&/g' >"$tmp/flags"

find "$src/src" "$src/tests" "$src/bench" "$PWD/src/store" -name '*.c' |
	sort -u >"$tmp/sources"
xargs -P "$(nproc)" -n 16 clang -fsyntax-only "@$tmp/flags" <"$tmp/sources" \
    >"$tmp/out" 2>&1
status=$?
head -40 "$tmp/out" | sed 's/^/# /'
[ $status -eq 0 ] || printf 'not '
echo "ok 1 - clang, $(wc -l <"$tmp/sources") sources"
echo "1..1"
