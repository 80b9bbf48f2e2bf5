#!/bin/sh
# SPDX-License-Identifier: MIT
# clang-format 14 has nothing to change; shell scripts pass shellcheck.
cd "${SRCDIR:-.}" || exit 1

n=0
report() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
		echo "not ok $n - $2"
	fi
}

if command -v clang-format-14 >/dev/null; then
	find src tests bench -name '*.[ch]' ! -name scripts_gen.c -exec \
	    clang-format-14 --dry-run --Werror {} + 2>&1 | head -20 >&2
	find src tests bench -name '*.[ch]' ! -name scripts_gen.c -exec \
	    clang-format-14 --dry-run --Werror {} + >/dev/null 2>&1
	report $? clang-format
else
	echo "ok 1 - clang-format # SKIP clang-format-14 is not installed"
	n=1
fi
if command -v shellcheck >/dev/null; then
	shellcheck bootstrap .ci/run nginx/private.sh tools/*.sh \
	    debian/agent-fpm.p* containers/*.sh \
	    tests/lint/*.sh tests/conformance/*.sh src/store/lua/embed.sh \
	    skills/*/scripts/*.sh
	report $? shellcheck
else
	n=$((n + 1))
	echo "ok $n - shellcheck # SKIP shellcheck is not installed"
fi
echo "1..$n"
