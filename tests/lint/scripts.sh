#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The Lua scripts as they go to Redis: every name is known, nothing is made in
# vain, and what embed.awk puts into a branch finds there what it means: no
# local name is one of common.lua's.
cd "${SRCDIR:-.}/src/store/lua" || exit 1

if ! command -v luacheck >/dev/null; then
	echo "ok 1 - scripts # SKIP luacheck is not installed"
	echo "1..1"
	exit 0
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
common=$(sed -n 's/^local \(function \)\{0,1\}\([A-Za-z0-9_]*\).*/\2/p' \
    common.lua | paste -sd'|')

# Of local names that hide others only those are of interest.
check() {
	awk -f embed.awk common.lua "$1" >"$tmp/$1" || return
	luacheck --no-color --codes --std lua51 --no-max-line-length \
	    --read-globals redis cjson KEYS ARGV -- "$tmp/$1" >"$tmp/out"
	! grep -E '\((W[1235]|E)' "$tmp/out" &&
	    ! grep -E "\(W4.* '?($common)'? " "$tmp/out"
}

n=0
for script in *.lua; do
	[ "$script" = common.lua ] && continue
	n=$((n + 1))
	check "$script" >"$tmp/found"
	status=$?
	sed 's/^/# /' "$tmp/found"
	[ $status -eq 0 ] || printf 'not '
	echo "ok $n - $script"
done
echo "1..$n"
